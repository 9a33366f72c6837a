// CachedValue: an element of an array, cached in a register of its thread. Passed in place of a pointer, it spares a
// fused function from loading what the previous one has just written. For elements that no other thread accesses.

template <class T> struct CachedValue {
    T* address;
    T value;
    bool known;

    struct Cell {
        CachedValue& cached;
        int at;

        __device__ operator T() const {
            if (!cached.known) cached.value = cached.address[at];
            cached.known = true;
            return cached.value;
        }
        __device__ void operator=(T value) {
            cached.address[at] = cached.value = value;
            cached.known = true;
        }
        __device__ void operator+=(T value) { *this = T(*this) + value; }
        __device__ void operator-=(T value) { *this = T(*this) - value; }
        __device__ void operator*=(T value) { *this = T(*this) * value; }
    };
    __device__ Cell operator[](int at) { return {*this, at}; }
};

// The four values of a 2 x 2 window, in row-major order, in registers of the thread that computed them.
template <class T> struct WindowValues {
    const T* values;
};

template <class T> struct ValueOf;
template <class T> struct ValueOf<T*> { typedef T Type; };
template <class T> struct ValueOf<const T*> { typedef T Type; };
template <class T> struct ValueOf<CachedValue<T>> { typedef T Type; };
template <class T> struct ValueOf<WindowValues<T>> { typedef T Type; };
template <class T> struct ValueOf<const T> { typedef typename ValueOf<T>::Type Type; };
template <class T> struct ValueOf<T&> { typedef typename ValueOf<T>::Type Type; };

// The element type of a pointer, or of what replaces one.
template <class P> using Value = typename ValueOf<P>::Type;

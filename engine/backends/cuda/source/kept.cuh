// Kept: a value in the hands of the thread that has just made or read it, beside the memory where it lies. A function
// that is given one in place of a pointer does not fetch again what another has just written. Not for values that other
// threads touch.

template <class T> struct Kept {
    T* place;
    T value;
    bool known;

    struct Cell {
        Kept& kept;
        int at;

        __device__ operator T() const {
            if (!kept.known) kept.value = kept.place[at];
            kept.known = true;
            return kept.value;
        }
        __device__ void operator=(T value) {
            kept.place[at] = kept.value = value;
            kept.known = true;
        }
        __device__ void operator+=(T value) { *this = T(*this) + value; }
        __device__ void operator-=(T value) { *this = T(*this) - value; }
        __device__ void operator*=(T value) { *this = T(*this) * value; }
    };
    __device__ Cell operator[](int at) { return {*this, at}; }
};

// The four values of a window of 2 x 2, in row order, in the hands of the thread that has made them.
template <class T> struct FourCells {
    const T* values;
};

template <class T> struct ValueOf;
template <class T> struct ValueOf<T*> { typedef T Type; };
template <class T> struct ValueOf<const T*> { typedef T Type; };
template <class T> struct ValueOf<Kept<T>> { typedef T Type; };
template <class T> struct ValueOf<FourCells<T>> { typedef T Type; };
template <class T> struct ValueOf<const T> { typedef typename ValueOf<T>::Type Type; };
template <class T> struct ValueOf<T&> { typedef typename ValueOf<T>::Type Type; };

// The type of the values that are reached through a pointer, or through what stands for one.
template <class P> using Value = typename ValueOf<P>::Type;

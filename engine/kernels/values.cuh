// What is done with values as they are: each function makes the one value with number i. See Operations.

template <class T> __device__ void fill(int i, T* target, Layout target_at, T value) {
    target[at(target_at, i)] = value;
}

template <class T> __device__ void copy(int i, const T* source, Layout source_at, T* target, Layout target_at) {
    target[at(target_at, i)] = source[at(source_at, i)];
}

template <class T>
__device__ void add(int i, const T* left, Layout left_at, const T* right, Layout right_at, T* out, Layout out_at) {
    out[at(out_at, i)] = left[at(left_at, i)] + right[at(right_at, i)];
}

template <class T>
__device__ void scale(int i, const T* source, Layout source_at, T* target, Layout target_at, T factor) {
    target[at(target_at, i)] = source[at(source_at, i)] * factor;
}

template <class T> __device__ void choose(int i, const int* fine, int when, const T* source, T* target) {
    if (fine[0] == when) target[i] = source[i];
}

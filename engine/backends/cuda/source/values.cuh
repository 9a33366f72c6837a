// Fill, copy, add, scale and conditional copy; each function computes element i. See Ops.

template <class T> __device__ void fill(int i, T&& target, Layout target_at, Value<T> value) {
    target[at(target_at, i)] = value;
}

template <class S, class T> __device__ void copy(int i, S&& source, Layout source_at, T&& target, Layout target_at) {
    target[at(target_at, i)] = Value<T>(source[at(source_at, i)]);
}

template <class L, class R, class T>
__device__ void add(int i, L&& left, Layout left_at, R&& right, Layout right_at, T&& out, Layout out_at) {
    out[at(out_at, i)] = Value<T>(left[at(left_at, i)]) + Value<T>(right[at(right_at, i)]);
}

template <class S, class T>
__device__ void scale(int i, S&& source, Layout source_at, T&& target, Layout target_at, Value<T> factor) {
    target[at(target_at, i)] = Value<T>(source[at(source_at, i)]) * factor;
}

template <class S, class T> __device__ void restore_if(int i, const int* is_finite, int when, S&& source, T&& target) {
    if (is_finite[0] == when) target[i] = Value<T>(source[i]);
}

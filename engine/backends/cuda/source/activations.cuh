// Activations and their gradients: each function computes element i. See Ops.activation. Comparisons are written so
// that NaN propagates.

template <class X, class Y> __device__ void relu(int i, X&& x, Layout x_at, Y&& y, Layout y_at) {
    Value<Y> value = x[at(x_at, i)];
    y[at(y_at, i)] = value <= 0 ? Value<Y>(0) : value;
}

template <class X, class Y>
__device__ void leaky_relu(int i, X&& x, Layout x_at, Y&& y, Layout y_at, Value<Y> slope) {
    Value<Y> value = x[at(x_at, i)];
    y[at(y_at, i)] = value <= 0 ? slope * value : value;
}

__device__ float hyperbolic_tangent(float x) { return tanhf(x); }
__device__ double hyperbolic_tangent(double x) { return tanh(x); }

template <class X, class Y> __device__ void tanh_forward(int i, X&& x, Layout x_at, Y&& y, Layout y_at) {
    y[at(y_at, i)] = hyperbolic_tangent(Value<Y>(x[at(x_at, i)]));
}

// 1 / (1 + exp(-x)) as (1 + tanh(x / 2)) / 2, which cannot overflow.
template <class X, class Y> __device__ void sigmoid(int i, X&& x, Layout x_at, Y&& y, Layout y_at) {
    typedef Value<Y> T;
    y[at(y_at, i)] = hyperbolic_tangent(T(x[at(x_at, i)]) * T(0.5)) * T(0.5) + T(0.5);
}

template <class Y, class D, class X>
__device__ void leaky_relu_gradient(int i, Y&& y, Layout y_at, D&& dy, Layout dy_at, X&& dx, Layout dx_at,
                                    Value<X> slope) {
    typedef Value<X> T;
    dx[at(dx_at, i)] = T(dy[at(dy_at, i)]) * (T(y[at(y_at, i)]) > 0 ? T(1) : slope);
}

template <class Y, class D, class X>
__device__ void tanh_gradient(int i, Y&& y, Layout y_at, D&& dy, Layout dy_at, X&& dx, Layout dx_at) {
    typedef Value<X> T;
    T value = y[at(y_at, i)];
    dx[at(dx_at, i)] = T(dy[at(dy_at, i)]) * (T(1) - value * value);
}

template <class Y, class D, class X>
__device__ void sigmoid_gradient(int i, Y&& y, Layout y_at, D&& dy, Layout dy_at, X&& dx, Layout dx_at) {
    typedef Value<X> T;
    T value = y[at(y_at, i)];
    dx[at(dx_at, i)] = T(dy[at(dy_at, i)]) * (value * (T(1) - value));
}

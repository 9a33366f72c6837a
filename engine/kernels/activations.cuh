// Activations and their gradients: each function makes the one value with number i. See Operations.activation.
// A comparison with a value that is not a number is false; they are written so that it goes through.

template <class T> __device__ void relu(int i, const T* x, Layout x_at, T* y, Layout y_at) {
    T value = x[at(x_at, i)];
    y[at(y_at, i)] = value <= 0 ? T(0) : value;
}

template <class T> __device__ void leaky_relu(int i, const T* x, Layout x_at, T* y, Layout y_at, T slope) {
    T value = x[at(x_at, i)];
    y[at(y_at, i)] = value <= 0 ? slope * value : value;
}

__device__ float hyperbolic_tangent(float x) { return tanhf(x); }
__device__ double hyperbolic_tangent(double x) { return tanh(x); }

template <class T> __device__ void tangent(int i, const T* x, Layout x_at, T* y, Layout y_at) {
    y[at(y_at, i)] = hyperbolic_tangent(x[at(x_at, i)]);
}

// 1 / (1 + exp(-x)) as (1 + tanh(x / 2)) / 2, which cannot overflow.
template <class T> __device__ void sigmoid(int i, const T* x, Layout x_at, T* y, Layout y_at) {
    y[at(y_at, i)] = hyperbolic_tangent(x[at(x_at, i)] * T(0.5)) * T(0.5) + T(0.5);
}

template <class T>
__device__ void leaky_relu_gradient(int i, const T* y, Layout y_at, const T* dy, Layout dy_at, T* dx, Layout dx_at,
                                    T slope) {
    dx[at(dx_at, i)] = dy[at(dy_at, i)] * (y[at(y_at, i)] > 0 ? T(1) : slope);
}

template <class T>
__device__ void tangent_gradient(int i, const T* y, Layout y_at, const T* dy, Layout dy_at, T* dx, Layout dx_at) {
    T value = y[at(y_at, i)];
    dx[at(dx_at, i)] = dy[at(dy_at, i)] * (T(1) - value * value);
}

template <class T>
__device__ void sigmoid_gradient(int i, const T* y, Layout y_at, const T* dy, Layout dy_at, T* dx, Layout dx_at) {
    T value = y[at(y_at, i)];
    dx[at(dx_at, i)] = dy[at(dy_at, i)] * (value * (T(1) - value));
}

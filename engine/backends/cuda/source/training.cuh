// Training operations; each function computes element i. See Ops.

// out: (..., batch) with `values` elements per example; table: (examples, values).
template <class T, class O>
__device__ void gather_batch(int i, const T* table, const long long* order, const long long* step_index, O&& out,
                             Layout out_at, int values, Divisor batch, int width, int first) {
    int value = i / batch, example = i - value * batch.by;
    long long row = order[step_index[0] * width + first + example];
    out[at(out_at, i)] = table[row * values + value];
}

__device__ void advance_counters(int i, long long* step_index, unsigned* rng_counter, const int* is_finite) {
    if (is_finite[0] == 0) return;
    step_index[0] += 1;
    rng_counter[0] += 1;
}

// Concurrent writes are safe: all threads write the same value.
template <class V> __device__ void check_finite(int i, V&& values, Layout values_at, int* is_finite) {
    Value<V> value = values[at(values_at, i)];
    if (!(value - value == 0)) is_finite[0] = 0;
}

template <class T>
__device__ void store_loss(int i, const T* loss, const long long* step_index, T* losses, int batch) {
    T sum = 0;
    for (int n = 0; n < batch; n++) sum += loss[n];
    losses[step_index[0]] = sum / batch;
}

template <class T> __device__ void increment(int i, T* count) { count[0] += 1; }

// Below, all arrays except rates, step_index and count are one-dimensional and of equal length.

template <class V, class W, class G>
__device__ void add_l2_gradient(int i, V&& values, W&& weights, G&& gradients, Value<G> strength) {
    typedef Value<G> T;
    gradients[i] += T(values[i]) * (T(weights[i]) * strength);
}

template <class V, class W, class T>
__device__ void weight_decay(int i, V&& values, W&& weights, const T* rates, const long long* step_index, T strength) {
    values[i] -= T(values[i]) * (T(weights[i]) * strength) * rates[step_index[0]];
}

template <class V, class G, class M, class T>
__device__ void sgd(int i, V&& values, G&& gradients, M&& velocity, const T* rates, const long long* step_index,
                    T momentum, int nesterov) {
    T step = T(gradients[i]) * rates[step_index[0]];
    T moved = T(velocity[i]) * momentum - step;
    velocity[i] = moved;
    values[i] += nesterov ? moved * momentum - step : moved;
}

__device__ float exp_minus_one(float x) { return expm1f(x); }
__device__ double exp_minus_one(double x) { return expm1(x); }
__device__ float root(float x) { return sqrtf(x); }
__device__ double root(double x) { return sqrt(x); }

// rest1, rest2: 1 - beta1 and 1 - beta2. log1, log2: the logarithms of beta1 and beta2, for 1 - beta^count. All four are
// given, because 1 - beta in float32 is off by 5e-5 for a beta of 0.999.
template <class V, class G, class M, class S, class T>
__device__ void adam(int i, V&& values, G&& gradients, M&& mean, S&& square, const T* count, const T* rates,
                     const long long* step_index, T beta1, T beta2, T rest1, T rest2, T log1, T log2,
                     T epsilon) {
    T gradient = gradients[i];
    T m = T(mean[i]) * beta1 + gradient * rest1;
    T v = T(square[i]) * beta2 + gradient * gradient * rest2;
    mean[i] = m;
    square[i] = v;
    T size = root(v / -exp_minus_one(count[0] * log2)) + epsilon;
    values[i] -= m / size * (rates[step_index[0]] / -exp_minus_one(count[0] * log1));
}

// factor: scales a vector to at most the norm `limit`; parts: partial sums of its squares.
template <class T> __device__ void clip_factor(int i, const double* parts, T* factor, int blocks, double limit) {
    double sum = 0;
    for (int block = 0; block < blocks; block++) sum += parts[block];
    double length = sqrt(sum);
    factor[0] = T(length > limit ? limit / length : 1);
}

template <class V, class T> __device__ void multiply_by(int i, V&& values, const T* factor) { values[i] *= factor[0]; }

// Learning: what a step does beside the passes, each function for the one value with number i. See Operations.

// out: (..., batch) with `values` numbers an example; table: (examples, values).
template <class T, class O>
__device__ void gather(int i, const T* table, const long long* order, const long long* clock, O&& out, Layout out_at,
                       int values, Divisor batch, int width, int first) {
    int value = i / batch, example = i - value * batch.by;
    long long row = order[clock[0] * width + first + example];
    out[at(out_at, i)] = table[row * values + value];
}

__device__ void advance(int i, long long* clock, unsigned* moment, const int* fine) {
    if (fine[0] == 0) return;
    clock[0] += 1;
    moment[0] += 1;
}

// Many may find a bad value at once: all write the same.
template <class V> __device__ void check(int i, V&& values, Layout values_at, int* fine) {
    Value<V> value = values[at(values_at, i)];
    if (!(value - value == 0)) fine[0] = 0;
}

template <class T>
__device__ void record(int i, const T* loss, const long long* clock, T* losses, int batch) {
    T sum = 0;
    for (int n = 0; n < batch; n++) sum += loss[n];
    losses[clock[0]] = sum / batch;
}

template <class T> __device__ void count_up(int i, T* count) { count[0] += 1; }

// Below, all arrays but rates, clock and count are flat and equally long.

template <class V, class W, class G>
__device__ void penalise(int i, V&& values, W&& weights, G&& gradients, Value<G> strength) {
    typedef Value<G> T;
    gradients[i] += T(values[i]) * (T(weights[i]) * strength);
}

template <class V, class W, class T>
__device__ void decay(int i, V&& values, W&& weights, const T* rates, const long long* clock, T strength) {
    values[i] -= T(values[i]) * (T(weights[i]) * strength) * rates[clock[0]];
}

template <class V, class G, class M, class T>
__device__ void sgd(int i, V&& values, G&& gradients, M&& velocity, const T* rates, const long long* clock, T momentum,
                    int nesterov) {
    T pull = T(gradients[i]) * rates[clock[0]];
    T moved = T(velocity[i]) * momentum - pull;
    velocity[i] = moved;
    values[i] += nesterov ? moved * momentum - pull : moved;
}

__device__ float one_less(float x) { return expm1f(x); }
__device__ double one_less(double x) { return expm1(x); }
__device__ float root(float x) { return sqrtf(x); }
__device__ double root(double x) { return sqrt(x); }

// log1, log2: the logarithms of beta1 and beta2: 1 - beta^count is what is left of 1, told without cancellation.
template <class V, class G, class M, class S, class T>
__device__ void adam(int i, V&& values, G&& gradients, M&& mean, S&& square, const T* count, const T* rates,
                     const long long* clock, T beta1, T beta2, T log1, T log2, T epsilon) {
    T gradient = gradients[i];
    T m = T(mean[i]) * beta1 + gradient * (1 - beta1);
    T v = T(square[i]) * beta2 + gradient * gradient * (1 - beta2);
    mean[i] = m;
    square[i] = v;
    T size = root(v / -one_less(count[0] * log2)) + epsilon;
    values[i] -= m / size * (rates[clock[0]] / -one_less(count[0] * log1));
}

// factor: what shortens a vector of these squares, summed in parts, to the length `limit`.
template <class T> __device__ void shorten(int i, const double* parts, T* factor, int blocks, double limit) {
    double sum = 0;
    for (int block = 0; block < blocks; block++) sum += parts[block];
    double length = sqrt(sum);
    factor[0] = T(length > limit ? limit / length : 1);
}

template <class V, class T> __device__ void shorten_by(int i, V&& values, const T* factor) { values[i] *= factor[0]; }

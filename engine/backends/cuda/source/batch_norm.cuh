// Batch normalization: each function computes the statistics of channel i, or element i of maps with `count` values per
// channel; the reductions are in batch_statistics.cu. See Ops.batch_norm.

// Means and squared deviations of slices, combined one by one (Chan, Golub, LeVeque 1983).
template <class T, class M, class V, class S>
__device__ void combine_statistics(int i, const T* parts, M&& mean, V&& variance, S&& scale, int slices, int size,
                                   int count, T epsilon) {
    T average = parts[i * slices * 2], squares = parts[i * slices * 2 + 1];
    int seen = min(size, count);
    for (int slice = 1; slice < slices; slice++) {
        int more = min(size, count - slice * size);
        T distance = parts[(i * slices + slice) * 2] - average, factor = T(more) / (seen + more);
        squares += parts[(i * slices + slice) * 2 + 1] + distance * distance * seen * factor;
        average += distance * factor;
        seen += more;
    }
    mean[i] = average;
    variance[i] = squares / count;
    scale[i] = 1 / root(squares / count + epsilon);
}

template <class T, class M, class S>
__device__ void load_running_statistics(int i, const T* buffers, M&& mean, S&& scale, int channels, T epsilon) {
    mean[i] = buffers[i];
    scale[i] = 1 / root(buffers[channels + i] + epsilon);
}

template <class X, class T, class Y>
__device__ void normalize(int i, X&& x, Layout x_at, const T* mean, const T* scale, const T* parameters,
                          Y&& y, Layout y_at, int channels, Divisor count) {
    int channel = i / count;
    T normal = (T(x[at(x_at, i)]) - mean[channel]) * scale[channel];
    y[at(y_at, i)] = normal * parameters[channel] + parameters[channels + channel];
}

// sums: of dy and of dy x normalized x, (2, channels); dparameters: of weight and bias, (2, channels).
template <class T>
__device__ void combine_gradients(int i, const T* parts, T* sums, T* dparameters, int channels, int slices) {
    T one = 0, two = 0;
    for (int slice = 0; slice < slices; slice++) {
        one += parts[(i * slices + slice) * 2];
        two += parts[(i * slices + slice) * 2 + 1];
    }
    sums[i] = one;
    sums[channels + i] = two;
    if (dparameters == nullptr) return;
    dparameters[i] = two;
    dparameters[channels + i] = one;
}

// factor: 1 / count if the gradient flows through the batch's mean and variance, else 0.
template <class X, class T, class D, class G>
__device__ void normalize_gradient(int i, X&& x, Layout x_at, const T* mean, const T* scale, const T* parameters,
                                   const T* sums, D&& dy, Layout dy_at, G&& dx, Layout dx_at, int channels,
                                   Divisor count, T factor) {
    int channel = i / count;
    T normal = (T(x[at(x_at, i)]) - mean[channel]) * scale[channel];
    T centered = T(dy[at(dy_at, i)]) - (sums[channel] + normal * sums[channels + channel]) * factor;
    dx[at(dx_at, i)] = centered * parameters[channel] * scale[channel];
}

// kept: 1 - momentum.
template <class M, class V, class T>
__device__ void update_running_statistics(int i, M&& mean, V&& variance, T* buffers, int channels, T kept,
                                          T momentum, T correction) {
    buffers[i] = buffers[i] * kept + T(mean[i]) * momentum;
    buffers[channels + i] = buffers[channels + i] * kept + T(variance[i]) * correction * momentum;
}

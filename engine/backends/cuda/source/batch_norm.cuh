// Batch normalization, beside the sums over a channel (moments.cu): each function makes the numbers of channel i, or
// the one value with number i of maps with `count` values a channel. See Operations.batch_norm.

// The parts' means and squared distances, joined one after the other (Chan, Golub, LeVeque 1983).
template <class T, class M, class V, class S>
__device__ void batch_statistics(int i, const T* parts, M&& mean, V&& variance, S&& scale, int slices, int each,
                                 int count, T epsilon) {
    T middle = parts[i * slices * 2], squares = parts[i * slices * 2 + 1];
    int seen = min(each, count);
    for (int slice = 1; slice < slices; slice++) {
        int more = min(each, count - slice * each);
        T distance = parts[(i * slices + slice) * 2] - middle, share = T(more) / (seen + more);
        squares += parts[(i * slices + slice) * 2 + 1] + distance * distance * seen * share;
        middle += distance * share;
        seen += more;
    }
    mean[i] = middle;
    variance[i] = squares / count;
    scale[i] = 1 / root(squares / count + epsilon);
}

template <class T, class M, class S>
__device__ void running_statistics(int i, const T* state, M&& mean, S&& scale, int channels, T epsilon) {
    mean[i] = state[i];
    scale[i] = 1 / root(state[channels + i] + epsilon);
}

template <class X, class T, class Y>
__device__ void normalize(int i, X&& x, Layout x_at, const T* mean, const T* scale, const T* block, Y&& y, Layout y_at,
                          int channels, Divisor count) {
    int channel = i / count;
    T normal = (T(x[at(x_at, i)]) - mean[channel]) * scale[channel];
    y[at(y_at, i)] = normal * block[channel] + block[channels + channel];
}

// sums: of dy and of dy x normalized x, (2, channels); dblock: of weight and bias, (2, channels).
template <class T>
__device__ void batch_gradients(int i, const T* parts, T* sums, T* dblock, int channels, int slices) {
    T one = 0, two = 0;
    for (int slice = 0; slice < slices; slice++) {
        one += parts[(i * slices + slice) * 2];
        two += parts[(i * slices + slice) * 2 + 1];
    }
    sums[i] = one;
    sums[channels + i] = two;
    if (dblock == nullptr) return;
    dblock[i] = two;
    dblock[channels + i] = one;
}

// share: 1 / count where mean and variance are the batch's and the gradient flows through them too, else 0.
template <class X, class T, class D, class G>
__device__ void normalize_gradient(int i, X&& x, Layout x_at, const T* mean, const T* scale, const T* block,
                                   const T* sums, D&& dy, Layout dy_at, G&& dx, Layout dx_at, int channels,
                                   Divisor count, T share) {
    int channel = i / count;
    T normal = (T(x[at(x_at, i)]) - mean[channel]) * scale[channel];
    T pulled = T(dy[at(dy_at, i)]) - (sums[channel] + normal * sums[channels + channel]) * share;
    dx[at(dx_at, i)] = pulled * block[channel] * scale[channel];
}

template <class M, class V, class T>
__device__ void settle(int i, M&& mean, V&& variance, T* state, int channels, T momentum, T corrected) {
    state[i] = state[i] * (1 - momentum) + T(mean[i]) * momentum;
    state[channels + i] = state[channels + i] * (1 - momentum) + T(variance[i]) * corrected * momentum;
}

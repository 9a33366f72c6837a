// moments: sums over parts of a channel, for batch normalization. Block (slice, channel) goes through its part of the
// channel's `count` values and leaves two numbers in parts[channel][slice]: the mean and the sum of the squared
// distances from it, or, on the way back (BACK), the sums of dy and of dy x normalized x. See batch_norm.cuh.

enum { BLOCK = 256 };

__device__ REAL total(REAL mine, REAL* threads) {
    __syncthreads();
    threads[threadIdx.x] = mine;
    __syncthreads();
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) threads[threadIdx.x] += threads[threadIdx.x + half];
        __syncthreads();
    }
    return threads[0];
}

extern "C" __global__ void __launch_bounds__(BLOCK)
    moments(const REAL* __restrict__ x, Layout x_at, const REAL* __restrict__ dy, Layout dy_at,
            const REAL* __restrict__ mean, const REAL* __restrict__ scale, REAL* parts, int count, int each) {
    __shared__ REAL threads[BLOCK];
    int channel = blockIdx.y, slice = blockIdx.x, begin = slice * each, end = min(count, begin + each);
    int first = channel * count;
    REAL one = 0, two = 0;
#if BACK
    for (int i = begin + threadIdx.x; i < end; i += BLOCK) {
        REAL gradient = dy[at(dy_at, first + i)];
        one += gradient;
        two += gradient * (x[at(x_at, first + i)] - mean[channel]) * scale[channel];
    }
    one = total(one, threads);
#else
    for (int i = begin + threadIdx.x; i < end; i += BLOCK) one += x[at(x_at, first + i)];
    one = total(one, threads) / (end - begin);
    for (int i = begin + threadIdx.x; i < end; i += BLOCK) {
        REAL distance = x[at(x_at, first + i)] - one;
        two += distance * distance;
    }
#endif
    two = total(two, threads);
    if (threadIdx.x > 0) return;
    parts[(channel * gridDim.x + slice) * 2] = one;
    parts[(channel * gridDim.x + slice) * 2 + 1] = two;
}

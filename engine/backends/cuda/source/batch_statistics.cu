// batch_statistics: reductions over slices of a channel, for batch normalization. Block (channel, slice) reduces its
// part of the channel's `count` values to two numbers in parts[channel][slice]: the mean and the sum of squared
// deviations, or in the backward pass (BACKWARD) the sums of dy and of dy x normalized x. See batch_norm.cuh.

enum { BLOCK = 256 };

__device__ REAL total(REAL own, REAL* threads) {
    __syncthreads();
    threads[threadIdx.x] = own;
    __syncthreads();
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) threads[threadIdx.x] += threads[threadIdx.x + half];
        __syncthreads();
    }
    return threads[0];
}

extern "C" __global__ void __launch_bounds__(BLOCK)
    batch_statistics(const REAL* __restrict__ x, Layout x_at, const REAL* __restrict__ dy, Layout dy_at,
            const REAL* __restrict__ mean, const REAL* __restrict__ scale, REAL* parts, int count, int size) {
    __shared__ REAL threads[BLOCK];
    int channel = blockIdx.x, slice = blockIdx.y, begin = slice * size, end = min(count, begin + size);
    int first = channel * count;
    REAL one = 0, two = 0;
#if BACKWARD
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
        REAL deviation = x[at(x_at, first + i)] - one;
        two += deviation * deviation;
    }
#endif
    two = total(two, threads);
    if (threadIdx.x > 0) return;
    parts[(channel * gridDim.y + slice) * 2] = one;
    parts[(channel * gridDim.y + slice) * 2 + 1] = two;
}

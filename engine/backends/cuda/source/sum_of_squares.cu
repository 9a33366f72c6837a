// sum_of_squares: parts[block] = the sum of the squares of this block's values (grid-stride loop), in double, as a
// square may overflow a float.

extern "C" __global__ void __launch_bounds__(256)
    sum_of_squares(const REAL* __restrict__ values, int count, double* parts) {
    __shared__ double threads[256];
    double sum = 0;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < count; i += gridDim.x * 256) sum += double(values[i]) * values[i];
    threads[threadIdx.x] = sum;
    __syncthreads();
    for (int half = 128; half > 0; half /= 2) {
        if (threadIdx.x < half) threads[threadIdx.x] += threads[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) parts[blockIdx.x] = threads[0];
}

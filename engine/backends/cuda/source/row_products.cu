// row_products: out = left x right, for few columns (COLUMNS). A block computes a row: each thread sums every
// THREADS-th product, and the results are added in a fixed order.

extern "C" __global__ void __launch_bounds__(THREADS)
    row_products(const REAL* __restrict__ left, int left_down, const REAL* __restrict__ right, int right_down,
                 int right_along, REAL* out, int out_down, int out_along, int inner EPILOGUE_PARAMETERS) {
    __shared__ REAL found[COLUMNS][THREADS];
    const REAL* row = left + blockIdx.x * left_down;
    REAL sums[COLUMNS] = {};
    #pragma unroll 4
    for (int k = threadIdx.x; k < inner; k += THREADS) {
        REAL value = row[k];
        #pragma unroll
        for (int n = 0; n < COLUMNS; n++) sums[n] += value * right[k * right_down + n * right_along];
    }
    #pragma unroll
    for (int n = 0; n < COLUMNS; n++) found[n][threadIdx.x] = sums[n];
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            #pragma unroll
            for (int n = 0; n < COLUMNS; n++) found[n][threadIdx.x] += found[n][threadIdx.x + half];
    }
    if (threadIdx.x > 0) return;
    #pragma unroll
    for (int n = 0; n < COLUMNS; n++) {
        REAL sum = found[n][0];
        int i = blockIdx.x * COLUMNS + n;
        out[blockIdx.x * out_down + n * out_along] = sum;
        EPILOGUE(i, sum, sum)
    }
}

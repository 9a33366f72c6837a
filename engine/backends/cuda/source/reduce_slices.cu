// reduce_slices: out[i] = the sum of parts[0..slices][i] in a fixed order, plus bias[i / channel_size * bias_stride] if
// there is a bias. A block of 32 x GROUPS threads computes 32 values: each group sums every GROUPS-th slice, then one
// adds the results.

extern "C" __global__ void __launch_bounds__(32 * GROUPS)
    reduce_slices(const REAL* __restrict__ parts, int slices, int count, REAL* out, Layout out_at,
         const REAL* __restrict__ bias, int bias_stride, int channel_size EPILOGUE_PARAMETERS) {
    __shared__ REAL groups[GROUPS][32];
    int i = blockIdx.x * 32 + threadIdx.x;
    REAL sum = 0;
    if (i < count)
        #pragma unroll 4
        for (int slice = threadIdx.y; slice < slices; slice += GROUPS) sum += parts[slice * count + i];
    groups[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || i >= count) return;
    for (int group = 1; group < GROUPS; group++) sum += groups[group][threadIdx.x];
    if (bias) sum += bias[i / channel_size * bias_stride];
    out[at(out_at, i)] = sum;
    EPILOGUE(i, sum, sum)
}

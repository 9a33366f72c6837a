// sums: out[i] = the sum of parts[0..slices][i], in a fixed order, plus bias[i / values * to_bias] if there is one.
// A block of 32 x GROUPS threads makes 32 values: its groups add up every GROUPS-th slice each, then one adds those.

extern "C" __global__ void __launch_bounds__(32 * GROUPS)
    sums(const REAL* __restrict__ parts, int slices, int count, REAL* out, Layout out_at,
         const REAL* __restrict__ bias, int to_bias, int values MORE_PARAMETERS) {
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
    if (bias) sum += bias[i / values * to_bias];
    out[at(out_at, i)] = sum;
    AFTER(i, sum, sum)
}

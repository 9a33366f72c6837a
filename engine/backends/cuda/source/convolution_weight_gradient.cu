// convolution_weight_gradient: dmatrix = dy x windows, summed over all positions, which are divided among slices. See
// Ops.convolution and convolution_forward.cu. With one slice it writes dmatrix; with more: see matmul.cu.

struct OutputGradient {
    enum { INNER_CONTIGUOUS = true, VECTOR = LEFT_VECTOR };
    typedef const REAL* Base;
    const REAL* dy;
    int outer, plane, row;
    Divisor run;

    __device__ bool has(int kernel) const { return kernel < outer; }
    __device__ Base base(int position) const {
        int line = position / run;
        return dy + line * row + position - line * run.by;
    }
    template <int COUNT> __device__ Vector<COUNT> at(Base base, int kernel) const {
        return *(const Vector<COUNT>*)(base + kernel * plane);
    }
};

struct InputWindows {
    enum { INNER_CONTIGUOUS = true, VECTOR = RIGHT_VECTOR };
    typedef const REAL* Base;
    const REAL* x;
    int outer, plane, row, fan_in;
    Divisor run, batch;

    __device__ bool has(int weight) const { return weight < outer; }
    __device__ Base base(int position) const {
        int line = position / run, along = position - line * run.by;
        if (STRIDE > 1) along += along / batch * (STRIDE - 1) * batch.by;
        return x + line * STRIDE * row + along;
    }
    template <int COUNT> __device__ Vector<COUNT> at(Base corner, int weight) const {
        if (weight == fan_in) {  // the input of the bias
            Vector<COUNT> ones;
            #pragma unroll
            for (int w = 0; w < COUNT; w++) ones.values[w] = 1;
            return ones;
        }
        int channel = weight / (SIZE * SIZE), cell = weight - channel * (SIZE * SIZE), down = cell / SIZE;
        return *(const Vector<COUNT>*)(corner + channel * plane + down * row + (cell - down * SIZE) * batch.by);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS * GROUPS)
    convolution_weight_gradient(const REAL* __restrict__ dy, int dy_plane, int dy_row, const REAL* __restrict__ x,
                                int x_plane, int x_row, REAL* out, int length, int out_channels, int positions,
                                Divisor run, Divisor batch, int fan_in, REAL factor EPILOGUE_PARAMETERS) {
    __shared__ __align__(16) Shared shared;
    OutputGradient left = {dy, out_channels, dy_plane, dy_row, run};
    InputWindows right = {x, length, x_plane, x_row, fan_in, run, batch};
    int row = tile_row(length), column = tile_column(length), slice = blockIdx.y;
    REAL sums[THREAD_M][THREAD_N];
    if (!multiply(left, right, row, column, slice_begin(positions, gridDim.y, slice),
                  slice_begin(positions, gridDim.y, slice + 1), shared, sums))
        return;
    #pragma unroll
    for (int m = 0; m < THREAD_M; m++)
        #pragma unroll
        for (int n = 0; n < THREAD_N; n++) {
            int kernel = row + my_row(m), weight = column + my_column(n);
            if (kernel >= out_channels || weight >= length) continue;
            int i = kernel * length + weight;
            REAL value = sums[m][n] * (weight < fan_in ? factor : REAL(1));
            out[slice * out_channels * length + i] = value;
            if (gridDim.y == 1) { EPILOGUE(i, value, value) }
        }
}

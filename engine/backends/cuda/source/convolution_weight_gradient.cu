// convolution_weight_gradient: dmatrix = gradient x windows, summed over all positions, of which each slice takes a
// part. See Operations.convolution and convolution_forward.cu. With one slice it writes dmatrix; with more: product.cu.

struct Gradients {
    enum { ALONG = true, WIDE = LEFT_WIDE };
    typedef const REAL* Fixed;
    const REAL* dy;
    int sides, plane, row;
    Divisor run;

    __device__ bool has(int feature) const { return feature < sides; }
    __device__ Fixed fix(int position) const {
        int line = position / run;
        return dy + line * row + position - line * run.by;
    }
    template <int COUNT> __device__ Piece<COUNT> at(Fixed fixed, int feature) const {
        return *(const Piece<COUNT>*)(fixed + feature * plane);
    }
};

struct Patches {
    enum { ALONG = true, WIDE = RIGHT_WIDE };
    typedef const REAL* Fixed;
    const REAL* x;
    int sides, plane, row, taps;
    Divisor run, batch;

    __device__ bool has(int tap) const { return tap < sides; }
    __device__ Fixed fix(int position) const {
        int line = position / run, along = position - line * run.by;
        if (STRIDE > 1) along += along / batch * (STRIDE - 1) * batch.by;
        return x + line * STRIDE * row + along;
    }
    template <int COUNT> __device__ Piece<COUNT> at(Fixed corner, int tap) const {
        if (tap == taps) {  // what the bias multiplies
            Piece<COUNT> ones;
            #pragma unroll
            for (int w = 0; w < COUNT; w++) ones.values[w] = 1;
            return ones;
        }
        int channel = tap / (SIZE * SIZE), cell = tap - channel * (SIZE * SIZE), down = cell / SIZE;
        return *(const Piece<COUNT>*)(corner + channel * plane + down * row + (cell - down * SIZE) * batch.by);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS * GROUPS)
    convolution_weight_gradient(const REAL* __restrict__ dy, int dy_plane, int dy_row, const REAL* __restrict__ x,
                                int x_plane, int x_row, REAL* out, int length, int features, int positions, Divisor run,
                                Divisor batch, int taps, REAL share MORE_PARAMETERS) {
    __shared__ __align__(16) Shared shared;
    Gradients left = {dy, features, dy_plane, dy_row, run};
    Patches right = {x, length, x_plane, x_row, taps, run, batch};
    int row = blockIdx.y * TILE_M, column = blockIdx.x * TILE_N, slice = blockIdx.z;
    REAL sums[EACH_M][EACH_N];
    if (!multiply(left, right, row, column, cut(positions, gridDim.z, slice), cut(positions, gridDim.z, slice + 1),
                  shared, sums))
        return;
    #pragma unroll
    for (int m = 0; m < EACH_M; m++)
        #pragma unroll
        for (int n = 0; n < EACH_N; n++) {
            int feature = row + my_row(m), tap = column + my_column(n);
            if (feature >= features || tap >= length) continue;
            int i = feature * length + tap;
            REAL value = sums[m][n] * (tap < taps ? share : REAL(1));
            out[slice * features * length + i] = value;
            if (gridDim.z == 1) { AFTER(i, value, value) }
        }
}

// convolution_weight_gradient: dmatrix = gradient x windows, summed over all positions, of which each slice takes a
// part. See Operations.convolution and convolution_forward.cu. With one slice it writes dmatrix; with more: product.cu.

struct Gradients {
    enum { ALONG = true };
    typedef const REAL* Fixed;
    const REAL* dy;
    int sides, plane, row, run;

    __device__ Fixed fix(int position) const {
        int line = position / run;
        return dy + line * row + position - line * run;
    }
    __device__ REAL at(Fixed fixed, int feature) const { return fixed[feature * plane]; }
};

struct Patches {
    enum { ALONG = true };
    typedef const REAL* Fixed;
    const REAL* x;
    int sides, plane, row, run, batch, taps;

    __device__ Fixed fix(int position) const {
        int line = position / run, along = position - line * run;
        if (STRIDE > 1) along += along / batch * (STRIDE - 1) * batch;
        return x + line * STRIDE * row + along;
    }
    __device__ REAL at(Fixed corner, int tap) const {
        if (tap == taps) return 1;  // what the bias multiplies
        int channel = tap / (SIZE * SIZE), cell = tap - channel * (SIZE * SIZE), down = cell / SIZE;
        return corner[channel * plane + down * row + (cell - down * SIZE) * batch];
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    convolution_weight_gradient(const REAL* __restrict__ dy, int dy_plane, int dy_row, const REAL* __restrict__ x,
                                int x_plane, int x_row, REAL* out, int length, int features, int positions, int run,
                                int batch, int taps, REAL share MORE_PARAMETERS) {
    __shared__ __align__(16) LeftTile left_tile;
    __shared__ __align__(16) RightTile right_tile;
    Gradients left = {dy, features, dy_plane, dy_row, run};
    Patches right = {x, length, x_plane, x_row, run, batch, taps};
    int row = blockIdx.y * TILE_M, column = blockIdx.x * TILE_N, slice = blockIdx.z;
    REAL sums[EACH_M][EACH_N];
    multiply(left, right, row, column, cut(positions, gridDim.z, slice), cut(positions, gridDim.z, slice + 1),
             left_tile, right_tile, sums);
    #pragma unroll
    for (int m = 0; m < EACH_M; m++)
        #pragma unroll
        for (int n = 0; n < EACH_N; n++) {
            int feature = row + my_row() + m, tap = column + my_column() + n;
            if (feature >= features || tap >= length) continue;
            int i = feature * length + tap;
            out[slice * features * length + i] = sums[m][n] * (tap < taps ? share : REAL(1));
            if (gridDim.z == 1) { AFTER(i) }
        }
}

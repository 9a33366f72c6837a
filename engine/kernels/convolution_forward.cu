// convolution_forward: y = the match of every feature with every window, as a matrix product whose right side, the
// windows written out as columns, exists only tile by tile. See Operations.convolution.
//
// matrix: (features, taps [+ 1]). x: (C, H, W, N) with its margin. One position is one window of one example.
// Options: SIZE and STRIDE of the window. With more than one slice: see product.cu; sums.cu then adds the bias.

struct Features {
    enum { ALONG = true };
    typedef const REAL* Fixed;
    const REAL* matrix;
    int sides, length;

    __device__ Fixed fix(int tap) const { return matrix + tap; }
    __device__ REAL at(Fixed fixed, int feature) const { return fixed[feature * length]; }
};

struct Patches {
    enum { ALONG = false };
    typedef const REAL* Fixed;
    const REAL* x;
    int sides, plane, row, run, batch;  // run: positions in a row of y

    __device__ Fixed fix(int position) const {
        int line = position / run, along = position - line * run;
        if (STRIDE > 1) along += along / batch * (STRIDE - 1) * batch;
        return x + line * STRIDE * row + along;
    }
    __device__ REAL at(Fixed corner, int tap) const {
        int channel = tap / (SIZE * SIZE), cell = tap - channel * (SIZE * SIZE), down = cell / SIZE;
        return corner[channel * plane + down * row + (cell - down * SIZE) * batch];
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    convolution_forward(const REAL* __restrict__ x, int x_plane, int x_row, const REAL* __restrict__ matrix, int length,
                        REAL* y, int y_plane, int y_row, int features, int positions, int run, int batch, int taps,
                        REAL share MORE_PARAMETERS) {
    __shared__ __align__(16) LeftTile left_tile;
    __shared__ __align__(16) RightTile right_tile;
    Features left = {matrix, features, length};
    Patches right = {x, positions, x_plane, x_row, run, batch};
    int row = blockIdx.y * TILE_M, column = blockIdx.x * TILE_N, slice = blockIdx.z;
    REAL sums[EACH_M][EACH_N];
    multiply(left, right, row, column, cut(taps, gridDim.z, slice), cut(taps, gridDim.z, slice + 1), left_tile,
             right_tile, sums);
    bool whole = gridDim.z == 1;
    REAL bias[EACH_M];
    #pragma unroll
    for (int m = 0; m < EACH_M; m++) {
        int feature = row + my_row() + m;
        bias[m] = whole && length > taps && feature < features ? matrix[feature * length + taps] : REAL(0);
    }
    #pragma unroll
    for (int n = 0; n < EACH_N; n++) {
        int position = column + my_column() + n, line = position / run;
        if (position >= positions) continue;
        #pragma unroll
        for (int m = 0; m < EACH_M; m++) {
            int feature = row + my_row() + m;
            if (feature >= features) continue;
            REAL value = sums[m][n] * share + bias[m];
            int i = feature * positions + position;
            if (whole) {
                y[feature * y_plane + line * y_row + position - line * run] = value;
                AFTER(i)
            } else {
                y[slice * features * positions + i] = value;
            }
        }
    }
}

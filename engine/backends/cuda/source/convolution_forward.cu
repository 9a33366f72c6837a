// convolution_forward: y = the match of every feature with every window, as a matrix product whose right side, the
// windows written out as columns, exists only tile by tile. See Operations.convolution.
//
// matrix: (features, taps [+ 1]). x: (C, H, W, N) with its margin. One position is one window of one example.
// Options: SIZE and STRIDE of the window. With more than one slice: see product.cu; sums.cu then adds the bias.
//
// WINDOWS: y has an even height and width, and a thread makes all four values of each of its windows of 2 x 2, so that
// what needs just those can be done by it at once (WINDOW). The positions of a tile then are: those of the windows'
// first cells, of their second cells, and so on; `half` positions make a row of windows.

// PACKED: the features' weights lie as (taps, features), so that four neighbours are fetched in one piece.
struct Features {
    enum { ALONG = !PACKED, WIDE = LEFT_WIDE };
    typedef const REAL* Fixed;
    const REAL* weights;
    int sides, step;

    __device__ bool has(int feature) const { return feature < sides; }
    __device__ Fixed fix(int place) const { return weights + place; }
    template <int COUNT> __device__ Piece<COUNT> at(Fixed fixed, int place) const {
        return *(const Piece<COUNT>*)(fixed + place * step);
    }
};

struct Patches {
    enum { ALONG = false, WIDE = RIGHT_WIDE, CELL = TILE_N / 4 };
    typedef const REAL* Fixed;
    const REAL* x;
    int positions, plane, row;
    Divisor run, half, batch;  // run: positions in a row of y

    // Which window a column of the product belongs to.
    __device__ int window(int column) const { return column / TILE_N * CELL + column % CELL; }
    __device__ bool has(int column) const { return WINDOWS ? window(column) * 4 < positions : column < positions; }

    // The position that a column of the product stands for.
    __device__ int position(int column) const {
        if (!WINDOWS) return column;
        int place = window(column), cell = column % TILE_N / CELL, line = place / half;
        int along = place - line * half.by;
        return (line * 2 + cell / 2) * run.by + along + (along / batch + cell % 2) * batch.by;
    }
    __device__ Fixed fix(int column) const {
        int place = position(column), line = place / run, along = place - line * run.by;
        if (STRIDE > 1) along += along / batch * (STRIDE - 1) * batch.by;
        return x + line * STRIDE * row + along;
    }
    template <int COUNT> __device__ Piece<COUNT> at(Fixed corner, int tap) const {
        int channel = tap / (SIZE * SIZE), cell = tap - channel * (SIZE * SIZE), down = cell / SIZE;
        return *(const Piece<COUNT>*)(corner + channel * plane + down * row + (cell - down * SIZE) * batch.by);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS * GROUPS)
    convolution_forward(const REAL* __restrict__ x, int x_plane, int x_row, const REAL* __restrict__ matrix, int length,
                        const REAL* __restrict__ weights, int step, REAL* y, int y_plane, int y_row, int features, int positions, Divisor run, Divisor half,
                        Divisor batch, int taps, REAL share MORE_PARAMETERS) {
    __shared__ __align__(16) Shared shared;
    Features left = {weights, PACKED ? step : features, step};
    Patches right = {x, positions, x_plane, x_row, run, half, batch};
    int row = blockIdx.y * TILE_M, column = blockIdx.x * TILE_N, slice = blockIdx.z;
    REAL sums[EACH_M][EACH_N];
    if (!multiply(left, right, row, column, cut(taps, gridDim.z, slice), cut(taps, gridDim.z, slice + 1), shared, sums))
        return;
    bool whole = gridDim.z == 1;
    REAL cells[4];
    #pragma unroll
    for (int m = 0; m < EACH_M; m++) {
        int feature = row + my_row(m);
        if (feature >= features) continue;
        REAL bias = whole && length > taps ? matrix[feature * length + taps] : REAL(0);
        #pragma unroll
        for (int place = 0; place < EACH_N; place++) {
            // Of windows, the four cells of one after the other.
            int n = WINDOWS ? place % 4 * RUN_N + place / 4 : place;
            if (!right.has(column + my_column(n))) continue;
            int position = right.position(column + my_column(n)), line = position / run;
            REAL value = sums[m][n] * share + bias;
            int i = feature * positions + position;
            if (whole) {
                y[feature * y_plane + line * y_row + position - line * run.by] = value;
                AFTER(i, value, cells[place % 4])
            } else {
                y[slice * features * positions + i] = value;
            }
            if (WINDOWS && place % 4 == 3) {
                int w = feature * (positions / 4) + right.window(column + my_column(n));
                WINDOW(w)
            }
        }
    }
}

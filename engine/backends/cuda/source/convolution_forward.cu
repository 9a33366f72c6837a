// convolution_forward: implicit matrix product, whose right operand (im2col) exists only tile by tile. See
// Ops.convolution.
//
// matrix: (out_channels, fan_in [+ 1]). x: (C, H, W, N), padded. A position is one window of one example. Options: SIZE
// and STRIDE of the window. With more than one slice: see matmul.cu; reduce_slices.cu then adds the bias.
//
// WINDOWS: y has an even height and width, and a thread computes all four values of its 2 x 2 windows, so that
// functions of those, such as pooling, can be fused (WINDOW_EPILOGUE). The positions of a tile are then ordered by
// cell: the first cells of all windows, their second cells, and so on; `half` positions are a row of windows.

// PACKED: the weights are (fan_in, out_channels), so that four neighbours are loaded at once.
struct Weights {
    enum { INNER_CONTIGUOUS = !PACKED, VECTOR = LEFT_VECTOR };
    typedef const REAL* Base;
    const REAL* weights;
    int outer, step;

    __device__ bool has(int kernel) const { return kernel < outer; }
    __device__ Base base(int place) const { return weights + place; }
    template <int COUNT> __device__ Vector<COUNT> at(Base base, int place) const {
        return *(const Vector<COUNT>*)(base + place * step);
    }
};

struct InputWindows {
    enum { INNER_CONTIGUOUS = false, VECTOR = RIGHT_VECTOR, CELL = TILE_N / 4 };
    typedef const REAL* Base;
    const REAL* x;
    int positions, plane, row;
    Divisor run, half, batch;  // run: positions in a row of y

    // The window of a column of the product.
    __device__ int window(int column) const { return column / TILE_N * CELL + column % CELL; }
    __device__ bool has(int column) const { return WINDOWS ? window(column) * 4 < positions : column < positions; }

    // The position of a column of the product.
    __device__ int position(int column) const {
        if (!WINDOWS) return column;
        int place = window(column), cell = column % TILE_N / CELL, line = place / half;
        int along = place - line * half.by;
        return (line * 2 + cell / 2) * run.by + along + (along / batch + cell % 2) * batch.by;
    }
    __device__ Base base(int column) const {
        int place = position(column), line = place / run, along = place - line * run.by;
        if (STRIDE > 1) along += along / batch * (STRIDE - 1) * batch.by;
        return x + line * STRIDE * row + along;
    }
    template <int COUNT> __device__ Vector<COUNT> at(Base corner, int weight) const {
        int channel = weight / (SIZE * SIZE), cell = weight - channel * (SIZE * SIZE), down = cell / SIZE;
        return *(const Vector<COUNT>*)(corner + channel * plane + down * row + (cell - down * SIZE) * batch.by);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS * GROUPS)
    convolution_forward(const REAL* __restrict__ x, int x_plane, int x_row, const REAL* __restrict__ matrix, int length,
                        const REAL* __restrict__ weights, int step, REAL* y, int y_plane, int y_row, int out_channels,
                        int positions, Divisor run, Divisor half, Divisor batch, int fan_in,
                        REAL factor EPILOGUE_PARAMETERS) {
    __shared__ __align__(16) Shared shared;
    Weights left = {weights, PACKED ? step : out_channels, step};
    InputWindows right = {x, positions, x_plane, x_row, run, half, batch};
    int row = tile_row(positions), column = tile_column(positions), slice = blockIdx.y;
    REAL sums[THREAD_M][THREAD_N];
    if (!multiply(left, right, row, column, slice_begin(fan_in, gridDim.y, slice),
                  slice_begin(fan_in, gridDim.y, slice + 1), shared, sums))
        return;
    bool whole = gridDim.y == 1;
    REAL cells[4];
    #pragma unroll
    for (int m = 0; m < THREAD_M; m++) {
        int kernel = row + my_row(m);
        if (kernel >= out_channels) continue;
        REAL bias = whole && length > fan_in ? matrix[kernel * length + fan_in] : REAL(0);
        #pragma unroll
        for (int place = 0; place < THREAD_N; place++) {
            // With WINDOWS, the four cells of a window in sequence.
            int n = WINDOWS ? place % 4 * RUN_N + place / 4 : place;
            if (!right.has(column + my_column(n))) continue;
            int position = right.position(column + my_column(n)), line = position / run;
            REAL value = sums[m][n] * factor + bias;
            int i = kernel * positions + position;
            if (whole) {
                y[kernel * y_plane + line * y_row + position - line * run.by] = value;
                EPILOGUE(i, value, cells[place % 4])
            } else {
                y[slice * out_channels * positions + i] = value;
            }
            if (WINDOWS && place % 4 == 3) {
                int w = kernel * (positions / 4) + right.window(column + my_column(n));
                WINDOW_EPILOGUE(w)
            }
        }
    }
}

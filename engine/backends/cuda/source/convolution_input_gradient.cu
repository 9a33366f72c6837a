// convolution_input_gradient: every pixel gathers, over all windows that it stood in, weight x gradient of that
// window's cell, as a matrix product. See Operations.convolution and convolution_forward.cu.
//
// A position is a pixel of one example inside the margin; a member is a feature's weight at one place of its window.

// PACKED: the weights lie as (members, channels), so that four neighbours are fetched in one piece.
struct Weights {
    enum { ALONG = !PACKED, WIDE = LEFT_WIDE };
    typedef const REAL* Fixed;
    const REAL* weights;
    int sides, step;

    __device__ bool has(int channel) const { return channel < sides; }
    __device__ Fixed fix(int place) const {
        if (PACKED) return weights + place;
        int feature = place / (SIZE * SIZE);
        return weights + feature * step + (place - feature * (SIZE * SIZE));
    }
    template <int COUNT> __device__ Piece<COUNT> at(Fixed fixed, int place) const {
        return *(const Piece<COUNT>*)(fixed + place * (PACKED ? step : SIZE * SIZE));
    }
};

struct Cells {
    enum { ALONG = false, WIDE = RIGHT_WIDE };
    struct Fixed {
        int line, along;  // the pixel's place, counted from the margin's corner
    };
    const REAL* dy;
    int sides, plane, row, high, wide, margin;  // high, wide: of dy, a row of it counted in values
    Divisor run, batch;                         // run: pixels x examples in a row

    __device__ bool has(int position) const { return position < sides; }
    __device__ Fixed fix(int position) const {
        int line = position / run;
        return {line + margin, position - line * run.by + margin * batch.by};
    }
    template <int COUNT> __device__ Piece<COUNT> at(Fixed pixel, int member) const {
        Piece<COUNT> none = {};
        int feature = member / (SIZE * SIZE), cell = member - feature * (SIZE * SIZE), down = cell / SIZE;
        int line = pixel.line - down, along = pixel.along - (cell - down * SIZE) * batch.by;
        if (line < 0 || along < 0) return none;
        if (STRIDE > 1) {
            int across = along / batch, example = along - across * batch.by;
            if (line % STRIDE != 0 || across % STRIDE != 0) return none;
            line /= STRIDE;
            along = across / STRIDE * batch.by + example;
        }
        if (line >= high || along >= wide) return none;
        return *(const Piece<COUNT>*)(dy + feature * plane + line * row + along);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS * GROUPS)
    convolution_input_gradient(const REAL* __restrict__ dy, int dy_plane, int dy_row, int high, int wide,
                               const REAL* __restrict__ weights, int step, REAL* dx, int dx_plane, int dx_row,
                               int channels, int positions, Divisor run, Divisor batch, int margin, int members,
                               REAL share MORE_PARAMETERS) {
    __shared__ __align__(16) Shared shared;
    Weights left = {weights, PACKED ? step : channels, step};
    Cells right = {dy, positions, dy_plane, dy_row, high, wide, margin, run, batch};
    int row = blockIdx.y * TILE_M, column = blockIdx.x * TILE_N, slice = blockIdx.z;
    REAL sums[EACH_M][EACH_N];
    if (!multiply(left, right, row, column, cut(members, gridDim.z, slice), cut(members, gridDim.z, slice + 1), shared,
                  sums))
        return;
    #pragma unroll
    for (int n = 0; n < EACH_N; n++) {
        int position = column + my_column(n), line = position / run;
        if (position >= positions) continue;
        #pragma unroll
        for (int m = 0; m < EACH_M; m++) {
            int channel = row + my_row(m);
            if (channel >= channels) continue;
            REAL value = sums[m][n] * share;
            int i = channel * positions + position;
            if (gridDim.z == 1) {
                dx[channel * dx_plane + line * dx_row + position - line * run.by] = value;
                AFTER(i, value, value)
            } else {
                dx[slice * channels * positions + i] = value;
            }
        }
    }
}

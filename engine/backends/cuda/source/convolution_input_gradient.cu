// convolution_input_gradient: for every pixel the sum of weight x gradient over all windows that contain it, as an
// implicit matrix product. See Ops.convolution and convolution_forward.cu.
//
// A position is a pixel of one example inside the padding; k runs over kernels and positions in a kernel.

// PACKED: the weights are (inner, channels), so that four neighbours are loaded at once.
struct Weights {
    enum { INNER_CONTIGUOUS = !PACKED, VECTOR = LEFT_VECTOR };
    typedef const REAL* Base;
    const REAL* weights;
    int outer, step;

    __device__ bool has(int channel) const { return channel < outer; }
    __device__ Base base(int place) const {
        if (PACKED) return weights + place;
        int kernel = place / (SIZE * SIZE);
        return weights + kernel * step + (place - kernel * (SIZE * SIZE));
    }
    template <int COUNT> __device__ Vector<COUNT> at(Base base, int place) const {
        return *(const Vector<COUNT>*)(base + place * (PACKED ? step : SIZE * SIZE));
    }
};

struct OutputGradient {
    enum { INNER_CONTIGUOUS = false, VECTOR = RIGHT_VECTOR };
    struct Base {
        int line, along;  // the pixel's offset from the corner of the padding
    };
    const REAL* dy;
    int outer, plane, row, out_height, out_width, padding;  // of dy; out_width in values, pixels x examples
    Divisor run, batch;                                     // run: pixels x examples in a row of dx

    __device__ bool has(int position) const { return position < outer; }
    __device__ Base base(int position) const {
        int line = position / run;
        return {line + padding, position - line * run.by + padding * batch.by};
    }
    template <int COUNT> __device__ Vector<COUNT> at(Base pixel, int k) const {
        Vector<COUNT> none = {};
        int kernel = k / (SIZE * SIZE), cell = k - kernel * (SIZE * SIZE), down = cell / SIZE;
        int line = pixel.line - down, along = pixel.along - (cell - down * SIZE) * batch.by;
        if (line < 0 || along < 0) return none;
        if (STRIDE > 1) {
            int across = along / batch, example = along - across * batch.by;
            if (line % STRIDE != 0 || across % STRIDE != 0) return none;
            line /= STRIDE;
            along = across / STRIDE * batch.by + example;
        }
        if (line >= out_height || along >= out_width) return none;
        return *(const Vector<COUNT>*)(dy + kernel * plane + line * row + along);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS * GROUPS)
    convolution_input_gradient(const REAL* __restrict__ dy, int dy_plane, int dy_row, int out_height, int out_width,
                               const REAL* __restrict__ weights, int step, REAL* dx, int dx_plane, int dx_row,
                               int channels, int positions, Divisor run, Divisor batch, int padding, int inner,
                               REAL factor EPILOGUE_PARAMETERS) {
    __shared__ __align__(16) Shared shared;
    Weights left = {weights, PACKED ? step : channels, step};
    OutputGradient right = {dy, positions, dy_plane, dy_row, out_height, out_width, padding, run, batch};
    int row = tile_row(positions), column = tile_column(positions), slice = blockIdx.y;
    REAL sums[THREAD_M][THREAD_N];
    if (!multiply(left, right, row, column, slice_begin(inner, gridDim.y, slice),
                  slice_begin(inner, gridDim.y, slice + 1), shared, sums))
        return;
    #pragma unroll
    for (int n = 0; n < THREAD_N; n++) {
        int position = column + my_column(n), line = position / run;
        if (position >= positions) continue;
        #pragma unroll
        for (int m = 0; m < THREAD_M; m++) {
            int channel = row + my_row(m);
            if (channel >= channels) continue;
            REAL value = sums[m][n] * factor;
            int i = channel * positions + position;
            if (gridDim.y == 1) {
                dx[channel * dx_plane + line * dx_row + position - line * run.by] = value;
                EPILOGUE(i, value, value)
            } else {
                dx[slice * channels * positions + i] = value;
            }
        }
    }
}

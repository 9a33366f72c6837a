// matmul: out = left x right, for matrices (rows, inner) x (inner, columns) of any strides.
//
// With one slice it writes `out`; with more, slice z writes partial sums (rows, columns) for reduce_slices.cu.

template <bool CONTIGUOUS, int COUNT_AT_ONCE> struct Matrix {
    enum { INNER_CONTIGUOUS = CONTIGUOUS, VECTOR = COUNT_AT_ONCE };
    struct Base {
        const REAL* start;
    };
    const REAL* values;
    int outer, outer_stride, inner_stride;

    __device__ bool has(int index) const { return index < outer; }
    __device__ Base base(int index) const {
        return {values + index * (INNER_CONTIGUOUS ? inner_stride : outer_stride)};
    }
    template <int COUNT> __device__ Vector<COUNT> at(Base base, int index) const {
        return *(const Vector<COUNT>*)(base.start + index * (INNER_CONTIGUOUS ? outer_stride : inner_stride));
    }
};

extern "C" __global__ void __launch_bounds__(THREADS * GROUPS)
    matmul(const REAL* __restrict__ left, int left_down, int left_along, const REAL* __restrict__ right,
            int right_down, int right_along, REAL* out, int out_down, int out_along, int rows, int columns,
            int inner EPILOGUE_PARAMETERS) {
    __shared__ __align__(16) Shared shared;
    Matrix<LEFT_INNER_CONTIGUOUS, LEFT_VECTOR> lefts = {left, rows, left_down, left_along};
    Matrix<RIGHT_INNER_CONTIGUOUS, RIGHT_VECTOR> rights = {right, columns, right_along, right_down};
    int row = tile_row(columns), column = tile_column(columns), slice = blockIdx.y;
    REAL sums[THREAD_M][THREAD_N];
    if (!multiply(lefts, rights, row, column, slice_begin(inner, gridDim.y, slice),
                  slice_begin(inner, gridDim.y, slice + 1), shared, sums))
        return;
    #pragma unroll
    for (int m = 0; m < THREAD_M; m++)
        #pragma unroll
        for (int n = 0; n < THREAD_N; n++) {
            int to_row = row + my_row(m), to_column = column + my_column(n);
            if (to_row >= rows || to_column >= columns) continue;
            int i = to_row * columns + to_column;
            if (gridDim.y == 1) {
                out[to_row * out_down + to_column * out_along] = sums[m][n];
                EPILOGUE(i, sums[m][n], sums[m][n])
            } else {
                out[slice * rows * columns + i] = sums[m][n];
            }
        }
}

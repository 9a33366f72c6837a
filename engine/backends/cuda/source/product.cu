// product: out = left x right, for matrices (rows, members) x (members, columns) of any strides.
//
// With one slice it writes out; with more, slice z writes parts[z] (rows, columns), and sums.cu adds them up.

template <bool MEMBERS_LIE_CLOSER, int TOGETHER> struct Matrix {
    enum { ALONG = MEMBERS_LIE_CLOSER, WIDE = TOGETHER };
    struct Fixed {
        const REAL* start;
    };
    const REAL* values;
    int sides, to_side, to_member;

    __device__ bool has(int side) const { return side < sides; }
    __device__ Fixed fix(int place) const { return {values + place * (ALONG ? to_member : to_side)}; }
    template <int COUNT> __device__ Piece<COUNT> at(Fixed fixed, int place) const {
        return *(const Piece<COUNT>*)(fixed.start + place * (ALONG ? to_side : to_member));
    }
};

extern "C" __global__ void __launch_bounds__(THREADS * GROUPS)
    product(const REAL* __restrict__ left, int left_down, int left_along, const REAL* __restrict__ right,
            int right_down, int right_along, REAL* out, int out_down, int out_along, int rows, int columns,
            int members MORE_PARAMETERS) {
    __shared__ __align__(16) Shared shared;
    Matrix<LEFT_ALONG, LEFT_WIDE> lefts = {left, rows, left_down, left_along};
    Matrix<RIGHT_ALONG, RIGHT_WIDE> rights = {right, columns, right_along, right_down};
    int row = blockIdx.y * TILE_M, column = blockIdx.x * TILE_N, slice = blockIdx.z;
    REAL sums[EACH_M][EACH_N];
    if (!multiply(lefts, rights, row, column, cut(members, gridDim.z, slice), cut(members, gridDim.z, slice + 1), shared,
                  sums))
        return;
    #pragma unroll
    for (int m = 0; m < EACH_M; m++)
        #pragma unroll
        for (int n = 0; n < EACH_N; n++) {
            int to_row = row + my_row(m), to_column = column + my_column(n);
            if (to_row >= rows || to_column >= columns) continue;
            int i = to_row * columns + to_column;
            if (gridDim.z == 1) {
                out[to_row * out_down + to_column * out_along] = sums[m][n];
                AFTER(i, sums[m][n], sums[m][n])
            } else {
                out[slice * rows * columns + i] = sums[m][n];
            }
        }
}

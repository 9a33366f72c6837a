// Tiles: how the threads of a block share a TILE_M x TILE_N part of a matrix product: they bring DEPTH of the sums'
// members at a time into shared memory, and each multiplies its EACH_M x EACH_N values out of there. While they do,
// the next members are already on their way from global memory.
//
// What is multiplied is an Operand: `sides` rows (or columns) of `end` members each. ALONG says whether neighbours
// in memory are neighbouring members, so that neighbouring threads fetch those. fix(place) settles what does not
// change from one fetch of a thread to the next: its member if ALONG, else its side; at(fixed, place) fetches.

enum { THREADS = (TILE_M / EACH_M) * (TILE_N / EACH_N), MARGIN = 16 / sizeof(REAL) };

typedef REAL LeftTile[DEPTH][TILE_M + MARGIN];
typedef REAL RightTile[DEPTH][TILE_N + MARGIN];

template <int SIDE, class Operand> struct Carrier {
    enum {
        COUNT = SIDE * DEPTH / THREADS,
        SIDES = Operand::ALONG || SIDE <= THREADS ? 1 : SIDE / THREADS,  // different sides a thread fetches
    };
    static_assert(SIDE * DEPTH % THREADS == 0, "the threads share a tile evenly");
    static_assert(Operand::ALONG ? THREADS % DEPTH == 0 : THREADS % SIDE == 0 || SIDE % THREADS == 0,
                  "a thread keeps its member or its sides");

    typename Operand::Fixed fixed[SIDES];
    REAL held[COUNT];

    __device__ int side(int c) const {
        int place = threadIdx.x + c * THREADS;
        return Operand::ALONG ? place / DEPTH : place % SIDE;
    }

    __device__ int member(int c) const {
        int place = threadIdx.x + c * THREADS;
        return Operand::ALONG ? place % DEPTH : place / SIDE;
    }

    __device__ void begin(const Operand& operand, int first) {
        if (Operand::ALONG) return;
        #pragma unroll
        for (int c = 0; c < SIDES; c++) fixed[c] = operand.fix(min(first + side(c), operand.sides - 1));
    }

    __device__ void fetch(const Operand& operand, int first, int from, int end) {
        if (Operand::ALONG) fixed[0] = operand.fix(min(from + member(0), end - 1));
        #pragma unroll
        for (int c = 0; c < COUNT; c++) {
            bool inside = first + side(c) < operand.sides && from + member(c) < end;
            int place = Operand::ALONG ? first + side(c) : from + member(c);
            held[c] = inside ? operand.at(fixed[c % SIDES], place) : REAL(0);
        }
    }

    __device__ void put(REAL (*tile)[SIDE + MARGIN]) const {
        #pragma unroll
        for (int c = 0; c < COUNT; c++) tile[member(c)][side(c)] = held[c];
    }
};

__device__ int my_row() { return threadIdx.x / (TILE_N / EACH_N) * EACH_M; }
__device__ int my_column() { return threadIdx.x % (TILE_N / EACH_N) * EACH_N; }

// sums: this thread's part of rows row.. and columns column.. of left x right, over members from begin to end.
template <class Left, class Right>
__device__ void multiply(const Left& left, const Right& right, int row, int column, int begin, int end,
                         LeftTile& left_tile, RightTile& right_tile, REAL (&sums)[EACH_M][EACH_N]) {
    Carrier<TILE_M, Left> lefts;
    Carrier<TILE_N, Right> rights;
    lefts.begin(left, row);
    rights.begin(right, column);
    #pragma unroll
    for (int m = 0; m < EACH_M; m++)
        #pragma unroll
        for (int n = 0; n < EACH_N; n++) sums[m][n] = 0;
    lefts.fetch(left, row, begin, end);
    rights.fetch(right, column, begin, end);
    for (int k = begin; k < end; k += DEPTH) {
        lefts.put(left_tile);
        rights.put(right_tile);
        __syncthreads();
        if (k + DEPTH < end) {
            lefts.fetch(left, row, k + DEPTH, end);
            rights.fetch(right, column, k + DEPTH, end);
        }
        // All of it at once would need more registers than there are.
        #pragma unroll 8
        for (int d = 0; d < DEPTH; d++) {
            REAL mine[EACH_M], yours[EACH_N];
            #pragma unroll
            for (int m = 0; m < EACH_M; m++) mine[m] = left_tile[d][my_row() + m];
            #pragma unroll
            for (int n = 0; n < EACH_N; n++) yours[n] = right_tile[d][my_column() + n];
            #pragma unroll
            for (int m = 0; m < EACH_M; m++)
                #pragma unroll
                for (int n = 0; n < EACH_N; n++) sums[m][n] += mine[m] * yours[n];
        }
        __syncthreads();
    }
}

// A long sum is cut into `slices` parts for as many blocks, which sums.cu adds up. Where slice z begins.
__device__ int cut(int members, int slices, int slice) {
    int each = (members + slices - 1) / slices;
    each = (each + DEPTH - 1) / DEPTH * DEPTH;
    return min(members, each * slice);
}

// Tiles: how the threads of a block share a TILE_M x TILE_N part of a matrix product. They bring DEPTH of the sums'
// members at a time into shared memory, and each multiplies its EACH_M x EACH_N values out of there. While they do,
// the next members are already on their way from global memory. GROUPS of THREADS threads each go through a part of
// the members; in the end the first group adds up what the others found, in their order.
//
// What is multiplied is an Operand: `sides` rows (or columns) of members. ALONG says whether neighbours in memory are
// neighbouring members, so that neighbouring threads fetch those; WIDE, how many neighbours are fetched in one piece,
// 1 or 4: then they lie at a multiple of four values, and are all there or none. fix(place) settles what does not
// change from one fetch of a thread to the next: its member if ALONG, else its side; at<Piece>(fixed, place) fetches.
// has(side) says whether there is such a side.
//
// WINDOWS: the columns are places of maps, taken by windows of 2 x 2 of them: see windows.cuh.

#ifndef WINDOWS
#define WINDOWS 0
#endif

enum {
    DOWN = TILE_M / EACH_M,
    ACROSS = TILE_N / EACH_N,
    THREADS = DOWN * ACROSS,
    // A thread's values are runs of neighbours, the runs as far apart as can be: so that the threads of a warp read
    // neighbouring places of shared memory. Of windows, a run lies in one of their four cells.
    RUN_M = EACH_M < 4 ? EACH_M : 4,
    RUN_N = WINDOWS ? EACH_N / 4 : EACH_N < 4 ? EACH_N : 4,
    BETWEEN_M = TILE_M / (EACH_M / RUN_M),
    BETWEEN_N = TILE_N / (EACH_N / RUN_N),
    // Warps are squares of 4 x 8 threads where they fit.
    SQUARE = ACROSS % 8 == 0 && DOWN % 4 == 0,
    MARGIN = 16 / sizeof(REAL),
};

template <int COUNT> struct __align__(COUNT * sizeof(REAL) < 16 ? COUNT * sizeof(REAL) : 16) Piece {
    REAL values[COUNT];
};

struct Tile {
    REAL left[2][DEPTH][TILE_M + MARGIN];
    REAL right[2][DEPTH][TILE_N + MARGIN];
};

union Shared {
    Tile tiles[GROUPS];
    REAL parts[GROUPS > 1 ? GROUPS - 1 : 1][GROUPS > 1 ? EACH_M * EACH_N : 1][THREADS];  // of the sums
};

__device__ int my_group() { return threadIdx.x / THREADS; }

__device__ int my_row(int m) {
    int thread = threadIdx.x % THREADS;
    int down = SQUARE ? thread / 32 / (ACROSS / 8 > 0 ? ACROSS / 8 : 1) * 4 + thread / 8 % 4 : thread / ACROSS;
    return m / RUN_M * BETWEEN_M + down * RUN_M + m % RUN_M;
}

__device__ int my_column(int n) {
    int thread = threadIdx.x % THREADS;
    int across = SQUARE ? thread / 32 % (ACROSS / 8 > 0 ? ACROSS / 8 : 1) * 8 + thread % 8 : thread % ACROSS;
    return n / RUN_N * BETWEEN_N + across * RUN_N + n % RUN_N;
}

template <int SIDE, class Operand> struct Carrier {
    enum {
        WIDE = Operand::WIDE,
        LINE = (Operand::ALONG ? DEPTH : SIDE) / WIDE,  // pieces that lie one after the other
        PIECES = SIDE * DEPTH / WIDE,
        COUNT = (PIECES + THREADS - 1) / THREADS,
        SIDES = Operand::ALONG || LINE <= THREADS ? 1 : LINE / THREADS,  // different sides a thread fetches
    };
    static_assert(THREADS % LINE == 0 || (!Operand::ALONG && LINE % THREADS == 0), "a thread keeps its place");

    typename Operand::Fixed fixed[SIDES];
    bool there[SIDES];
    Piece<WIDE> held[COUNT];

    __device__ int place(int c) const { return threadIdx.x % THREADS + c * THREADS; }
    __device__ int side(int c) const { return Operand::ALONG ? place(c) / LINE : place(c) % LINE * WIDE; }
    __device__ int member(int c) const { return Operand::ALONG ? place(c) % LINE * WIDE : place(c) / LINE; }

    __device__ void begin(const Operand& operand, int first) {
        #pragma unroll
        for (int c = 0; c < (Operand::ALONG ? 0 : SIDES); c++) {
            there[c] = operand.has(first + side(c));
            fixed[c] = operand.fix(there[c] ? first + side(c) : first);
        }
    }

    __device__ void fetch(const Operand& operand, int first, int from, int end) {
        if (Operand::ALONG) {
            there[0] = from + member(0) < end;
            fixed[0] = operand.fix(there[0] ? from + member(0) : 0);
        }
        #pragma unroll
        for (int c = 0; c < COUNT; c++) {
            bool inside = there[c % SIDES] && (Operand::ALONG ? operand.has(first + side(c)) : from + member(c) < end);
            if (PIECES % THREADS != 0 && place(c) >= PIECES) inside = false;
            Piece<WIDE> none = {};
            held[c] = inside ? operand.template at<WIDE>(fixed[c % SIDES], Operand::ALONG ? first + side(c) : from + member(c))
                             : none;
        }
    }

    __device__ void put(REAL (*tile)[SIDE + MARGIN]) const {
        #pragma unroll
        for (int c = 0; c < COUNT; c++) {
            if (PIECES % THREADS != 0 && place(c) >= PIECES) continue;
            if (Operand::ALONG) {
                #pragma unroll
                for (int w = 0; w < WIDE; w++) tile[member(c) + w][side(c)] = held[c].values[w];
            } else {
                *(Piece<WIDE>*)&tile[member(c)][side(c)] = held[c];
            }
        }
    }
};

// sums: this thread's part of rows row.. and columns column.. of left x right, over members from begin to end. True
// for the threads that hold them in the end.
template <class Left, class Right>
__device__ bool multiply(const Left& left, const Right& right, int row, int column, int begin, int end, Shared& shared,
                         REAL (&sums)[EACH_M][EACH_N]) {
    int steps = ((end - begin + GROUPS - 1) / GROUPS + DEPTH - 1) / DEPTH;
    int from = begin + my_group() * steps * DEPTH;
    end = min(end, from + steps * DEPTH);
    Tile& tile = shared.tiles[my_group()];
    Carrier<TILE_M, Left> lefts;
    Carrier<TILE_N, Right> rights;
    lefts.begin(left, row);
    rights.begin(right, column);
    #pragma unroll
    for (int m = 0; m < EACH_M; m++)
        #pragma unroll
        for (int n = 0; n < EACH_N; n++) sums[m][n] = 0;
    lefts.fetch(left, row, from, end);
    rights.fetch(right, column, from, end);
    lefts.put(tile.left[0]);
    rights.put(tile.right[0]);
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        bool more = step + 1 < steps;
        int now = step % 2;
        if (more) {
            lefts.fetch(left, row, from + (step + 1) * DEPTH, end);
            rights.fetch(right, column, from + (step + 1) * DEPTH, end);
        }
        // All of it at once would need more registers than there are.
        #pragma unroll 8
        for (int d = 0; d < DEPTH; d++) {
            Piece<RUN_M> mine[EACH_M / RUN_M];
            Piece<RUN_N> yours[EACH_N / RUN_N];
            #pragma unroll
            for (int m = 0; m < EACH_M / RUN_M; m++) mine[m] = *(Piece<RUN_M>*)&tile.left[now][d][my_row(m * RUN_M)];
            #pragma unroll
            for (int n = 0; n < EACH_N / RUN_N; n++)
                yours[n] = *(Piece<RUN_N>*)&tile.right[now][d][my_column(n * RUN_N)];
            #pragma unroll
            for (int m = 0; m < EACH_M; m++)
                #pragma unroll
                for (int n = 0; n < EACH_N; n++)
                    sums[m][n] += mine[m / RUN_M].values[m % RUN_M] * yours[n / RUN_N].values[n % RUN_N];
        }
        if (more) {
            lefts.put(tile.left[1 - now]);
            rights.put(tile.right[1 - now]);
        }
        __syncthreads();
    }
    if (GROUPS == 1) return true;
    int thread = threadIdx.x % THREADS;
    if (my_group() > 0)
        #pragma unroll
        for (int m = 0; m < EACH_M; m++)
            #pragma unroll
            for (int n = 0; n < EACH_N; n++) shared.parts[my_group() - 1][m * EACH_N + n][thread] = sums[m][n];
    __syncthreads();
    if (my_group() > 0) return false;
    for (int group = 0; group < GROUPS - 1; group++)
        #pragma unroll
        for (int m = 0; m < EACH_M; m++)
            #pragma unroll
            for (int n = 0; n < EACH_N; n++) sums[m][n] += shared.parts[group][m * EACH_N + n][thread];
    return true;
}

// A long sum is cut into `slices` parts for as many blocks, which sums.cu adds up. Where slice z begins.
__device__ int cut(int members, int slices, int slice) {
    int each = (members + slices - 1) / slices;
    each = (each + DEPTH - 1) / DEPTH * DEPTH;
    return min(members, each * slice);
}

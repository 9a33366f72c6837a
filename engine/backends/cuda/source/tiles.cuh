// Tiled matrix product of a block: a TILE_M x TILE_N tile, of which each thread computes THREAD_M x THREAD_N values.
// Operands are loaded into shared memory DEPTH steps of the inner axis (k) at a time, double-buffered: the next ones
// are loaded while the current ones are multiplied. GROUPS groups of THREADS threads each sum a part of the inner axis;
// at the end the first group adds the sums of the others in a fixed order.
//
// An Operand has `outer` rows (left) or columns (right) along the inner axis. INNER_CONTIGUOUS: neighbours in memory
// are neighbours along k, and are loaded by neighbouring threads. VECTOR: values loaded at once, 1 or 4, which are
// aligned to four values and either all valid or all out of range. base(index) is the part of the address that a thread
// reuses: for its k if INNER_CONTIGUOUS, else for its outer index; at<COUNT>(base, index) loads. has(index): outer
// index in range.
//
// WINDOWS: the columns are positions of feature maps in the order of 2 x 2 windows; see convolution_forward.cu.

#ifndef WINDOWS
#define WINDOWS 0
#endif

enum {
    THREADS_M = TILE_M / THREAD_M,
    THREADS_N = TILE_N / THREAD_N,
    THREADS = THREADS_M * THREADS_N,
    // A thread's values are runs of neighbours, as far apart as possible, so that the threads of a warp read adjacent
    // shared memory. With WINDOWS, a run is in one of the four cells of its windows.
    RUN_M = THREAD_M < 4 ? THREAD_M : 4,
    RUN_N = WINDOWS ? THREAD_N / 4 : THREAD_N < 4 ? THREAD_N : 4,
    RUN_STRIDE_M = TILE_M / (THREAD_M / RUN_M),
    RUN_STRIDE_N = TILE_N / (THREAD_N / RUN_N),
    // Warps cover 4 x 8 threads where possible.
    SQUARE_WARPS = THREADS_N % 8 == 0 && THREADS_M % 4 == 0,
    WARPS_N = THREADS_N / 8 > 0 ? THREADS_N / 8 : 1,
    PAD = 16 / sizeof(REAL),
};

template <int COUNT> struct __align__(COUNT * sizeof(REAL) < 16 ? COUNT * sizeof(REAL) : 16) Vector {
    REAL values[COUNT];
};

struct Tile {
    REAL left[2][DEPTH][TILE_M + PAD];
    REAL right[2][DEPTH][TILE_N + PAD];
};

union Shared {
    Tile tiles[GROUPS];
    REAL parts[GROUPS > 1 ? GROUPS - 1 : 1][GROUPS > 1 ? THREAD_M * THREAD_N : 1][THREADS];  // of the sums
};

// The first row and column of the block's tile of a product with so many columns. Tiles are numbered along x row by row,
// as a grid may have at most 65,535 blocks along y and z; slices of a sum are along y.
__device__ int tile_row(int columns) { return blockIdx.x / ((columns + TILE_N - 1) / TILE_N) * TILE_M; }
__device__ int tile_column(int columns) { return blockIdx.x % ((columns + TILE_N - 1) / TILE_N) * TILE_N; }

__device__ int my_group() { return threadIdx.x / THREADS; }

__device__ int my_row(int m) {
    int thread = threadIdx.x % THREADS;
    int down = SQUARE_WARPS ? thread / 32 / WARPS_N * 4 + thread / 8 % 4 : thread / THREADS_N;
    return m / RUN_M * RUN_STRIDE_M + down * RUN_M + m % RUN_M;
}

__device__ int my_column(int n) {
    int thread = threadIdx.x % THREADS;
    int across = SQUARE_WARPS ? thread / 32 % WARPS_N * 8 + thread % 8 : thread % THREADS_N;
    return n / RUN_N * RUN_STRIDE_N + across * RUN_N + n % RUN_N;
}

template <int OUTER, class Operand> struct OperandLoader {
    enum {
        VECTOR = Operand::VECTOR,
        LINE = (Operand::INNER_CONTIGUOUS ? DEPTH : OUTER) / VECTOR,  // adjacent vectors in memory
        VECTORS = OUTER * DEPTH / VECTOR,
        COUNT = (VECTORS + THREADS - 1) / THREADS,
        // Distinct outer indices of a thread.
        BASES = Operand::INNER_CONTIGUOUS || LINE <= THREADS ? 1 : LINE / THREADS,
    };
    static_assert(THREADS % LINE == 0 || (!Operand::INNER_CONTIGUOUS && LINE % THREADS == 0),
                  "a thread keeps its bases");

    typename Operand::Base base[BASES];
    bool valid[BASES];
    Vector<VECTOR> loaded[COUNT];

    __device__ int place(int c) const { return threadIdx.x % THREADS + c * THREADS; }
    __device__ int outer(int c) const { return Operand::INNER_CONTIGUOUS ? place(c) / LINE : place(c) % LINE * VECTOR; }
    __device__ int k(int c) const { return Operand::INNER_CONTIGUOUS ? place(c) % LINE * VECTOR : place(c) / LINE; }

    __device__ void prepare(const Operand& operand, int first) {
        #pragma unroll
        for (int c = 0; c < (Operand::INNER_CONTIGUOUS ? 0 : BASES); c++) {
            valid[c] = operand.has(first + outer(c));
            base[c] = operand.base(valid[c] ? first + outer(c) : first);
        }
    }

    __device__ void load(const Operand& operand, int first, int from, int end) {
        if (Operand::INNER_CONTIGUOUS) {
            valid[0] = from + k(0) < end;
            base[0] = operand.base(valid[0] ? from + k(0) : 0);
        }
        #pragma unroll
        for (int c = 0; c < COUNT; c++) {
            bool inside = Operand::INNER_CONTIGUOUS ? operand.has(first + outer(c)) : from + k(c) < end;
            inside = inside && valid[c % BASES];
            if (VECTORS % THREADS != 0 && place(c) >= VECTORS) inside = false;
            Vector<VECTOR> none = {};
            int index = Operand::INNER_CONTIGUOUS ? first + outer(c) : from + k(c);
            loaded[c] = inside ? operand.template at<VECTOR>(base[c % BASES], index) : none;
        }
    }

    __device__ void store(REAL (*tile)[OUTER + PAD]) const {
        #pragma unroll
        for (int c = 0; c < COUNT; c++) {
            if (VECTORS % THREADS != 0 && place(c) >= VECTORS) continue;
            if (Operand::INNER_CONTIGUOUS) {
                #pragma unroll
                for (int w = 0; w < VECTOR; w++) tile[k(c) + w][outer(c)] = loaded[c].values[w];
            } else {
                *(Vector<VECTOR>*)&tile[k(c)][outer(c)] = loaded[c];
            }
        }
    }
};

// sums: this thread's values of the tile at (row, column) of left x right, over k from begin to end. Returns true for
// the threads that hold the final sums.
template <class Left, class Right>
__device__ bool multiply(const Left& left, const Right& right, int row, int column, int begin, int end, Shared& shared,
                         REAL (&sums)[THREAD_M][THREAD_N]) {
    int steps = ((end - begin + GROUPS - 1) / GROUPS + DEPTH - 1) / DEPTH;
    int from = begin + my_group() * steps * DEPTH;
    end = min(end, from + steps * DEPTH);
    Tile& tile = shared.tiles[my_group()];
    OperandLoader<TILE_M, Left> lefts;
    OperandLoader<TILE_N, Right> rights;
    lefts.prepare(left, row);
    rights.prepare(right, column);
    #pragma unroll
    for (int m = 0; m < THREAD_M; m++)
        #pragma unroll
        for (int n = 0; n < THREAD_N; n++) sums[m][n] = 0;
    lefts.load(left, row, from, end);
    rights.load(right, column, from, end);
    lefts.store(tile.left[0]);
    rights.store(tile.right[0]);
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        bool has_next = step + 1 < steps;
        int now = step % 2;
        if (has_next) {
            lefts.load(left, row, from + (step + 1) * DEPTH, end);
            rights.load(right, column, from + (step + 1) * DEPTH, end);
        }
        // Full unrolling would need too many registers.
        #pragma unroll 8
        for (int d = 0; d < DEPTH; d++) {
            Vector<RUN_M> left_values[THREAD_M / RUN_M];
            Vector<RUN_N> right_values[THREAD_N / RUN_N];
            #pragma unroll
            for (int m = 0; m < THREAD_M / RUN_M; m++)
                left_values[m] = *(Vector<RUN_M>*)&tile.left[now][d][my_row(m * RUN_M)];
            #pragma unroll
            for (int n = 0; n < THREAD_N / RUN_N; n++)
                right_values[n] = *(Vector<RUN_N>*)&tile.right[now][d][my_column(n * RUN_N)];
            #pragma unroll
            for (int m = 0; m < THREAD_M; m++)
                #pragma unroll
                for (int n = 0; n < THREAD_N; n++)
                    sums[m][n] += left_values[m / RUN_M].values[m % RUN_M] * right_values[n / RUN_N].values[n % RUN_N];
        }
        if (has_next) {
            lefts.store(tile.left[1 - now]);
            rights.store(tile.right[1 - now]);
        }
        __syncthreads();
    }
    if (GROUPS == 1) return true;
    int thread = threadIdx.x % THREADS;
    if (my_group() > 0)
        #pragma unroll
        for (int m = 0; m < THREAD_M; m++)
            #pragma unroll
            for (int n = 0; n < THREAD_N; n++) shared.parts[my_group() - 1][m * THREAD_N + n][thread] = sums[m][n];
    __syncthreads();
    if (my_group() > 0) return false;
    for (int group = 0; group < GROUPS - 1; group++)
        #pragma unroll
        for (int m = 0; m < THREAD_M; m++)
            #pragma unroll
            for (int n = 0; n < THREAD_N; n++) sums[m][n] += shared.parts[group][m * THREAD_N + n][thread];
    return true;
}

// Split-k: a long sum is divided into `slices` for as many blocks, and reduced by reduce_slices.cu. The first k of a
// slice.
__device__ int slice_begin(int inner, int slices, int slice) {
    int size = (inner + slices - 1) / slices;
    size = (size + DEPTH - 1) / DEPTH * DEPTH;
    return min(inner, size * slice);
}

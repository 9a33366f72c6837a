// Emulates CUDA C kernels on the CPU, to test their results. Every thread of a block is a fiber, so that __syncthreads
// works; blocks run one after the other. Shared memory is filled with NaN at the start of a block.
//
// It does not detect launch limits, and a missing __syncthreads or a race between blocks only if the order of threads or
// blocks matters, so tests run them in several orders: 0 as they are numbered, 1 reversed, any other number is the seed
// of a random one.

// C headers only: C++ headers would dominate the compile time.
#include <setjmp.h>
#include <stdlib.h>
#include <ucontext.h>

#define CUDA_MATHEMATICS(name)        \
    extern "C" double name(double);   \
    extern "C" float name##f(float);
CUDA_MATHEMATICS(exp)
CUDA_MATHEMATICS(expm1)
CUDA_MATHEMATICS(log)
CUDA_MATHEMATICS(sqrt)
CUDA_MATHEMATICS(tanh)

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// One block runs at a time, on one system thread. One section, to be overwritten between blocks.
#define __shared__ static __attribute__((section("shared_memory")))
extern "C" char __start_shared_memory[] __attribute__((weak)), __stop_shared_memory[] __attribute__((weak));

struct dim3 {
    int x, y, z;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

template <class T> static T min(T a, T b) { return a < b ? a : b; }
template <class T> static T max(T a, T b) { return a < b ? b : a; }

static unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }

namespace cuda_on_cpu {

enum State { READY, WAITING, DONE };
struct Fiber {
    ucontext_t start;
    jmp_buf here;
    bool begun;
    State state;
};
const int MOST_THREADS = 1024;
const size_t STACK = 1 << 16;
static Fiber fibers[MOST_THREADS], *current;
static jmp_buf scheduler;
static void (*body)(void**);
static void** arguments;

static void pause(State state) {
    current->state = state;
    if (!_setjmp(current->here)) _longjmp(scheduler, 1);
}

static void live() {
    for (;;) {
        body(arguments);
        pause(DONE);
    }
}

static void resume(int thread) {
    static char* stacks = (char*)malloc(MOST_THREADS * STACK);
    current = &fibers[thread];
    threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / (blockDim.x * blockDim.y)};
    if (_setjmp(scheduler)) return;
    if (current->begun) _longjmp(current->here, 1);
    current->begun = true;
    getcontext(&current->start);
    current->start.uc_stack.ss_sp = stacks + thread * STACK;
    current->start.uc_stack.ss_size = STACK;
    makecontext(&current->start, live, 0);
    setcontext(&current->start);
}

// The numbers below count, in an order; places has room for them.
static unsigned state;
static const int* ordered(int* places, int count, unsigned order) {
    for (int i = 0; i < count; i++) places[i] = order == 1 ? count - 1 - i : i;
    if (order < 2) return places;
    for (int i = count - 1; i > 0; i--) {
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        int j = int(state % unsigned(i + 1)), moved = places[i];
        places[i] = places[j], places[j] = moved;
    }
    return places;
}

// With the gaps that a sanitizer leaves between arrays.
__attribute__((no_sanitize("address", "undefined"))) static void forget_shared_memory() {
    for (char* byte = __start_shared_memory; byte < __stop_shared_memory; byte++) *byte = (char)0xFF;
}

// Whether every thread of the block terminated: a barrier reached by only some of them is a deadlock.
static bool run_block(int threads, unsigned order) {
    static int places[MOST_THREADS];
    forget_shared_memory();
    for (int t = 0; t < threads; t++) fibers[t].state = READY;
    for (;;) {
        ordered(places, threads, order);
        for (int t = 0; t < threads; t++) resume(places[t]);
        int waiting = 0;
        for (int t = 0; t < threads; t++) waiting += fibers[t].state == WAITING;
        if (waiting == 0) return true;
        if (waiting < threads) return false;
        for (int t = 0; t < threads; t++) fibers[t].state = READY;
    }
}

template <size_t... I> struct Numbers {};
template <auto Kernel> struct Launcher;
template <class... A, void (*Kernel)(A...)> struct Launcher<Kernel> {
    template <size_t... I> static void call(void** given, Numbers<I...>) { Kernel(*(A*)given[I]...); }
    static void run(void** given) { call(given, Numbers<__integer_pack(sizeof...(A))...>{}); }
};

// dimensions: of the grid and of a block. given: pointers to the arguments, as for cuLaunchKernel.
static int launch(void (*kernel)(void**), const int* dimensions, void** given, unsigned order) {
    gridDim = {dimensions[0], dimensions[1], dimensions[2]};
    blockDim = {dimensions[3], dimensions[4], dimensions[5]};
    body = kernel;
    arguments = given;
    int blocks = gridDim.x * gridDim.y * gridDim.z;
    int* places = (int*)malloc(blocks * sizeof(int));
    state = order;
    ordered(places, blocks, order);
    bool passed = true;
    for (int b = 0; b < blocks && passed; b++) {
        int block = places[b];
        blockIdx = {block % gridDim.x, block / gridDim.x % gridDim.y, block / (gridDim.x * gridDim.y)};
        passed = run_block(blockDim.x * blockDim.y * blockDim.z, order);
    }
    if (!passed)
        for (int t = 0; t < MOST_THREADS; t++) fibers[t].begun = false;
    free(places);
    return !passed;
}

}  // namespace cuda_on_cpu

static inline void __syncthreads() { cuda_on_cpu::pause(cuda_on_cpu::WAITING); }

#define EXPORT(kernel)                                                                                      \
    extern "C" __attribute__((visibility("default"))) int run_##kernel(const int* d, void** g, unsigned o) { \
        return cuda_on_cpu::launch(cuda_on_cpu::Launcher<kernel>::run, d, g, o);                            \
    }

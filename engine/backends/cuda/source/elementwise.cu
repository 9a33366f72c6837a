// elementwise: fused functions of one index, in independent segments of different sizes, each with its own blocks. The
// generated macros PARAMETERS and SEGMENTS define them.

#define SEGMENT(blocks, count, ...)                                                              \
    if (block < blocks) {                                                                        \
        for (int i = block * blockDim.x + threadIdx.x; i < count; i += blocks * blockDim.x) {    \
            __VA_ARGS__                                                                          \
        }                                                                                        \
        return;                                                                                  \
    }                                                                                            \
    block -= blocks;

extern "C" __global__ void elementwise(PARAMETERS) {
    int block = blockIdx.x;
    SEGMENTS
}

// elementwise: functions of one value, several after the other, side by side on arrays of different sizes. Which,
// is put in front of this text: PARAMETERS, and SEGMENTS, each with its own share of the blocks.

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

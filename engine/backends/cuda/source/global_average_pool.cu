// global_average_pool: y[c, n] = the mean of map c of example n. A block of 32 x GROUPS threads computes 32 means: each
// group sums every GROUPS-th pixel, and one adds the results in a fixed order.

extern "C" __global__ void __launch_bounds__(32 * GROUPS)
    global_average_pool(const REAL* __restrict__ x, int plane, int row, int pixel, int height, int width, int batch,
                        int count, REAL* y, Layout y_at EPILOGUE_PARAMETERS) {
    __shared__ REAL groups[GROUPS][32];
    int i = blockIdx.x * 32 + threadIdx.x, channel = i / batch;
    REAL sum = 0;
    if (i < count) {
        const REAL* map = x + channel * plane + i - channel * batch;
        for (int place = threadIdx.y; place < height * width; place += GROUPS) {
            int line = place / width;
            sum += map[line * row + (place - line * width) * pixel];
        }
    }
    groups[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || i >= count) return;
    for (int group = 1; group < GROUPS; group++) sum += groups[group][threadIdx.x];
    REAL mean = sum / (height * width);
    y[at(y_at, i)] = mean;
    EPILOGUE(i, mean, mean)
}

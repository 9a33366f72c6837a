// Pools: each function makes one value of a pool's output, or gathers the gradient of one value of its input from
// all windows that it stood in. See Operations.max_pool. Maps are (C, H, W, N); a window may hang over an edge.

struct Windows {
    Divisor height, width, high, wide, batch;  // of the input; how many windows down and across; examples
};

struct Place {
    int plane, row, column, example;
};

__device__ Place place_of(int i, const Divisor& rows, const Divisor& columns, const Divisor& batch) {
    int pixel = i / batch, line = pixel / columns, plane = line / rows;
    return {plane, line - plane * rows.by, pixel - line * columns.by, i - pixel * batch.by};
}

// The number of a value of the input, counted in row order, and of one of the output.
__device__ int in_input(const Windows& w, Place p, int row, int column) {
    return ((p.plane * w.height.by + row) * w.width.by + column) * w.batch.by + p.example;
}

__device__ int in_output(const Windows& w, Place p, int row, int column) {
    return ((p.plane * w.high.by + row) * w.wide.by + column) * w.batch.by + p.example;
}

// The value of the input that stands so far from the first of window p.
template <int stride, class X>
__device__ Value<X> look(X&& x, const Layout& x_at, const Windows& w, Place p, int down, int across) {
    return x[at(x_at, in_input(w, p, p.row * stride + down, p.column * stride + across))];
}
template <int stride, class T>
__device__ T look(FourCells<T>& x, const Layout& x_at, const Windows& w, Place p, int down, int across) {
    return x.values[down * 2 + across];
}

// The first in row order wins; a value that is not a number wins over all others. winner: where in its window the
// largest value stands, counted in row order.
template <int size, int stride, class X, class Y, class W>
__device__ void max_pool(int i, X&& x, Layout x_at, Y&& y, Layout y_at, W&& winner, Windows w) {
    typedef Value<Y> T;
    Place p = place_of(i, w.high, w.wide, w.batch);
    int won = 0;
    T best = look<stride>(x, x_at, w, p, 0, 0);
    #pragma unroll
    for (int row = 0; row < size; row++)
        #pragma unroll
        for (int column = 0; column < size; column++) {
            if (p.row * stride + row >= w.height.by || p.column * stride + column >= w.width.by) continue;
            T value = look<stride>(x, x_at, w, p, row, column);
            if (value > best || (value != value && best == best)) {
                best = value;
                won = row * size + column;
            }
        }
    y[at(y_at, i)] = best;
    winner[i] = won;
}

template <int size, int stride, class T, class X>
__device__ void max_pool_gradient(int i, const int* winner, const T* dy, Layout dy_at, X&& dx, Layout dx_at,
                                  Windows w) {
    Place p = place_of(i, w.height, w.width, w.batch);
    T sum = 0;
    for (int down = p.row / stride; down >= 0 && p.row - down * stride < size; down--)
        for (int across = p.column / stride; across >= 0 && p.column - across * stride < size; across--) {
            if (down >= w.high.by || across >= w.wide.by) continue;
            int window = in_output(w, p, down, across);
            int mine = (p.row - down * stride) * size + p.column - across * stride;
            if (winner[window] == mine) sum += dy[at(dy_at, window)];
        }
    dx[at(dx_at, i)] = sum;
}

// The same for windows of 2 x 2 that do not overlap and fill the maps: the gradients of the four values of window i.
template <class W, class D, class T>
__device__ void max_pool_spread(int i, W&& winner, D&& dy, Layout dy_at, T* dx, Layout dx_at, Windows w) {
    Place p = place_of(i, w.high, w.wide, w.batch);
    T gradient = dy[at(dy_at, i)];
    int won = winner[i];
    #pragma unroll
    for (int cell = 0; cell < 4; cell++)
        dx[at(dx_at, in_input(w, p, p.row * 2 + cell / 2, p.column * 2 + cell % 2))] = cell == won ? gradient : T(0);
}

// How many values of the input a window has along one axis.
template <int size, int stride> __device__ int extent(int window, int length) {
    return min(size, length - window * stride);
}

template <int size, int stride, class X, class Y>
__device__ void average_pool(int i, X&& x, Layout x_at, Y&& y, Layout y_at, Windows w) {
    typedef Value<Y> T;
    Place p = place_of(i, w.high, w.wide, w.batch);
    int rows = extent<size, stride>(p.row, w.height.by), columns = extent<size, stride>(p.column, w.width.by);
    T sum = 0;
    #pragma unroll
    for (int row = 0; row < size; row++)
        #pragma unroll
        for (int column = 0; column < size; column++)
            if (row < rows && column < columns) sum += look<stride>(x, x_at, w, p, row, column);
    y[at(y_at, i)] = sum / (rows * columns);
}

template <int size, int stride, class T, class X>
__device__ void average_pool_gradient(int i, const T* dy, Layout dy_at, X&& dx, Layout dx_at, Windows w) {
    Place p = place_of(i, w.height, w.width, w.batch);
    T sum = 0;
    for (int down = p.row / stride; down >= 0 && p.row - down * stride < size; down--)
        for (int across = p.column / stride; across >= 0 && p.column - across * stride < size; across--) {
            if (down >= w.high.by || across >= w.wide.by) continue;
            int cells = extent<size, stride>(down, w.height.by) * extent<size, stride>(across, w.width.by);
            sum += dy[at(dy_at, in_output(w, p, down, across))] / cells;
        }
    dx[at(dx_at, i)] = sum;
}

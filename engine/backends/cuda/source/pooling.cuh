// Pooling: each function computes one output value, or gathers the gradient of one input value from all windows that
// contain it. See Ops.max_pool. Maps are (C, H, W, N); a window may extend past an edge.

struct PoolGeometry {
    Divisor height, width, out_height, out_width, batch;
};

struct Place {
    int plane, row, column, example;
};

__device__ Place place_of(int i, const Divisor& rows, const Divisor& columns, const Divisor& batch) {
    int pixel = i / batch, line = pixel / columns, plane = line / rows;
    return {plane, line - plane * rows.by, pixel - line * columns.by, i - pixel * batch.by};
}

// The row-major index of an input value, and of an output value.
__device__ int in_input(const PoolGeometry& w, Place p, int row, int column) {
    return ((p.plane * w.height.by + row) * w.width.by + column) * w.batch.by + p.example;
}

__device__ int in_output(const PoolGeometry& w, Place p, int row, int column) {
    return ((p.plane * w.out_height.by + row) * w.out_width.by + column) * w.batch.by + p.example;
}

// The input value at an offset in window p.
template <int stride, class X>
__device__ Value<X> window_value(X&& x, const Layout& x_at, const PoolGeometry& w, Place p, int down, int across) {
    return x[at(x_at, in_input(w, p, p.row * stride + down, p.column * stride + across))];
}
template <int stride, class T>
__device__ T window_value(WindowValues<T>& x, const Layout& x_at, const PoolGeometry& w, Place p, int down,
                          int across) {
    return x.values[down * 2 + across];
}

// Of equal values the first in row-major order is the maximum; NaN is greater than all others. argmax: the row-major
// position of the maximum in its window.
template <int size, int stride, class X, class Y, class W>
__device__ void max_pool(int i, X&& x, Layout x_at, Y&& y, Layout y_at, W&& argmax, PoolGeometry w) {
    typedef Value<Y> T;
    Place p = place_of(i, w.out_height, w.out_width, w.batch);
    int position = 0;
    T best = window_value<stride>(x, x_at, w, p, 0, 0);
    #pragma unroll
    for (int row = 0; row < size; row++)
        #pragma unroll
        for (int column = 0; column < size; column++) {
            if (p.row * stride + row >= w.height.by || p.column * stride + column >= w.width.by) continue;
            T value = window_value<stride>(x, x_at, w, p, row, column);
            if (value > best || (value != value && best == best)) {
                best = value;
                position = row * size + column;
            }
        }
    y[at(y_at, i)] = best;
    argmax[i] = position;
}

template <int size, int stride, class T, class X>
__device__ void max_pool_gradient(int i, const int* argmax, const T* dy, Layout dy_at, X&& dx, Layout dx_at,
                                  PoolGeometry w) {
    Place p = place_of(i, w.height, w.width, w.batch);
    T sum = 0;
    for (int down = p.row / stride; down >= 0 && p.row - down * stride < size; down--)
        for (int across = p.column / stride; across >= 0 && p.column - across * stride < size; across--) {
            if (down >= w.out_height.by || across >= w.out_width.by) continue;
            int window = in_output(w, p, down, across);
            int mine = (p.row - down * stride) * size + p.column - across * stride;
            if (argmax[window] == mine) sum += dy[at(dy_at, window)];
        }
    dx[at(dx_at, i)] = sum;
}

// The same for 2 x 2 windows that tile the maps exactly: the gradients of the four values of window i.
template <class W, class D, class T>
__device__ void max_pool_scatter(int i, W&& argmax, D&& dy, Layout dy_at, T* dx, Layout dx_at, PoolGeometry w) {
    Place p = place_of(i, w.out_height, w.out_width, w.batch);
    T gradient = dy[at(dy_at, i)];
    int position = argmax[i];
    #pragma unroll
    for (int cell = 0; cell < 4; cell++)
        dx[at(dx_at, in_input(w, p, p.row * 2 + cell / 2, p.column * 2 + cell % 2))] =
            cell == position ? gradient : T(0);
}

// The number of input values of a window along one axis.
template <int size, int stride> __device__ int extent(int window, int length) {
    return min(size, length - window * stride);
}

template <int size, int stride, class X, class Y>
__device__ void average_pool(int i, X&& x, Layout x_at, Y&& y, Layout y_at, PoolGeometry w) {
    typedef Value<Y> T;
    Place p = place_of(i, w.out_height, w.out_width, w.batch);
    int rows = extent<size, stride>(p.row, w.height.by), columns = extent<size, stride>(p.column, w.width.by);
    T sum = 0;
    #pragma unroll
    for (int row = 0; row < size; row++)
        #pragma unroll
        for (int column = 0; column < size; column++)
            if (row < rows && column < columns) sum += window_value<stride>(x, x_at, w, p, row, column);
    y[at(y_at, i)] = sum / (rows * columns);
}

template <int size, int stride, class T, class X>
__device__ void average_pool_gradient(int i, const T* dy, Layout dy_at, X&& dx, Layout dx_at, PoolGeometry w) {
    Place p = place_of(i, w.height, w.width, w.batch);
    T sum = 0;
    for (int down = p.row / stride; down >= 0 && p.row - down * stride < size; down--)
        for (int across = p.column / stride; across >= 0 && p.column - across * stride < size; across--) {
            if (down >= w.out_height.by || across >= w.out_width.by) continue;
            int cells = extent<size, stride>(down, w.height.by) * extent<size, stride>(across, w.width.by);
            sum += dy[at(dy_at, in_output(w, p, down, across))] / cells;
        }
    dx[at(dx_at, i)] = sum;
}

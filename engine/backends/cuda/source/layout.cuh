// Layout: extents and strides of an array of up to four axes, which map a row-major index to an offset. Strides and
// offsets are in elements.

// A divisor with a precomputed reciprocal, which replaces the division of a number below 2^31 by a product and a shift:
// GPUs have no integer division (Granlund and Montgomery 1994).
struct Divisor {
    int by;
    unsigned magic;
    int shift;
};

__device__ int operator/(int number, const Divisor& divisor) {
    return int(__umulhi(unsigned(number) * 2, divisor.magic) >> divisor.shift);
}

struct Layout {
    Divisor extent[3];  // from the last axis to the first; by == 0 where there are no more axes
    int stride[4];
};

__device__ int at(const Layout& layout, int index) {
    if (layout.extent[0].by == 0) return index * layout.stride[0];
    int rows = index / layout.extent[0];
    int offset = (index - rows * layout.extent[0].by) * layout.stride[0];
    if (layout.extent[1].by == 0) return offset + rows * layout.stride[1];
    int planes = rows / layout.extent[1];
    offset += (rows - planes * layout.extent[1].by) * layout.stride[1];
    if (layout.extent[2].by == 0) return offset + planes * layout.stride[2];
    int blocks = planes / layout.extent[2];
    return offset + (planes - blocks * layout.extent[2].by) * layout.stride[2] + blocks * layout.stride[3];
}

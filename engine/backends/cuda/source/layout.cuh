// Layout: where the value with a number lies in an array of up to four axes, counted in row order, the last axis
// fastest. Values, strides and places are counted in values, not bytes. Not the array.

// A number to divide by, with what turns a division of a number below 2^31 into a product and a shift: the processors
// have none for whole numbers (Granlund and Montgomery 1994).
struct Divisor {
    int by;
    unsigned magic;
    int shift;
};

__device__ int operator/(int number, const Divisor& divisor) {
    return int(__umulhi(unsigned(number) * 2, divisor.magic) >> divisor.shift);
}

struct Layout {
    Divisor extent[3];  // of the last axis, the one before it, and so on; by 0 where there are no more axes
    int stride[4];
};

__device__ int at(const Layout& layout, int place) {
    if (layout.extent[0].by == 0) return place * layout.stride[0];
    int rows = place / layout.extent[0];
    int found = (place - rows * layout.extent[0].by) * layout.stride[0];
    if (layout.extent[1].by == 0) return found + rows * layout.stride[1];
    int planes = rows / layout.extent[1];
    found += (rows - planes * layout.extent[1].by) * layout.stride[1];
    if (layout.extent[2].by == 0) return found + planes * layout.stride[2];
    int blocks = planes / layout.extent[2];
    return found + (planes - blocks * layout.extent[2].by) * layout.stride[2] + blocks * layout.stride[3];
}

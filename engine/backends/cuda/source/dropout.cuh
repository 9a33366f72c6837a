// Dropout with a counter-based random generator, so that results do not depend on batch chunks. See Ops.dropout.

__device__ unsigned mix(unsigned h) {
    h ^= h >> 16;
    h *= 0x7FEB352Du;
    h ^= h >> 15;
    h *= 0x846CA68Bu;
    return h ^ (h >> 16);
}

// The forward and the backward pass generate the same random numbers.
template <class S, class T>
__device__ void dropout(int i, S&& source, Layout source_at, T&& target, Layout target_at, const unsigned* rng_counter,
                     unsigned key, unsigned threshold, Value<T> scale, Divisor batch) {
    int value = i / batch, example = i - value * batch.by;
    unsigned random = mix(mix(mix(key + rng_counter[0] * 0x9E3779B9u) + rng_counter[1] + example) + value);
    target[at(target_at, i)] = Value<T>(source[at(source_at, i)]) * (random >= threshold ? scale : Value<T>(0));
}

// Dropout: the coins are counted, not drawn, and so are the same for any cut of a batch. See Operations.dropout.

__device__ unsigned mix(unsigned h) {
    h ^= h >> 16;
    h *= 0x7FEB352Du;
    h ^= h >> 15;
    h *= 0x846CA68Bu;
    return h ^ (h >> 16);
}

// The same coin falls on the way forward and on the way back.
template <class S, class T>
__device__ void drop(int i, S&& source, Layout source_at, T&& target, Layout target_at, const unsigned* moment,
                     unsigned key, unsigned least, Value<T> kept, Divisor batch) {
    int place = i / batch, example = i - place * batch.by;
    unsigned coin = mix(mix(mix(key + moment[0] * 0x9E3779B9u) + moment[1] + example) + place);
    target[at(target_at, i)] = Value<T>(source[at(source_at, i)]) * (coin >= least ? kept : Value<T>(0));
}

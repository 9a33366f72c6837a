// Softmax cross-entropy, one example per thread. See Ops.softmax_cross_entropy.

__device__ float exponential(float x) { return expf(x); }
__device__ double exponential(double x) { return exp(x); }
__device__ float logarithm(float x) { return logf(x); }
__device__ double logarithm(double x) { return log(x); }

// i: the example. All arrays are contiguous (classes, batch), except loss (batch,).
template <class T, class L>
__device__ void softmax_cross_entropy(int i, const T* scores, const T* targets, T* votes, L&& loss, Layout loss_at,
                                      T* dscores, int classes, int batch, T share) {
    T top = scores[i], sum = 0, error = 0;
    for (int k = 1; k < classes; k++) {
        T score = scores[k * batch + i];
        if (score > top || score != score) top = score;
    }
    for (int k = 0; k < classes; k++) sum += exponential(scores[k * batch + i] - top);
    T logs = logarithm(sum);
    for (int k = 0; k < classes; k++) {
        int cell = k * batch + i;
        T vote = exponential(scores[cell] - top) / sum;
        votes[cell] = vote;
        dscores[cell] = (vote - targets[cell]) * share;
        error -= targets[cell] * (scores[cell] - top - logs);
    }
    loss[at(loss_at, i)] = error;
}

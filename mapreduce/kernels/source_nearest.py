"""How are rows assigned to their nearest centre in one pass?

Distances are sums over columns j of (x_j - c_j)^2, in order of j, for all centres at once: the centres lie transposed
and padded, so that the innermost loop runs over them and vectorises. No fused multiply-add, no reordering: numpy's
elementwise operations give the same bits.
"""

from __future__ import annotations

import numpy as np


def assign_rows(x, n, d, centers, k, labels, sums, counts, distances, cost):
    """centers: (d, k), k a multiple of 8, padded with inf. Adds to sums (k, d), counts (k) and cost[0], in row order."""
    total = cost[0]
    for i in range(n):
        for c in range(k):
            distances[c] = 0.0
        for j in range(d):
            value = x[i * d + j]
            for c in range(k):
                difference = value - centers[j * k + c]
                distances[c] += difference * difference
        best = 0
        least = distances[0]
        for c in range(1, k):
            if distances[c] < least:
                least = distances[c]
                best = c
        labels[i] = np.int32(best)
        total += least
        counts[best] += 1
        for j in range(d):
            sums[best * d + j] += x[i * d + j]
    cost[0] = total
    return n

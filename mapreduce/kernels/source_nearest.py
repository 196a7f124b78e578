"""How are rows assigned to their nearest centre in one pass?

Distances are sums over columns j of (x_j - c_j)^2, in order of j, for 8 centres at once: the centres lie transposed and
padded, so that the 8 sums are one vector. No fused multiply-add, no reordering: numpy's elementwise operations give
the same bits.
"""

# numba infers the types; catalogue.py states those of the kernels
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from mapreduce.kernels.intrinsics import nearest_in_lanes


def assign_rows(x, n, d, centers, k, labels, sums, counts, least, best, cost):
    """centers: (d, k), k a multiple of 8, padded with inf. Adds to sums (k, d), counts (k) and cost[0], in row order.

    least and best have room for 8. Ties go to the lowest index; a row whose distances are all NaN or inf goes to 0.
    """
    total = cost[0]
    for i in range(n):
        nearest_in_lanes(x, i * d, d, centers, k, least, best)
        label = best[0]
        distance = least[0]
        for lane in range(1, 8):
            # selects, not branches: which centre is nearest cannot be predicted
            closer = (least[lane] < distance) | ((least[lane] == distance) & (best[lane] < label))
            distance = least[lane] if closer else distance
            label = best[lane] if closer else label
        labels[i] = np.int32(label)
        total += distance
        counts[label] += 1
        for j in range(d):
            sums[label * d + j] += x[i * d + j]
    cost[0] = total
    return n

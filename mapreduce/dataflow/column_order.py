"""How are columns of keys sorted and searched, in the same order as `order.py`'s, without a Python step a key?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def count_at_or_below(keys: pa.Array, cuts: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """For each key the number of ascending `cuts` at or below it; None where types don't compare as columns."""
    return None

"""Which sums are exact? Those that algorithms here are made of: same bits for any cut, order, worker, BLAS and CPU.

```python
gram = ExactGram.of(block) + ExactGram.of(other)      # the same whichever comes first, however rows were cut
(gram - ExactGram.of(other)).digest() == ExactGram.of(block).digest()
```

`numbers` holds integers over powers of two and five, `states` the sums, `mr.check_laws` tries what they promise.
"""

from algorithms.sums.numbers import Numbers, to_float
from algorithms.sums.states import ClassSums, Counts, ExactGram, ExactSum, PowerSums, State, state_from_bytes

__all__ = [
    "ClassSums",
    "Counts",
    "ExactGram",
    "ExactSum",
    "Numbers",
    "PowerSums",
    "State",
    "state_from_bytes",
    "to_float",
]

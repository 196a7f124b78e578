"""Which inner loops are compiled, and what do they promise?

Each function here has a library path (Python, numpy, pyarrow) that gives the same answer bit for bit; the compiled one
is used where its object code is stored (`python -m mapreduce.kernels` stores all) and MAPREDUCE_KERNELS is not `off`.
Importing this package imports neither numpy nor pyarrow, llvmlite nor numba.
"""

from mapreduce.kernels.csv_cells import Floats, parse_csv_columns, parse_csv_floats
from mapreduce.kernels.csv_reference import BadCell, Columns, Fault, Kind
from mapreduce.kernels.groups import GroupSums, GroupTotals, group_sums
from mapreduce.kernels.load import available
from mapreduce.kernels.words import WordCounter, WordCounts, count_words

__all__ = [
    "BadCell",
    "Columns",
    "Fault",
    "Floats",
    "GroupSums",
    "GroupTotals",
    "Kind",
    "WordCounter",
    "WordCounts",
    "available",
    "count_words",
    "group_sums",
    "parse_csv_columns",
    "parse_csv_floats",
]

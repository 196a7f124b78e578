"""Which inner loops are compiled, and what do they promise?

Each function here, or its caller, has a library path (Python, numpy, pyarrow) that gives the same answer bit for bit;
the compiled one is used where its object code is stored (`python -m mapreduce.kernels` stores all) and
MAPREDUCE_KERNELS is not `off`.
Importing this package imports neither numpy nor pyarrow, llvmlite nor numba.

```text
catalogue   which kernels exist      words, csv_cells, groups, pairs, records, hashes, nearest   what callers use
source_*    the kernels, for numba   csv_reference          the library path of csv_cells
compile --> cache --> load           string_table, memory   what kernels work in
                                     python_calls           what they call of the interpreter
```
"""

from mapreduce.kernels.csv_cells import Floats, parse_csv_columns, parse_csv_floats, parse_plain_columns
from mapreduce.kernels.csv_reference import BadCell, Columns, Fault, Kind
from mapreduce.kernels.groups import GroupSums, GroupTotals, group_sums
from mapreduce.kernels.hashes import hash_int64, hash_strings
from mapreduce.kernels.load import available, is_stored, kernels_wanted
from mapreduce.kernels.nearest import Assignment, assign_nearest
from mapreduce.kernels.pairs import PairReader, pair_reader
from mapreduce.kernels.records import RecordSorter, gather_records, merge_records, sort_records
from mapreduce.kernels.words import WordCounter, WordCounts, count_words

__all__ = [
    "Assignment",
    "BadCell",
    "Columns",
    "Fault",
    "Floats",
    "GroupSums",
    "GroupTotals",
    "Kind",
    "PairReader",
    "RecordSorter",
    "WordCounter",
    "WordCounts",
    "assign_nearest",
    "available",
    "count_words",
    "gather_records",
    "group_sums",
    "hash_int64",
    "hash_strings",
    "is_stored",
    "kernels_wanted",
    "merge_records",
    "pair_reader",
    "parse_csv_columns",
    "parse_csv_floats",
    "parse_plain_columns",
    "sort_records",
]

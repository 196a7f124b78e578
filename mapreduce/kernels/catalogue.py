"""Which kernels exist, in which group, and what are their arguments?

A group is compiled, stored and loaded as one: a job loads only its own. Each argument is a letter: q int64, d float64,
pointers: B bytes, I uint32, i int32, L int64, Q uint64, D float64; and O a Python object, which tells that the kernel
holds the GIL and may raise. Every kernel returns an int64.
"""

from __future__ import annotations

_STRING_TABLE = {"move_words": "QqQq", "list_words": "QqqLL", "copy_words": "QqBLB"}

GROUPS: dict[str, dict[str, str]] = {
    "words": {
        "add_words": "BqqQLBLQLB",
        "count_strings": "BqiqqQLB",
        **_STRING_TABLE,
    },
    "pairs": {"take_pairs": "OqOLLqqiLLD"},
    "csv": {"parse_rows": "BqqqqLLL", "count_lines": "Bq"},
    "decimals": {"parse_decimals": "BqqqqLL"},
    "groups": {
        "number_ints": "LqqQLLiL",
        "move_ints": "QqQq",
        "number_strings": "BqiqqQLBi",
        "add_floats": "iDqDiD",
        "list_floats": "DLqDDL",
        "add_ints": "iLqLL",
        "add_sorted": "LqqqDDLLDDL",
        **_STRING_TABLE,
    },
    "hashes": {"crc_strings": "BiqI"},
    "records": {"order_records": "LLqqqqQQBLL", "gather_records": "LLqqLqq"},
    "nearest": {"assign_rows": "DqqDqiDLDLD"},
}

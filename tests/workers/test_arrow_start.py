"""Arrow in a worker neither loads pandas nor loses it, and takes the C library's memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mapreduce.dataflow import arrow_start

SCRIPT = """
import sys
from mapreduce.dataflow import arrow_start
arrow_start.begin_worker()
import pyarrow.parquet
arrow_start.load()
import numpy, pyarrow
pyarrow.array([1, 2]); pyarrow.array(numpy.arange(3))
print("pandas" in sys.modules)
import pandas, pandas.api.types
print(pyarrow.array(pandas.Series([1.0, float("nan")])).null_count, pyarrow.table({"a": [1]}).to_pandas().shape)
print(type(pandas.__spec__.loader).__name__, type(pyarrow.__spec__.loader).__name__)
print(hasattr(pandas, "core"), hasattr(pyarrow, "lib"))  # not so where a package was loaded a second time
"""


def test_pandas_is_hidden_until_it_is_imported() -> None:
    pytest.importorskip("pandas")
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "False\n1 (1, 1)\nSourceFileLoader SourceFileLoader\nTrue True\n"


@pytest.mark.parametrize(("chosen", "loaded"), [("", "system"), ("mimalloc", "mimalloc")])
@pytest.mark.parametrize("first", ["", "import pyarrow"])
def test_its_memory(chosen: str, loaded: str, first: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != arrow_start.POOL}
    if chosen:
        env[arrow_start.POOL] = chosen
    code = f"""
{first}
from mapreduce.dataflow import arrow_start
arrow_start.begin_worker()
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == f"{loaded}\n"

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import raycal
from raycal.storage import parquet

TABLE = pa.table({"a": pa.array([1, 2, 3], pa.int32()), "b": ["x", "y", "z"]})
# Counts the threads before and after many columns are read. pyarrow starts all threads of a pool at the first use.
NO_THREAD = """
import sys
from pathlib import Path
import pyarrow as pa
from raycal.storage import parquet
def threads():
    return len(list(Path("/proc/self/task").iterdir()))
table = pa.table({f"c{number}": list(range(100)) for number in range(50)})
content = parquet.parquet_of(table)
before = threads()
assert parquet.table_of(content, table.schema).equals(table)
print(threads() - before)
"""


def test_written_table_is_read_again() -> None:
    assert parquet.table_of(parquet.parquet_of(TABLE), TABLE.schema).equals(TABLE)
    with parquet.opened(parquet.parquet_of(TABLE)) as file:
        assert file.metadata.num_rows == 3
        assert parquet.columns_of(file, ["b"]).to_pydict() == {"b": ["x", "y", "z"]}
        assert parquet.columns_of(file).equals(TABLE)


def test_what_does_not_fit_is_refused() -> None:
    content = parquet.parquet_of(TABLE)
    with pytest.raises(KeyError):
        parquet.table_of(content, pa.schema({"a": pa.int32(), "c": pa.int32()}))
    with pytest.raises(ValueError, match="parse"):
        parquet.table_of(content, pa.schema({"b": pa.int32()}))
    with pytest.raises(ValueError, match="Parquet"):
        parquet.table_of(content[:-1], TABLE.schema)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are counted in /proc")
def test_reading_starts_no_thread() -> None:
    printed = subprocess.run([sys.executable, "-c", NO_THREAD], check=True, capture_output=True, text=True)

    assert printed.stdout == "0\n"


def test_files_in_memory_are_read_and_written_here_only() -> None:
    """pyarrow's own functions start threads, which may abort a process while it ends."""
    package = Path(raycal.__file__).parent
    uses = re.compile(
        r"ParquetFile\((io\.)?(BytesIO|pa\.BufferReader)|read_table\((io\.)?(BytesIO|pa\.Buffer)|pq\.write"
    )
    users = [path.relative_to(package).as_posix() for path in package.rglob("*.py") if uses.search(path.read_text())]

    assert users == ["storage/parquet.py"]

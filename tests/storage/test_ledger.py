import io
import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_iterations import refused, sample

from raycal.algorithm.records import Interaction, Kind
from raycal.storage import ledger

# The contract: readers outside this package rely on these names, types and their order.
COLUMNS = [
    ("iteration", pa.int32()),
    ("step", pa.int8()),
    ("interaction", pa.int64()),
    ("kind", pa.string()),
    ("answer", pa.string()),
    ("label", pa.int32()),
    ("num_samples", pa.int32()),
    ("purity", pa.float32()),
    ("wrong", pa.int32()),
    ("seconds", pa.float32()),
    ("indices", pa.list_(pa.int64())),
]


def read(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))


@pytest.mark.parametrize("rows", [(), (sample(),), (refused(),), (sample(), refused())], ids=len)
def test_columns_and_types_are_the_contract(rows: tuple[Interaction, ...]) -> None:
    table = read(ledger.to_parquet(rows))

    # The field inside a list has a name that differs between versions of Parquet writers.
    assert [(field.name, field.type) for field in table.schema] == COLUMNS
    assert table.num_rows == len(rows)


def test_rows_hold_what_was_recorded() -> None:
    assert read(ledger.to_parquet([sample(), refused()])).to_pylist() == [
        {
            "iteration": 0,
            "step": 0,
            "interaction": 1,
            "kind": "sample",
            "answer": "labelled",
            "label": 3,
            "num_samples": 1,
            "purity": None,
            "wrong": 0,
            "seconds": 4.25,
            "indices": [7],
        },
        {
            "iteration": 0,
            "step": 1,
            "interaction": 2,
            "kind": "cluster",
            "answer": "refused",
            "label": None,
            "num_samples": 4,
            "purity": 0.5,
            "wrong": None,
            "seconds": 4.25,
            "indices": [1, 2, 5, 9],
        },
    ]


def test_same_rows_give_the_same_bytes() -> None:
    assert ledger.to_parquet([sample(), refused()]) == ledger.to_parquet((sample(), refused()))
    assert ledger.to_parquet([sample()]) != ledger.to_parquet([sample(2)])


def test_joined_parts_are_one_table_in_their_order() -> None:
    whole = read(ledger.join([ledger.to_parquet([sample(1), refused(2)]), ledger.to_parquet([sample(3)])]))

    assert whole["interaction"].to_pylist() == [1, 2, 3]
    assert [(field.name, field.type) for field in whole.schema] == COLUMNS


def test_same_parts_give_the_same_bytes() -> None:
    parts = [ledger.to_parquet([sample(1)]), ledger.to_parquet([refused(2)])]

    assert ledger.join(parts) == ledger.join(iter(parts))


def test_no_parts_are_an_empty_table_of_the_same_columns() -> None:
    empty = read(ledger.join([]))

    assert empty.num_rows == 0
    assert [(field.name, field.type) for field in empty.schema] == COLUMNS


def test_rows_are_read_back() -> None:
    rows = [sample(), refused()]
    read_back = ledger.from_parquet(ledger.to_parquet(rows))

    assert len(read_back) == 2
    for row, other in zip(read_back, rows, strict=True):
        assert (row.kind, row.answer, row.label, row.purity) == (other.kind, other.answer, other.label, other.purity)
        assert (type(row.kind), row.indices.dtype) == (Kind, np.int64)
        assert np.array_equal(row.indices, other.indices)
    assert ledger.to_parquet(read_back) == ledger.to_parquet(rows)


def test_large_file_may_have_more_values_than_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_VALUES", 100)
    rng = np.random.default_rng(0)
    different, same = rng.permutation(10**6)[:20_000], np.zeros(200_000, np.int64)
    content = ledger.to_parquet([replace(refused(), indices=different)])

    (row,) = ledger.from_parquet(content)
    assert np.array_equal(row.indices, different)
    # Zeros are compressed to nearly nothing, as in a file that is made to fill the memory.
    with pytest.raises(ValueError, match=r"more than [\d,]+ values"):
        ledger.from_parquet(ledger.to_parquet([replace(refused(), indices=same)]))


def test_indices_are_read_without_an_object_for_each() -> None:
    content = ledger.to_parquet([replace(refused(), indices=np.arange(first, 2 * 10**6, 4)) for first in range(4)])

    tracemalloc.start()
    rows = ledger.from_parquet(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [row.indices.sum() for row in rows] == [500_000 * (2 * first + 4 * 499_999) // 2 for first in range(4)]
    # Python objects would take 80 MB. Arrow's own memory, of 16 MB, is not counted here.
    assert peak < 8 * 10**6

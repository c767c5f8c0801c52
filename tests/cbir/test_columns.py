import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cbir.columns import BytesColumn, join_bytes, take_bytes
from cbir.errors import CbirError

VALUES = [bytes([n]) * (n + 1) for n in range(10)]


@pytest.fixture
def column(tmp_path):
    pq.write_table(pa.table({"a": VALUES, "b": list(range(10))}), tmp_path / "t.parquet", row_group_size=3)
    return BytesColumn.of_file(tmp_path / "t.parquet", "a")


def test_values_are_those_of_the_file(column):
    assert len(column) == 10
    assert list(column) == VALUES
    assert [column[row] for row in (9, 0, -1, 4)] == [VALUES[row] for row in (9, 0, -1, 4)]
    assert list(column[2:7:2]) == VALUES[2:7:2]


def test_rows_are_taken_without_reading(column, monkeypatch):
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", None)
    taken = column.take(np.array([7, 1]))
    monkeypatch.undo()
    assert list(taken) == [VALUES[7], VALUES[1]]
    assert take_bytes(VALUES, np.array([7, 1])) == [VALUES[7], VALUES[1]]


def test_columns_are_joined_without_reading(column, tmp_path, monkeypatch):
    pq.write_table(pa.table({"a": [b"x", b"y"]}), tmp_path / "u.parquet")
    other = BytesColumn.of_file(tmp_path / "u.parquet", "a")
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", None)
    joined = join_bytes([other.take(np.array([1])), column, other])
    monkeypatch.undo()
    assert list(joined) == [b"y", *VALUES, b"x", b"y"]
    assert join_bytes([column, [b"z"]]) == [*VALUES, b"z"]


def test_rows_side_by_side_cost_one_read(column, monkeypatch):
    reads, read = [], pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda *given: reads.append(given[1:]) or read(*given))
    assert list(column) == VALUES
    assert reads == [(group, ["a"]) for group in range(4)]


def test_a_file_that_is_replaced_meanwhile_stays_as_it_was(column, tmp_path):
    pq.write_table(pa.table({"a": [b"other"]}), tmp_path / "new.parquet")
    (tmp_path / "new.parquet").replace(tmp_path / "t.parquet")
    assert list(column) == VALUES
    assert list(column.take(np.array([3]))) == [VALUES[3]]


def test_a_file_that_went_away_is_one_line(tmp_path):
    column = BytesColumn("a", [(tmp_path / "t.parquet", 0)], np.array([[0, 0]]))
    with pytest.raises(CbirError, match=r"t.parquet of the catalogue can no longer be read: start the app again"):
        column[0]

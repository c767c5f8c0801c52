"""Columns of bytes that stay in parquet files until somebody asks for a row, such as a gallery's thumbnails."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Self, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cbir.errors import CbirError

KEPT = 64  # row groups that stay in memory


class BytesColumn(Sequence[bytes]):
    """n values of one column, read when they are asked for. Safe to share between threads.

    Row groups are read whole, and the last ones are kept: rows that lie side by side cost one read.
    """

    def __init__(self, column: str, groups: Sequence[tuple[Path, int]], places: np.ndarray) -> None:
        """Names the rows.

        Args:
            column: its name.
            groups: parquet files with a row group of each.
            places: (n, 2) int, of each value the number in `groups` and the row in that group.
        """
        self._column, self._groups, self._places = column, groups, places
        self._kept: OrderedDict[tuple[Path, int], pa.ChunkedArray] = OrderedDict()
        self._files: dict[Path, pq.ParquetFile] = {}
        self._lock = threading.Lock()

    @classmethod
    def of_file(cls, path: Path, column: str) -> Self:
        """A whole column of one file."""
        with pq.ParquetFile(path) as file:
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        groups = np.repeat(np.arange(len(sizes)), sizes)
        rows = np.concatenate([np.arange(size) for size in sizes]) if sizes else np.empty(0, int)
        return cls(column, [(path, group) for group in range(len(sizes))], np.stack([groups, rows], axis=1))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, row: int) -> bytes: ...

    @overload
    def __getitem__(self, row: slice) -> "BytesColumn": ...

    def __getitem__(self, row: int | slice) -> "bytes | BytesColumn":
        """One value; or a part of the column, which reads nothing.

        Raises:
            CbirError: the file is gone or damaged.
        """
        if isinstance(row, slice):
            return self.take(np.arange(len(self))[row])
        group, place = self._places[row].tolist()
        return self._read(self._groups[group])[place].as_py()

    def take(self, rows: np.ndarray) -> "BytesColumn":
        """Some rows, by their numbers; reads nothing."""
        return BytesColumn(self._column, self._groups, self._places[rows])

    def _read(self, group: tuple[Path, int]) -> pa.ChunkedArray:
        path, number = group
        with self._lock:
            if group in self._kept:
                self._kept.move_to_end(group)
                return self._kept[group]
            try:
                if path not in self._files:
                    while len(self._files) >= KEPT:
                        self._files.pop(next(iter(self._files))).close()
                    self._files[path] = pq.ParquetFile(path)
                values = self._files[path].read_row_group(number, [self._column])[self._column]
            except (pa.ArrowException, OSError) as error:
                raise CbirError(
                    "{file} of the catalogue can no longer be read: start the app again", file=path.name
                ) from error
            self._kept[group] = values
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return values


def join_bytes(parts: Sequence[Sequence[bytes]]) -> Sequence[bytes]:
    """Several columns, one after the other; they stay in their files where all are, and have the same name there."""
    columns = [part for part in parts if isinstance(part, BytesColumn)]
    if len(columns) < len(parts) or len({part._column for part in columns}) != 1:
        return [value for part in parts for value in part]
    starts = np.cumsum([0, *(len(part._groups) for part in columns)])
    places = [part._places + np.array([start, 0]) for part, start in zip(columns, starts.tolist(), strict=False)]
    return BytesColumn(columns[0]._column, [g for part in columns for g in part._groups], np.concatenate(places))


def take_bytes(values: Sequence[bytes], rows: np.ndarray) -> Sequence[bytes]:
    """Some rows, by their numbers, of values in memory or in files."""
    return values.take(rows) if isinstance(values, BytesColumn) else [values[row] for row in rows.tolist()]

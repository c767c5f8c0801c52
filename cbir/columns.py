"""Columns of bytes that stay in parquet files until somebody asks for a row, such as a gallery's thumbnails."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
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

    def __init__(
        self,
        column: str,
        groups: Sequence[tuple[Path, int]],
        places: np.ndarray,
        opened: Mapping[Path, pq.ParquetFile] | None = None,
    ) -> None:
        """Names the rows.

        Args:
            column: its name.
            groups: parquet files with a row group of each.
            places: (n, 2) int, of each value the number in `groups` and the row in that group.
            opened: files that are open already, and stay so.
        """
        self._column, self._groups, self._places = column, groups, places
        self._kept: OrderedDict[tuple[Path, int], pa.ChunkedArray] = OrderedDict()
        self._opened = opened or {}
        self._files: dict[Path, pq.ParquetFile] = {}
        self._lock = threading.Lock()

    @classmethod
    def of_file(cls, path: Path, column: str) -> Self:
        """A whole column of one file, which stays open: it may be replaced by another meanwhile."""
        file = _open(path, column)
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        groups = np.repeat(np.arange(len(sizes)), sizes)
        rows = np.concatenate([np.arange(size) for size in sizes]) if sizes else np.empty(0, int)
        places = np.stack([groups, rows], axis=1).astype(np.int32)
        return cls(column, [(path, group) for group in range(len(sizes))], places, {path: file})

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
        return BytesColumn(self._column, self._groups, self._places[rows], self._opened)

    def _read(self, group: tuple[Path, int]) -> pa.ChunkedArray:
        path, number = group
        with self._lock:
            if group in self._kept:
                self._kept.move_to_end(group)
                return self._kept[group]
            try:
                file = self._opened.get(path) or self._files.get(path)
                if file is None:
                    while len(self._files) >= KEPT:
                        self._files.pop(next(iter(self._files))).close()
                    file = self._files[path] = _open(path, self._column)
                values = file.read_row_group(number, [self._column])[self._column]
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
    groups = [group for part in columns for group in part._groups]
    opened = {path: file for part in columns for path, file in part._opened.items()}
    return BytesColumn(columns[0]._column, groups, np.concatenate(places), opened)


def _open(path: Path, column: str) -> pq.ParquetFile:
    # As indices of values: a small file may repeat a value many times.
    return pq.ParquetFile(path, read_dictionary=[column])


def take_bytes(values: Sequence[bytes], rows: np.ndarray) -> Sequence[bytes]:
    """Some rows, by their numbers, of values in memory or in files."""
    return values.take(rows) if isinstance(values, BytesColumn) else [values[row] for row in rows.tolist()]

"""Photos in parquet files with images, as on the Hub: read file by file, so that no machine needs all of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from cbir import hub
from cbir.errors import DataError
from cbir.photos import PHOTO_SUFFIXES
from train.data.dataset import photo_source, with_features

BATCH = 64  # photos held at a time


@dataclass(frozen=True)
class PhotoShards:
    """Parquet files of photos.

    Attributes:
        source: the folder, or the dataset on the Hub with its commit.
        names: of the files, relative to the folder or repository.
        repo: on the Hub; "" for a folder.
        commit: of the repository.
    """

    source: str
    names: tuple[str, ...]
    repo: str = ""
    commit: str = ""

    def path(self, name: str) -> Path:
        """Where a file lies on this machine; one of the Hub is downloaded first."""
        if not self.repo:
            return Path(self.source) / name
        return hub.download(self.repo, [name], self.commit, "dataset")[0]


def find_photo_shards(source: str, revision: str | None = None) -> PhotoShards | None:
    """The parquet files of a folder, or of a dataset on the Hub; None for a folder that has photos or no such files,
    and for a zip.

    Raises:
        DataError: there is nothing, or the dataset on the Hub is not in parquet files.
        HubError: the Hub refuses; HubUnreachableError: it does not answer.
    """
    folder = Path(source)
    if folder.is_dir():
        files = [path for path in folder.rglob("*") if path.is_file()]
        names = tuple(sorted(path.relative_to(folder).as_posix() for path in files if path.suffix == ".parquet"))
        has_photos = any(path.suffix.lower() in PHOTO_SUFFIXES for path in files)
        return PhotoShards(source, names) if names and not has_photos else None
    if folder.exists():
        return None
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise DataError(f"expected a folder, a zip or a dataset on the Hub, but there is nothing at {source!r}")
    info = hub.repo_info(source, revision, "dataset")
    names = tuple(sorted(file.rfilename for file in info.siblings if file.rfilename.endswith(".parquet")))
    if not names:
        raise DataError(
            f"expected parquet files in the dataset {source} on the Hub, but it has none: give a folder with its photos"
        )
    return PhotoShards(f"{source}@{info.sha}", names, source, info.sha)


def count_photos(path: Path) -> int:
    """The number of photos in a file.

    Raises:
        DataError: it cannot be read.
    """
    return _open(path).metadata.num_rows


def read_shard(path: Path, name: str) -> Iterator[tuple[str, bytes | str, str, str]]:
    """Reads a file, a few photos at a time.

    Args:
        path: of the file.
        name: stands in front of the row number where the file has no ids.

    Yields:
        Of each photo its id, what `load_image` takes, color and type ("" where unknown).

    Raises:
        DataError: it cannot be read, or has other columns than `train.data.dataset.read_dataset` takes.
    """
    file = _open(path)
    start = 0
    for batch in file.iter_batches(batch_size=BATCH):
        table = pa.Table.from_batches([batch], schema=file.schema_arrow)
        rows = with_features(Dataset(table), str(path), f"{name}/", start)
        for row in rows:
            yield row["id"], photo_source(row["image"]), row["color"], row["type"]
        start += len(rows)


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"expected a parquet file of photos, but {str(path)!r} cannot be read ({error})") from error

"""Writes a dataset as parquet shards, the form in which `datasets` and the Hub's viewer read it.

Memory stays flat: no more than one row group of photos is held at a time, whatever the dataset's size. `datasets`' own
`push_to_hub` holds a whole shard, sends it before anybody could see what would go, and commits again though nothing
changed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, Image, Value

from cbir.labels import LABELS
from train.data.dataset import read_image

SHARD_BYTES = 256 * 2**20  # of photos in a file, about
# What ends a row group, whichever comes first: small groups suit the Hub's viewer.
GROUP_PHOTOS = 100
GROUP_BYTES = 16 * 2**20


def write_shards(
    dataset: Dataset,
    rows: np.ndarray,
    sizes: np.ndarray,
    classes: Mapping[str, Sequence[str]],
    folder: Path,
    split: str,
) -> list[Path]:
    """Writes rows of a dataset with the photos' bytes and the labels as classes.

    Args:
        dataset: as `train.data.dataset.read_dataset` gives it.
        rows: (n,) int, those to write, in this order.
        sizes: (n,) int, bytes of their photos.
        classes: for each of `LABELS` its values.
        folder: where to write; it exists.
        split: what the files' names start with.

    Returns:
        The files, in order; none where there are no rows.
    """
    features = Features(
        {
            "id": Value("string"),
            "image": Image(),
            **{label: ClassLabel(names=list(classes[label])) for label in LABELS},
        }
    )
    shard_of = np.cumsum(sizes) // SHARD_BYTES
    shards = [rows[shard_of == n] for n in np.unique(shard_of)]
    paths = [folder / f"{split}-{n:05d}-of-{len(shards):05d}.parquet" for n in range(len(shards))]
    for path, shard in zip(paths, shards, strict=True):
        _write_shard(dataset, shard, features, path)
    return paths


def _write_shard(dataset: Dataset, rows: np.ndarray, features: Features, path: Path) -> None:
    schema = features.arrow_schema  # its metadata names the columns' kinds for `datasets`
    group: list[dict] = []
    n_bytes = 0
    with pq.ParquetWriter(path, schema) as writer:
        for row in rows.tolist():
            record = dataset[row]
            data = read_image(record["image"])
            labels = {label: features[label].str2int(record[label]) if record[label] else None for label in LABELS}
            image = {"bytes": data, "path": Path(record["id"]).name}
            group.append({"id": record["id"], "image": image, **labels})
            n_bytes += len(data)
            if len(group) == GROUP_PHOTOS or n_bytes >= GROUP_BYTES:
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                group, n_bytes = [], 0
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))

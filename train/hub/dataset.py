"""A dataset as a repository on the Hub: parquet shards with Image and ClassLabel columns, a split, and a card.

A step of `train.prepare_data --push`.
"""

import hashlib
import json
import tempfile
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from cbir.errors import DataError, ImageError
from cbir.images import load_image
from cbir.labels import LABELS
from train.data.split import near_duplicate_groups, split_by_group
from train.hub.upload import CARD, MANIFEST, MARK, owned_by_manifest, upload

FORMAT = "apparel-cbir-dataset"
SHARD_BYTES = 256 * 2**20  # of photos in a parquet file, about
SPLITS = ("train", "test")
# Near duplicates, before there is any embedding: pictures of this many pixels a side, grey and standardised, whose
# cosine reaches the threshold.
TINY = 16
TINY_COSINE = 0.99


def push_dataset(
    dataset: datasets.Dataset,
    repo: str,
    *,
    name: str,
    license: str,
    test_share: float,
    seed: int,
    public: bool,
    dry_run: bool,
) -> str | None:
    """Pushes a dataset in one commit; photos that cannot be read are left out and listed.

    Args:
        dataset: rows of `train.data.dataset.read_dataset`.
        repo: dataset repository, `user/name`.
        name: of the source, for the card.
        license: of the photos, as the Hub names it.
        test_share: share of the photos in the split "test".
        seed: of the split.
        public: whether a new repository is public.
        dry_run: print what would go, send nothing.

    Returns:
        `user/name@commit`; None after a dry run.

    Raises:
        DataError: no photo can be read.
        HubError: the repository holds something else, or the Hub refuses; HubUnreachableError: it does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="cbir-dataset-") as folder:
        files = write_repo(dataset, Path(folder), name, license, test_share, seed)
        owned = owned_by_manifest(FORMAT)
        commit = upload(repo, "dataset", files, owned, f"{name}: {len(dataset):,} photos", not public, dry_run)
    return f"{repo}@{commit}" if commit else None


def write_repo(
    dataset: datasets.Dataset, folder: Path, name: str, license: str, test_share: float, seed: int
) -> dict[str, Path | bytes]:
    """Writes the shards, and gives all files of the repository by name. Arguments as in `push_dataset`."""
    rows, tiny, unreadable = [], [], {}
    for row in tqdm(dataset, desc="reading", unit="photo"):
        image = row["image"]
        data = Path(image["path"]).read_bytes() if image["bytes"] is None else image["bytes"]
        try:
            tiny.append(_tiny(data))
        except ImageError as error:
            unreadable[row["id"]] = str(error)
            continue
        rows.append({**row, "image": {"bytes": data, "path": Path(row["id"]).name}})
    for id_, reason in unreadable.items():
        print(f"left out {id_}: {reason}")
    if not rows:
        raise DataError(f"expected photos in {name}, but none can be read")
    is_test = split_by_group(near_duplicate_groups(np.stack(tiny), TINY_COSINE), test_share, seed)
    classes = {label: sorted({row[label] for row in rows} - {""}) for label in LABELS}
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "image": datasets.Image(),
            **{label: datasets.ClassLabel(names=classes[label]) for label in LABELS},
        }
    )
    for row in rows:
        for label in LABELS:
            row[label] = classes[label].index(row[label]) if row[label] else None
    shards: dict[str, Path] = {}
    counts = {}
    for split, wanted in zip(SPLITS, (False, True), strict=True):
        chosen = [row for row, test in zip(rows, is_test, strict=True) if test == wanted]
        counts[split] = len(chosen)
        for path in _write_shards(chosen, features, folder / "data", split):
            shards[f"data/{path.name}"] = path
    manifest = {
        "format": FORMAT,
        "source": name,
        "seed": seed,
        "test_share": test_share,
        "counts": counts,
        "unreadable": unreadable,
        "files": {
            file: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
            for file, path in shards.items()
        },
    }
    files: dict[str, Path | bytes] = dict(shards)
    files[MANIFEST] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    files[CARD] = _card(rows, is_test, classes, manifest, license).encode()
    return files


def _tiny(data: bytes) -> np.ndarray:
    """A photo's near-duplicate descriptor: (TINY * TINY,) float32, mean 0."""
    pixels = np.asarray(load_image(data).convert("L").resize((TINY, TINY)), np.float32).ravel()
    return pixels - pixels.mean()


def _write_shards(rows: list[dict], features: datasets.Features, folder: Path, split: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    ends = np.cumsum([len(row["image"]["bytes"]) for row in rows]) // SHARD_BYTES
    parts = [[row for row, shard in zip(rows, ends, strict=True) if shard == n] for n in np.unique(ends)]
    paths = []
    for n, part in enumerate(parts):
        paths.append(folder / f"{split}-{n:05d}-of-{len(parts):05d}.parquet")
        # The schema's metadata name the columns' kinds for `datasets`; small groups suit the Hub's viewer.
        pq.write_table(pa.Table.from_pylist(part, schema=features.arrow_schema), paths[-1], row_group_size=100)
    return paths


def _card(rows: list[dict], is_test: np.ndarray, classes: dict[str, list[str]], manifest: dict, license: str) -> str:
    from huggingface_hub import DatasetCardData

    counts = manifest["counts"]
    data = DatasetCardData(
        license=license,
        pretty_name=manifest["source"],
        task_categories=["image-classification", "image-feature-extraction"],
        size_categories=[_size_category(len(rows))],
        tags=["clothes", "image-retrieval"],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*"} for split in SPLITS if counts[split]],
            }
        ],
    )
    pairs = Counter((row["color"], row["type"]) for row in rows)
    colors, types = ([*range(len(classes[label])), None] for label in ("color", "type"))
    colors = [c for c in colors if any(pairs[c, t] for t in types)]
    types = [t for t in types if any(pairs[c, t] for c in colors)]

    def word(label: str, index: int | None) -> str:
        return "unknown" if index is None else classes[label][index]

    table = [["", *(word("type", t) for t in types), "total"], ["---"] * (len(types) + 2)]
    for c in colors:
        table.append([word("color", c), *(f"{pairs[c, t]:,}" for t in types), f"{sum(pairs[c, t] for t in types):,}"])
    lines = "\n".join(f"| {' | '.join(row)} |" for row in table)
    note = (
        "The licence of the photos was not stated: they remain under the terms of their source. Clear it before you "
        "make this dataset public."
        if license == "unknown"
        else f"The photos are under the terms of their source, stated as `{license}` by whoever pushed this dataset."
    )
    return f"""---
{data.to_yaml()}
---
{MARK}

# {manifest["source"]}

{len(rows):,} photos of clothes with their color and type; {counts["train"]:,} in the split `train`, {counts["test"]:,}
in `test`.

{lines}

- `id`: path within the source, unique.
- `image`: the photo as it was, with its EXIF data.
- `color`, `type`: classes; null where unknown.

The split was drawn with seed {manifest["seed"]}; near duplicates (grey pictures of {TINY} x {TINY} pixels whose
correlation is at least {TINY_COSINE}) are on one side. `train.run` takes all photos together and splits them by
embeddings, which find more near duplicates. {len(manifest["unreadable"])} photos could not be read and were left out.

## Licence

{note}
"""


def _size_category(n: int) -> str:
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((name for bound, name in bounds if n < bound), "n>1M")

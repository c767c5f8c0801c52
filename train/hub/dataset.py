"""A dataset as a repository on the Hub: parquet shards with Image and ClassLabel columns, a split, and a card.

A step of `train.prepare_data --push`.
"""

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cbir.errors import DataError, ImageError
from cbir.images import load_image
from cbir.labels import LABELS
from train.data.dataset import Dataset, class_table, read_image
from train.data.parquet import write_shards
from train.data.split import near_duplicate_groups, split_by_group
from train.evaluation.markdown import markdown_table
from train.hub.upload import CARD, MANIFEST, MARK, Content, Upload, owned_by_manifest, upload

FORMAT = "apparel-cbir-dataset"
SPLITS = ("train", "test")
# Near duplicates, before there is any embedding: pictures of this many pixels a side, grey and standardised, whose
# cosine reaches the threshold.
TINY = 16
TINY_COSINE = 0.99
TEMPLATE = Path(__file__).with_name("dataset_card_template.md")


@dataclass(frozen=True)
class DatasetRepo:
    """What a dataset is published as.

    Attributes:
        repo: dataset repository, `user/name`.
        name: of the source, for the card.
        licence: of the photos, as the Hub names it; None where nobody stated one.
        test_share: share of the photos in the split "test".
        seed: of the split.
        public: whether a new repository is public.
    """

    repo: str
    name: str
    licence: str | None = None
    test_share: float = 0.2
    seed: int = 0
    public: bool = False


def push_dataset(dataset: Dataset, to: DatasetRepo, dry_run: bool = False) -> str | None:
    """Pushes a dataset in one commit; photos that cannot be read are left out and listed.

    Memory does not grow with the photos: they are written to a temporary folder, which takes as much disk as they do.

    Args:
        dataset: as `train.data.dataset.read_dataset` gives it.
        to: where, and as what.
        dry_run: print what would go, send nothing.

    Returns:
        `user/name@commit`; None after a dry run.

    Raises:
        DataError: no photo can be read.
        HubError: the repository holds something else, or the Hub refuses; HubUnreachableError: it does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="cbir-dataset-") as folder:
        files = write_repo(dataset, Path(folder), to)
        owned = owned_by_manifest(FORMAT)
        message = f"{to.name}: {len(dataset):,} photos"
        commit = upload(Upload(to.repo, "dataset", files, owned, message, to.public), dry_run)
    return f"{to.repo}@{commit}" if commit else None


def write_repo(dataset: Dataset, folder: Path, to: DatasetRepo) -> dict[str, Content]:
    """Writes the shards, and gives all files of the repository by name.

    Raises:
        DataError: no photo can be read.
    """
    sizes, pictures, unreadable = _survey(dataset)
    for id, reason in unreadable.items():
        print(f"left out {id}: {reason}")
    rows = np.flatnonzero(sizes)
    if not len(rows):
        raise DataError(f"expected photos in {to.name}, but none can be read")
    is_test = split_by_group(near_duplicate_groups(pictures, TINY_COSINE), to.test_share, to.seed)
    readable = dataset.select(rows)
    classes = {label: sorted(set(readable[label][:]) - {""}) for label in LABELS}
    data_folder = folder / "data"
    data_folder.mkdir()
    files: dict[str, Content] = {}
    described: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    for split, chosen in zip(SPLITS, (~is_test, is_test), strict=True):
        counts[split] = int(chosen.sum())
        for path in write_shards(dataset, rows[chosen], sizes[rows[chosen]], classes, data_folder, split):
            files[f"data/{path.name}"] = path
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            described[f"data/{path.name}"] = {"sha256": digest, "bytes": path.stat().st_size}
    manifest = {
        "format": FORMAT,
        "source": to.name,
        "seed": to.seed,
        "test_share": to.test_share,
        "counts": counts,
        "unreadable": unreadable,
        "files": described,
    }
    files[MANIFEST] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    files[CARD] = _card(readable, to, counts, len(unreadable)).encode()
    return files


def _survey(dataset: Dataset) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Reads every photo once, one at a time.

    Returns:
        (n,) int, bytes of each photo, 0 where it cannot be read; (r, TINY * TINY) float32, of the r readable ones small
        pictures with mean 0, to find near duplicates by; why the others cannot be read, by id.
    """
    sizes = np.zeros(len(dataset), int)
    pictures, unreadable = [], {}
    for n, row in enumerate(tqdm(dataset, desc="reading", unit="photo")):
        try:
            data = read_image(row["image"])
            pixels = np.asarray(load_image(data).convert("L").resize((TINY, TINY)), np.float32).ravel()
        except (ImageError, OSError) as error:
            unreadable[row["id"]] = str(error)
            continue
        sizes[n] = len(data)
        pictures.append(pixels - pixels.mean())
    return sizes, np.array(pictures), unreadable


def _card(photos: Dataset, to: DatasetRepo, counts: dict[str, int], n_unreadable: int) -> str:
    from huggingface_hub import DatasetCard, DatasetCardData

    data = DatasetCardData(
        license=to.licence or "unknown",
        pretty_name=to.name,
        task_categories=["image-classification", "image-feature-extraction"],
        size_categories=[_size_category(len(photos))],
        tags=["clothes", "image-retrieval"],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*"} for split in SPLITS if counts[split]],
            }
        ],
    )
    table = class_table(photos)
    rows = [[str(color), *(f"{n:,}" for n in numbers)] for color, *numbers in table.itertuples()]
    card = DatasetCard.from_template(
        data,
        template_path=str(TEMPLATE),
        mark=MARK,
        n_photos=len(photos),
        counts=counts,
        table=markdown_table(["", *table.columns], rows),
        seed=to.seed,
        tiny=TINY,
        tiny_cosine=TINY_COSINE,
        n_unreadable=n_unreadable,
        licence=to.licence,
    )
    return str(card)


def _size_category(n: int) -> str:
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((name for bound, name in bounds if n < bound), "n>1M")

"""Photos and labels as a `datasets` Dataset, from wherever they are.

Every photo is a row: `id` (unique; the path within the data), `image` (undecoded), `color` and `type` ("" = unknown).
Rows are sorted by id.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pandas
from datasets import Dataset

from cbir import hub
from cbir.class_names import ClassName, read_class
from cbir.errors import DataError, HubError, HubUnreachableError
from cbir.files import replacing
from cbir.label_files import label_columns, word
from cbir.photos import Remark, count_labels, list_photos, report_listing

FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        # Undecoded, so that a photo that cannot be read is a matter for `cbir.images`, one photo at a time.
        "image": datasets.Image(decode=False),
        "color": datasets.Value("string"),
        "type": datasets.Value("string"),
    }
)


@dataclass(frozen=True)
class Reading:
    """A dataset, and what was left out of it.

    Attributes:
        dataset: columns as in `FEATURES`.
        left_out: files and folders that were left out, by the reason; see `cbir.photos.PhotoListing`.
        remarks: what was not understood of labels, by the reason; likewise.
        repo: `user/name` of a dataset on the Hub; None for others.
        revision: its commit there; None where the Hub did not answer and the cache was read.
        licence: of the photos, as the dataset's card on the Hub states it; None where it states none.
    """

    dataset: Dataset
    left_out: Mapping[str, Remark] = field(default_factory=dict)
    remarks: Mapping[str, Remark] = field(default_factory=dict)
    repo: str | None = None
    revision: str | None = None
    licence: str | None = None


def read_dataset(source: str | Path, revision: str | None = None) -> Dataset:
    """Reads photos and labels.

    Args:
        source: a folder or zip as `cbir.photos` reads them, a folder that `save_to_disk` wrote, else the id of a
            dataset on the Hub (`user/name`).
        revision: branch, tag or commit of a Hub dataset; must be None for paths.

    Returns:
        Columns as in `FEATURES`, sorted by id. Photos of folders stay where they are and are read on access;
        those of zips are unpacked into the cache, each under the hash of its content.

    Raises:
        DataError: nothing is there, it cannot be read, has another layout, no photos, or an id twice.
    """
    return read(source, revision).dataset


def read(source: str | Path, revision: str | None = None) -> Reading:
    """Reads as `read_dataset`; prints, and gives, what was left out and what was not understood of labels."""
    path = Path(source)
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises on names that are too long
        if re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
            return _from_hub(str(source), revision)
        raise DataError(
            "expected a folder, a zip or a Hub dataset id (user/name), "
            f"but there is nothing at {str(source)!r}: check the path"
        )
    if revision is not None:
        raise DataError(f"expected a revision only for a Hub dataset, but {str(source)!r} is a path: leave it out")
    if path.is_dir() and _is_saved_dataset(path):
        return Reading(_from_disk(path))
    return _from_files(path)


def photo_source(image: dict) -> bytes | str:
    """What `cbir.images.load_image` takes, from a row's `image`: its bytes, else its path."""
    return image["path"] if image["bytes"] is None else image["bytes"]


def read_image(image: dict) -> bytes:
    """The bytes of a row's `image`."""
    return Path(image["path"]).read_bytes() if image["bytes"] is None else image["bytes"]


def counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Number of photos by color, then type: see `cbir.photos.count_labels`."""
    return count_labels(dataset["color"][:], dataset["type"][:])


def class_table(dataset: Dataset) -> pandas.DataFrame:
    """Number of photos by color (rows) and type (columns), with totals; unknown labels first."""
    colors, types = (pandas.Series(dataset[name][:], dtype=str) for name in ("color", "type"))
    table = pandas.crosstab(colors, types, margins=True, margins_name="total").rename_axis(index=None, columns=None)
    return table.rename(index={"": "unknown"}, columns={"": "unknown"})


def _from_files(path: Path) -> Reading:
    listing = list_photos(path)
    columns: dict[str, list[str]] = {
        "id": [record.id for record in listing.records],
        "image": [record.path for record in listing.records],
        "color": [record.color for record in listing.records],
        "type": [record.type for record in listing.records],
    }
    report_listing(listing, str(path))
    return Reading(Dataset.from_dict(columns, features=FEATURES), listing.left_out, listing.remarks)


def _is_saved_dataset(path: Path) -> bool:
    names = {"dataset_dict.json"}, {"dataset_info.json", "state.json"}
    return any(all((path / name).is_file() for name in group) for group in names)


def _from_disk(path: Path) -> Dataset:
    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:  # JSON, Arrow and the file system each have their own
        raise DataError(
            f"expected a folder written by save_to_disk, but {str(path)!r} cannot be loaded "
            f"({_reason(error)}): write it again"
        ) from error
    return _from_loaded(loaded, str(path))


def _from_hub(name: str, revision: str | None) -> Reading:
    """Reads one commit, whatever a branch does meanwhile."""
    commit, licence = revision if hub.is_commit(revision) else None, None
    try:
        info = hub.repo_info(name, revision, "dataset")
        commit, licence = info.sha, _stated_licence(info.card_data)
    except HubUnreachableError:
        pass  # the cache may have it
    except HubError as error:
        raise DataError(f"expected a path or a Hub dataset, but there is no path {name!r} here, and {error}") from None
    try:
        loaded = datasets.load_dataset(name, revision=commit or revision)
    # Not found, gated, offline, timed out, no data files: three libraries have each their own errors.
    except Exception as error:
        at = f" at revision {revision!r}" if revision else ""
        raise DataError(
            f"expected a path or a Hub dataset, but there is no path {name!r} here and the Hub dataset{at} "
            f"cannot be loaded ({_reason(error)}): check name, revision, access and network"
        ) from error
    return Reading(_from_loaded(loaded, name), repo=name, revision=commit, licence=licence)


def _stated_licence(card: Any) -> str | None:  # noqa: ANN401 - DatasetCardData, or None without a card
    licence = card.get("license") if card else None
    return licence if isinstance(licence, str) and licence != "unknown" else None


def _reason(error: Exception) -> str:
    """The first line of another library's message, within reason."""
    line = next(iter(str(error).strip().splitlines()), "").rstrip(".") or type(error).__name__
    return line if len(line) <= 160 else line[:157] + "..."


def _from_loaded(loaded: Dataset | datasets.DatasetDict, source: str) -> Dataset:
    """Brings a dataset of either kind of label columns to `FEATURES`, all splits together."""
    if isinstance(loaded, datasets.DatasetDict):
        splits = [with_features(split, source, f"{name}/") for name, split in sorted(loaded.items()) if len(split)]
        dataset = datasets.concatenate_datasets(splits) if splits else None
    else:
        dataset = with_features(loaded, source, "") if len(loaded) else None
    if dataset is None:
        raise DataError(f"expected photos, but the dataset {source!r} has no rows: choose another")
    ids = dataset["id"][:]
    [(most_common, n_rows)] = Counter(ids).most_common(1)
    if n_rows > 1:
        raise DataError(f"expected each id once, but {most_common!r} comes {n_rows} times in {source!r}: rename it")
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return dataset if order == list(range(len(ids))) else dataset.select(order)


def with_features(split: Dataset, source: str, prefix: str, start: int = 0) -> Dataset:
    """One split with the columns of `FEATURES`; ids, if missing, are `prefix` and the row number from `start`.

    Raises:
        DataError: it has other columns.
    """
    split = split.with_format(None)
    images = [name for name, feature in split.features.items() if isinstance(feature, datasets.Image)]
    image = "image" if "image" in images or len(images) != 1 else images[0]
    if image not in images:
        raise DataError(f"expected an image column in {source!r}, got {', '.join(split.column_names)}: name it 'image'")
    if "id" in split.column_names:
        ids = ["" if id_ is None else str(id_) for id_ in split["id"][:]]
        if "" in ids:
            raise DataError(f"expected an id in every row of {source!r}, but row {ids.index('')} has none: fill it in")
    else:
        ids = [f"{prefix}{row:06d}" for row in range(start, start + len(split))]
    colors, types = _labels_of_columns(split, source)
    bare = split.select_columns([image])
    if image != "image":
        bare = bare.rename_column(image, "image")
    bare = bare.cast_column("image", FEATURES["image"])
    for name, column in (("id", ids), ("color", colors), ("type", types)):
        bare = bare.add_column(name, column, feature=FEATURES[name])
    return bare.select_columns(list(FEATURES))


def _labels_of_columns(split: Dataset, source: str) -> tuple[list[str], list[str]]:
    """Colors and types, by the columns of these names, else by one column "label" of class names."""
    try:
        columns = {name: split.column_names[place] for name, place in label_columns(split.column_names).items()}
    except DataError as error:
        raise DataError(f"expected one column of each label in {source!r}, {error}") from error
    if not columns:
        raise DataError(
            f"expected the columns color and type, or label, in {source!r}, "
            f"got {', '.join(split.column_names)}: rename them"
        )
    if "class" not in columns:
        unknown = [""] * len(split)
        colors, types = (
            _words(split, columns[name], source) if name in columns else unknown for name in ("color", "type")
        )
        return colors, types
    names = _words(split, columns["class"], source)
    classes = {name: read_class(name) for name in set(names) - {""}}
    if strange := sorted(name for name, found in classes.items() if not found or found.is_neutral or found.doubt):
        raise DataError(
            f"expected labels such as black_dress in {source!r}, got {', '.join(strange[:5])}: "
            "give the columns color and type instead"
        )
    labels = [classes.get(name) or ClassName() for name in names]
    return [label.color for label in labels], [label.type for label in labels]


def _words(split: Dataset, name: str, source: str) -> list[str]:
    """A label column as strings; None and the -1 of unlabelled classes become ""."""
    feature, values = split.features[name], split[name][:]
    if isinstance(feature, datasets.ClassLabel):
        return ["" if value is None or value < 0 else word(feature.int2str(value)) for value in values]
    if all(value is None or isinstance(value, str) for value in values):
        return [word(value) for value in values]
    raise DataError(f"expected words or classes in the column {name!r} of {source!r}, got {feature}: change its type")


def save(dataset: Dataset, folder: Path) -> None:
    """Writes a dataset, photos included, all of it or nothing.

    Raises:
        DataError: the folder is there already, or cannot be written.
    """
    check_is_new(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing(folder) as partial:
            dataset.save_to_disk(str(partial))
    except OSError as error:
        raise DataError(f"cannot write {str(folder)!r} ({error}): check space and permissions") from error


def check_is_new(folder: Path) -> None:
    """Raises a DataError where a folder to write is there already."""
    if folder.exists():
        raise DataError(f"expected a folder to create, but {str(folder)!r} exists: choose another or remove it")

"""Photos of clothes, wherever they are, as one `datasets` Dataset: the first step of training.

    python -m train.prepare_data --data apparel-images-dataset.zip --out data/apparel

writes `data/apparel` in the layout of `Dataset.save_to_disk` and prints how many photos each class has; with
`--push user/name` it goes to the Hugging Face Hub, private unless `--public` is given. The data may be

- a folder with the photos in folders named `<color>_<type>` (the Kaggle Apparel Images Dataset), `<type>` or
  `<color>`; photos beside these folders have no labels;
- a folder with photos and `metadata.csv` or `labels.csv`: file_name and, as far as known, color and type;
- a folder with photos only: no labels;
- a zip of any of these; one more folder around everything does no harm;
- a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote;
- the id of a dataset on the Hugging Face Hub.

Every photo becomes a row: `id` (unique; the path within the data), `image` (undecoded), `color` and `type`
("" = unknown). Rows are sorted by id.
"""

import argparse
import csv
import hashlib
import io
import os
import re
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import datasets

from cbir.errors import DataError
from cbir.files import cache_root
from cbir.images import MAX_BYTES
from train.cli import run_main
from train.hub.dataset import push_dataset
from train.hub.upload import check_access

COLORS = ("black", "blue", "brown", "green", "red", "white")
TYPES = ("dress", "pants", "shirt", "shoes", "shorts")

FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        # Undecoded, so that a photo that cannot be read is a matter for `cbir.images`, one photo at a time.
        "image": datasets.Image(decode=False),
        "color": datasets.Value("string"),
        "type": datasets.Value("string"),
    }
)
PHOTO_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"]
)
LABEL_FILES = ("metadata.csv", "labels.csv")  # the first that exists counts; `datasets` knows the first too
MAX_UNPACKED = 16 * 2**30  # bytes of photos in a zip: 10 times the published dataset

_LAYOUT = (
    "expected folders named <color>_<type>, <type> or <color> "
    f"(colors: {', '.join(COLORS)}; types: {', '.join(TYPES)}), or metadata.csv with file_name,color,type, "
    "or photos without folders"
)


@dataclass(frozen=True)
class Reading:
    """A dataset, and what was left out of it.

    Attributes:
        dataset: columns as in `FEATURES`.
        n_ignored: visible files that are no photos, or photos that the labels file does not list.
    """

    dataset: datasets.Dataset
    n_ignored: int = 0


def read_dataset(source: str | Path, revision: str | None = None, any_folders: bool = False) -> datasets.Dataset:
    """Read photos and labels from any of the places that the module lists.

    Args:
        source: an existing path, else the id of a dataset on the Hub (`user/name`).
        revision: branch, tag or commit of a Hub dataset; must be None for paths.
        any_folders: take photos in folders of other names too, as photos without labels; to train, such a folder is
            rather a mistake.

    Returns:
        Columns as in `FEATURES`, sorted by id. Photos of folders stay where they are and are read on access;
        those of zips are unpacked into the cache, each under the hash of its content.

    Raises:
        DataError: nothing is there, it cannot be read, has another layout, no photos, or an id twice.
    """
    return read(source, revision, any_folders).dataset


def read(source: str | Path, revision: str | None = None, any_folders: bool = False) -> Reading:
    """As `read_dataset`, with the number of files that were ignored."""
    path = Path(source)
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises on names that are too long
        if re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
            return Reading(_from_hub(str(source), revision))
        raise DataError(
            "expected a folder, a zip or a Hub dataset id (user/name), "
            f"but there is nothing at {str(source)!r}: check the path"
        )
    if revision is not None:
        raise DataError(f"expected a revision only for a Hub dataset, but {str(source)!r} is a path: leave it out")
    if path.is_dir():
        if _is_saved_dataset(path):
            return Reading(_from_disk(path))
        return _from_folder(path, any_folders)
    if zipfile.is_zipfile(path):
        return _from_zip(path, any_folders)
    raise DataError(f"expected a folder or a zip, but {str(source)!r} is another kind of file: unpack it first")


def photo_source(image: dict) -> bytes | str:
    """What `cbir.images.load_image` takes, from a row's `image`: its bytes, else its path."""
    return image["path"] if image["bytes"] is None else image["bytes"]


def counts(dataset: datasets.Dataset) -> dict[str, dict[str, int]]:
    """Number of photos by color, then type, e.g. `{"black": {"dress": 450}}`; "" stands for unknown."""
    pairs = Counter(zip(dataset["color"], dataset["type"], strict=True))
    table: dict[str, dict[str, int]] = {}
    for (color, type_), n_photos in sorted(pairs.items()):
        table.setdefault(color, {})[type_] = n_photos
    return table


def format_counts(table: dict[str, dict[str, int]]) -> str:
    """`counts` as lines of text: a row a color, a column a type, totals at the ends."""
    types = sorted({type_ for row in table.values() for type_ in row})
    lines: list[list[object]] = [["", *(type_ or "unknown" for type_ in types), "total"]]
    for color, row in sorted(table.items()):
        lines.append([color or "unknown", *(row.get(type_, 0) for type_ in types), sum(row.values())])
    columns = list(zip(*lines[1:], strict=True))
    lines.append(["total", *(sum(column) for column in columns[1:])])
    widths = [max(len(str(cell)) for cell in column) + 2 for column in zip(*lines, strict=True)]
    return "\n".join(
        "".join(f"{cell!s:<{widths[0]}}" if i == 0 else f"{cell!s:>{widths[i]}}" for i, cell in enumerate(line))
        for line in lines
    )


# --- folders and zips


@dataclass(frozen=True)
class _Files:
    """A folder or a zip, as the layouts need it.

    Attributes:
        source: for messages.
        names: of all files, relative.
        open: the content of one of them.
        locate: paths of the photos of these names, on disk.
    """

    source: Path
    names: list[PurePosixPath]
    open: Callable[[PurePosixPath], BinaryIO]
    locate: Callable[[list[PurePosixPath]], list[str]]


def _from_folder(root: Path, any_folders: bool) -> Reading:
    try:
        names = [PurePosixPath(path.relative_to(root).as_posix()) for path in root.rglob("*") if path.is_file()]
        return _from_files(
            _Files(
                root,
                names,
                open=lambda name: (root / name).open("rb"),
                locate=lambda names: [str((root / name).absolute()) for name in names],
            ),
            any_folders,
        )
    except OSError as error:
        raise DataError(f"cannot read {str(root)!r} ({error}): check its permissions") from error


def _from_zip(path: Path, any_folders: bool) -> Reading:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            return _from_files(
                _Files(
                    path,
                    list(members),
                    open=lambda name: archive.open(members[name]),
                    locate=lambda names: _unpack(archive, [members[name] for name in names], path),
                ),
                any_folders,
            )
    # What zipfile raises on damaged, encrypted and exotic archives.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"cannot read the zip {str(path)!r} ({error}): unpack it and give the folder") from error


def _members(archive: zipfile.ZipFile, path: Path) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The regular files of a zip by name; refuses names that point outside of it or come twice."""
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        if member.is_dir() or stat.S_ISLNK(member.external_attr >> 16):
            continue
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or re.match("[A-Za-z]:", str(name)):
            raise DataError(
                f"expected names within {str(path)!r}, but it holds {member.filename!r}: do not trust this zip"
            )
        if name in members:
            raise DataError(f"expected each name once, but {str(path)!r} holds {str(name)!r} twice: pack it again")
        members[name] = member
    return members


def _unpack(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], path: Path) -> list[str]:
    """Write photos into the cache, each named by its content, and return their paths.

    So no name of the zip is used for writing, a second run writes nothing, and an interrupted one does no
    harm.
    """
    # zipfile never gives more bytes than the zip's directory declares, so this bounds what is written.
    n_bytes = sum(member.file_size for member in members)
    if n_bytes > MAX_UNPACKED:
        raise DataError(
            f"expected at most {MAX_UNPACKED / 2**30:.0f} GB of photos, but {str(path)!r} unpacks to "
            f"{n_bytes / 2**30:.0f} GB: unpack it yourself and give the folder"
        )
    paths = []
    for member in members:
        with archive.open(member) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        suffix = PurePosixPath(member.filename).suffix.lower()
        target = cache_root().absolute() / "photos" / digest[:2] / (digest + suffix)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}.{os.getpid()}.part")
            with archive.open(member) as file, partial.open("wb") as copy:
                shutil.copyfileobj(file, copy)
            partial.replace(target)
        paths.append(str(target))
    return paths


def _from_files(files: _Files, any_folders: bool) -> Reading:
    """Find the layout by the names."""
    visible = [name for name in files.names if not _is_hidden(name)]
    if not visible:
        raise DataError(f"{_LAYOUT}, but {str(files.source)!r} is empty")
    root = _wrapping_folder(visible)
    photos = {str(name.relative_to(root)): name for name in visible if _is_photo(name)}
    if not photos:
        raise DataError(f"{_LAYOUT}, but {str(files.source)!r} has no photos among its {len(visible)} files")
    labels_file = next((root / name for name in LABEL_FILES if root / name in visible), None)
    if labels_file is not None:
        labels = _labels_of_csv(files, labels_file, photos)
    else:
        labels = {id_: _labels_of_folder(id_, files.source, any_folders) for id_ in photos}
    ids = sorted(labels)
    n_others = len(visible) - len(ids) - (labels_file is not None)
    colors, types = zip(*(labels[id_] for id_ in ids), strict=True)
    paths = files.locate([photos[id_] for id_ in ids])
    columns = {"id": ids, "image": paths, "color": colors, "type": types}
    try:
        return Reading(datasets.Dataset.from_dict(columns, features=FEATURES), n_others)
    except UnicodeEncodeError as error:
        raise DataError(f"expected file names in UTF-8 in {str(files.source)!r}: rename {error.object!r}") from error


def _is_hidden(name: PurePosixPath) -> bool:
    """Files of the system, such as .DS_Store and what macOS adds to zips."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts)


def _is_photo(name: PurePosixPath) -> bool:
    return name.suffix.lower() in PHOTO_SUFFIXES


def _wrapping_folder(names: Iterable[PurePosixPath]) -> PurePosixPath:
    """The one folder around everything that zips often have, "." where there is none."""
    content = [name for name in names if _is_photo(name) or name.name in LABEL_FILES]
    tops = {name.parts[0] for name in content}
    if len(tops) == 1 and all(len(name.parts) > 1 for name in content) and _parse_class(*tops) is None:
        return PurePosixPath(*tops)
    return PurePosixPath()


def _labels_of_folder(id_: str, source: Path, any_folders: bool) -> tuple[str, str]:
    """(color, type) by the first folder of a photo's path."""
    parts = PurePosixPath(id_).parts
    if len(parts) == 1:
        return "", ""
    labels = _parse_class(parts[0])
    if labels is None and any_folders:
        return "", ""
    if labels is None:
        raise DataError(f"{_LAYOUT}, but {str(source)!r} has a folder {parts[0]!r}: rename it or leave it out")
    return labels


def _parse_class(name: str) -> tuple[str, str] | None:
    """(color, type) of a class name: "black_dress", "dress" or "black"; None if it is none."""
    color, _, type_ = name.lower().partition("_")
    if color in COLORS and type_ in TYPES:
        return color, type_
    if name.lower() in COLORS:
        return name.lower(), ""
    if name.lower() in TYPES:
        return "", name.lower()
    return None


def _labels_of_csv(files: _Files, name: PurePosixPath, photos: dict[str, PurePosixPath]) -> dict[str, tuple[str, str]]:
    """(color, type) by id, of the photos that the labels file lists; labels may be any words."""
    shown = f"{name.name!r} in {str(files.source)!r}"
    with files.open(name) as file:
        data = file.read(MAX_BYTES + 1)
    try:
        if len(data) > MAX_BYTES:
            raise DataError(
                f"expected at most {MAX_BYTES // 2**20} MB of labels, but {shown} is larger: split the data"
            )
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"expected comma-separated UTF-8 text, but {shown} is not ({error}): save it as such"
        ) from error
    if "file_name" not in (reader.fieldnames or ()):
        raise DataError(
            f"expected the columns file_name,color,type in {shown}, "
            f"got {','.join(reader.fieldnames or ())!r}: rename them"
        )
    labels: dict[str, tuple[str, str]] = {}
    for row in rows:
        id_ = str(PurePosixPath((row["file_name"] or "").strip().replace("\\", "/")))
        if id_ not in photos:
            raise DataError(f"expected a photo for each row of {shown}, but there is no {id_!r}: check file_name")
        if id_ in labels:
            raise DataError(f"expected each photo once in {shown}, but {id_!r} comes twice: remove a row")
        labels[id_] = _word(row.get("color")), _word(row.get("type"))
    if not labels:
        raise DataError(f"expected a row for each photo in {shown}, but it has none: list the photos")
    return labels


def _word(label: str | None) -> str:
    """A label as it is compared: case and outer spaces do not matter."""
    return (label or "").strip().lower()


# --- datasets


def _is_saved_dataset(path: Path) -> bool:
    names = {"dataset_dict.json"}, {"dataset_info.json", "state.json"}
    return any(all((path / name).is_file() for name in group) for group in names)


def _from_disk(path: Path) -> datasets.Dataset:
    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:  # JSON, Arrow and the file system each have their own
        raise DataError(
            f"expected a folder written by save_to_disk, but {str(path)!r} cannot be loaded "
            f"({_reason(error)}): write it again"
        ) from error
    return _from_loaded(loaded, str(path))


def _from_hub(name: str, revision: str | None) -> datasets.Dataset:
    try:
        loaded = datasets.load_dataset(name, revision=revision)
    # Not found, gated, offline, timed out, no data files: three libraries have each their own errors.
    except Exception as error:
        at = f" at revision {revision!r}" if revision else ""
        raise DataError(
            f"expected a path or a Hub dataset, but there is no path {name!r} here and the Hub dataset{at} "
            f"cannot be loaded ({_reason(error)}): check name, revision, access and network"
        ) from error
    return _from_loaded(loaded, name)


def _reason(error: Exception) -> str:
    """The first line of another library's message, within reason."""
    line = next(iter(str(error).strip().splitlines()), "").rstrip(".") or type(error).__name__
    return line if len(line) <= 160 else line[:157] + "..."


def _from_loaded(loaded: datasets.Dataset | datasets.DatasetDict, source: str) -> datasets.Dataset:
    """Bring a dataset of either kind of label columns to `FEATURES`, all splits together."""
    if isinstance(loaded, datasets.DatasetDict):
        splits = [_with_features(split, source, f"{name}/") for name, split in sorted(loaded.items()) if len(split)]
        dataset = datasets.concatenate_datasets(splits) if splits else None
    else:
        dataset = _with_features(loaded, source, "") if len(loaded) else None
    if dataset is None:
        raise DataError(f"expected photos, but the dataset {source!r} has no rows: choose another")
    ids = dataset["id"][:]
    [(most_common, n_rows)] = Counter(ids).most_common(1)
    if n_rows > 1:
        raise DataError(f"expected each id once, but {most_common!r} comes {n_rows} times in {source!r}: rename it")
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return dataset if order == list(range(len(ids))) else dataset.select(order)


def _with_features(split: datasets.Dataset, source: str, prefix: str) -> datasets.Dataset:
    """One split with the columns of `FEATURES`; ids, if missing, are `prefix` and the row number."""
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
        ids = [f"{prefix}{row:06d}" for row in range(len(split))]
    colors, types = _labels_of_columns(split, source)
    bare = split.select_columns([image])
    if image != "image":
        bare = bare.rename_column(image, "image")
    bare = bare.cast_column("image", FEATURES["image"])
    for name, column in (("id", ids), ("color", colors), ("type", types)):
        bare = bare.add_column(name, column, feature=FEATURES[name])
    return bare.select_columns(list(FEATURES))


def _labels_of_columns(split: datasets.Dataset, source: str) -> tuple[list[str], list[str]]:
    """Colors and types, by the columns of these names, else by one column "label" of class names."""
    unknown = [""] * len(split)
    if "color" in split.column_names or "type" in split.column_names:
        columns = (_words(split, name, source) if name in split.column_names else unknown for name in ("color", "type"))
        return tuple(columns)
    if "label" not in split.column_names:
        raise DataError(
            f"expected the columns color and type, or label, in {source!r}, "
            f"got {', '.join(split.column_names)}: rename them"
        )
    names = _words(split, "label", source)
    classes = {name: ("", "") if name == "" else _parse_class(name) for name in set(names)}
    strange = sorted(name for name, labels in classes.items() if labels is None)
    if strange:
        raise DataError(
            f"expected labels such as black_dress in {source!r}, got {', '.join(strange[:5])}: "
            "give the columns color and type instead"
        )
    return [classes[name][0] for name in names], [classes[name][1] for name in names]


def _words(split: datasets.Dataset, name: str, source: str) -> list[str]:
    """A label column as strings; None and the -1 of unlabelled classes become ""."""
    feature, values = split.features[name], split[name][:]
    if isinstance(feature, datasets.ClassLabel):
        return ["" if value is None or value < 0 else _word(feature.int2str(value)) for value in values]
    if all(value is None or isinstance(value, str) for value in values):
        return [_word(value) for value in values]
    raise DataError(f"expected words or classes in the column {name!r} of {source!r}, got {feature}: change its type")


# --- the command


def save(dataset: datasets.Dataset, folder: Path) -> None:
    """Write a dataset, photos included, all of it or nothing.

    Raises:
        DataError: the folder is there already, or cannot be written.
    """
    _check_is_new(folder)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_to_disk(str(partial))
        partial.rename(folder)
    except OSError as error:
        raise DataError(f"cannot write {str(folder)!r} ({error}): check space and permissions") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_is_new(folder: Path) -> None:
    if folder.exists():
        raise DataError(f"expected a folder to create, but {str(folder)!r} exists: choose another or remove it")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m train.prepare_data", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder, zip or Hub dataset id (user/name)")
    parser.add_argument("--revision", help="branch, tag or commit of a Hub dataset")
    parser.add_argument("--out", type=Path, help="folder to create")
    parser.add_argument("--push", metavar="user/name", help="dataset repository on the Hub")
    parser.add_argument("--public", action="store_true", help="make a new repository public")
    parser.add_argument("--dry-run", action="store_true", help="list what --push would send, send nothing")
    parser.add_argument("--license", default="unknown", help="of the photos, for the card (default: %(default)s)")
    parser.add_argument("--test-share", type=float, default=0.2, help="of the pushed split (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the pushed split (default: %(default)s)")
    args = parser.parse_args(argv)
    if not args.out and not args.push:
        parser.error("give --out FOLDER, --push user/name, or both")
    if not 0 < args.test_share < 1:
        parser.error(f"expected a test share between 0 and 1, got {args.test_share}")
    # Before a long read, too.
    if args.out:
        _check_is_new(args.out)
    if args.push and not args.dry_run:
        check_access(args.push)
    reading = read(args.data, args.revision)
    table = counts(reading.dataset)
    print(format_counts(table))
    n_unlabelled = table.get("", {}).get("", 0)
    print(f"photos: {len(reading.dataset)}; without label: {n_unlabelled}; ignored files: {reading.n_ignored}")
    if args.out:
        save(reading.dataset, args.out)
        print(f"wrote {args.out}")
    if args.push:
        published = push_dataset(
            reading.dataset,
            args.push,
            name=Path(args.data).stem,
            license=args.license,
            test_share=args.test_share,
            seed=args.seed,
            public=args.public,
            dry_run=args.dry_run,
        )
        if published:
            print(f"published {published}")
    return 0


if __name__ == "__main__":
    run_main(main)

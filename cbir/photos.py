"""Photos in a folder or a zip as plain records: where each lies, and what its labels are.

The photos may be

- in folders named `<color>_<type>` (the Kaggle Apparel Images Dataset), `<type>` or `<color>`; photos beside these
  folders have no labels;
- beside a `metadata.csv` or `labels.csv`: file_name and, as far as known, color and type;
- in any place, without labels;
- in a zip of any of these; one more folder around everything does no harm.
"""

import csv
import functools
import hashlib
import io
import re
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from cbir.errors import DataError
from cbir.files import CacheFolder
from cbir.images import MAX_BYTES

COLORS = ("black", "blue", "brown", "green", "red", "white")
TYPES = ("dress", "pants", "shirt", "shoes", "shorts")
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
class PhotoRecord:
    """A photo that has not been read yet.

    Attributes:
        id: unique; the path within the folder or zip.
        path: of the file on disk.
        color: "" where unknown.
        type: "" where unknown.
    """

    id: str
    path: str
    color: str
    type: str


@dataclass(frozen=True)
class PhotoListing:
    """The photos that were found.

    Attributes:
        records: in order of id.
        n_ignored: visible files that are not photos, or photos that the labels file does not list.
    """

    records: list[PhotoRecord]
    n_ignored: int = 0


def list_photos(source: Path, any_folders: bool = False) -> PhotoListing:
    """Lists the photos of a folder or a zip, with their labels.

    Photos of folders stay where they are; those of zips are unpacked into the cache, each under the hash of its
    content.

    Args:
        source: an existing folder or zip.
        any_folders: take photos in folders of other names too, as photos without labels; to train, such a folder is
            rather a mistake.

    Raises:
        DataError: it cannot be read, has another layout, or no photos.
    """
    if source.is_dir():
        return _from_folder(source, any_folders)
    if source.is_file() and zipfile.is_zipfile(source):
        return _from_zip(source, any_folders)
    if not source.exists():
        raise DataError(f"expected a folder or a zip, but there is nothing at {str(source)!r}: check the path")
    raise DataError(f"expected a folder or a zip, but {str(source)!r} is another kind of file: unpack it first")


def count_labels(colors: Sequence[str], types: Sequence[str]) -> dict[str, dict[str, int]]:
    """Number of photos by color, then type, e.g. `{"black": {"dress": 450}}`; "" stands for unknown."""
    table: dict[str, dict[str, int]] = {}
    for (color, type_), n_photos in sorted(Counter(zip(colors, types, strict=True)).items()):
        table.setdefault(color, {})[type_] = n_photos
    return table


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
    open: Callable[[PurePosixPath], IO[bytes]]
    locate: Callable[[list[PurePosixPath]], list[str]]


def _from_folder(root: Path, any_folders: bool) -> PhotoListing:
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


def _from_zip(path: Path, any_folders: bool) -> PhotoListing:
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
    """Writes photos into the cache, each named by its content, and returns their paths.

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
            digest = hashlib.file_digest(cast("io.BufferedIOBase", file), "sha256").hexdigest()
        suffix = PurePosixPath(member.filename).suffix.lower()
        folder, name = CacheFolder("photos", digest[:2]), digest + suffix
        target = folder.find(name) or folder.write(name, functools.partial(_copy, archive, member))
        if target is None:
            raise DataError(f"cannot unpack {str(path)!r} into {folder.places[0]}: set CBIR_CACHE to a folder of yours")
        paths.append(str(target))
    return paths


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    with archive.open(member) as file, path.open("wb") as copy:
        shutil.copyfileobj(file, copy)


def _from_files(files: _Files, any_folders: bool) -> PhotoListing:
    """Finds the layout by the names."""
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
    for id_ in ids:
        try:
            id_.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"expected file names in UTF-8 in {str(files.source)!r}: rename {id_!r}") from error
    paths = files.locate([photos[id_] for id_ in ids])
    records = [PhotoRecord(id_, path, *labels[id_]) for id_, path in zip(ids, paths, strict=True)]
    return PhotoListing(records, n_others)


def _is_hidden(name: PurePosixPath) -> bool:
    """Files of the system, such as .DS_Store and what macOS adds to zips."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts)


def _is_photo(name: PurePosixPath) -> bool:
    return name.suffix.lower() in PHOTO_SUFFIXES


def _wrapping_folder(names: Iterable[PurePosixPath]) -> PurePosixPath:
    """The one folder around everything that zips often have, "." without one."""
    content = [name for name in names if _is_photo(name) or name.name in LABEL_FILES]
    tops = {name.parts[0] for name in content}
    if len(tops) == 1 and all(len(name.parts) > 1 for name in content) and parse_class(*tops) is None:
        return PurePosixPath(*tops)
    return PurePosixPath()


def _labels_of_folder(id_: str, source: Path, any_folders: bool) -> tuple[str, str]:
    """(color, type) by the first folder of a photo's path."""
    parts = PurePosixPath(id_).parts
    if len(parts) == 1:
        return "", ""
    labels = parse_class(parts[0])
    if labels is None and any_folders:
        return "", ""
    if labels is None:
        raise DataError(f"{_LAYOUT}, but {str(source)!r} has a folder {parts[0]!r}: rename it or leave it out")
    return labels


def parse_class(name: str) -> tuple[str, str] | None:
    """(color, type) of a class name: "black_dress", "dress" or "black"; None for any other."""
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
        labels[id_] = word(row.get("color")), word(row.get("type"))
    if not labels:
        raise DataError(f"expected a row for each photo in {shown}, but it has none: list the photos")
    return labels


def word(label: str | None) -> str:
    """A label as it is compared: case and outer spaces do not matter."""
    return (label or "").strip().lower()

"""Photos in a folder or a zip as plain records: where each lies, and what its labels are.

Labels are what names of folders say (`cbir.class_names`), at any depth, e.g. `red_dress/`, `dress/red/` or
`train/Blue-Jeans/`, and what tables beside the photos say (`cbir.label_files`), e.g. a `metadata.csv` with file_name,
color and type. Both may be missing. Nothing is left out in silence: files that are not photos, folders that systems
make, rows without a photo and names that are not understood are counted and named.
"""

import functools
import hashlib
import heapq
import io
import os
import re
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, cast

from cbir.class_names import read_class
from cbir.errors import DataError, Message
from cbir.files import CacheFolder, reason
from cbir.label_files import MAX_BYTES, NAMES, OTHER_TABLES, SUFFIXES, Finder, Table, read_table
from cbir.labels import LABELS

PHOTO_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"]
)
# Photos, but of formats that `cbir.images` does not read.
OTHER_PHOTOS = frozenset(
    [
        *(".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".xcf", ".ico", ".eps", ".ai", ".dng"),
        *(".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef", ".srw"),
    ]
)
MAX_UNPACKED = 16 * 2**30  # bytes of photos in a zip: 10 times the published dataset
MAX_ID = 1_000  # characters of a path within the folder
MAX_DEPTH = 100  # folders inside of folders
N_NAMED = 20  # names of what was left out that are kept

# Why something was left out, or a label is missing.
SYSTEM = Message("made by the system")
HIDDEN = Message("hidden")
NO_PHOTO = Message("not photos")
OTHER_FORMAT = Message("photos of a format that is not read: save them as JPEG")
CLOUD = Message("still in the cloud: download them")
NO_LABELS = Message("tables without labels of photos")
OTHER_TABLE = Message("tables of a format that is not read: save them as labels.csv")
BAD_NAME = Message("names that are not UTF-8, or too long: rename them")
CLOSED = Message("folders that cannot be opened")
LINK = Message("links to nowhere, or to what is there already")
ROW_WITHOUT_PHOTO = Message("rows of a table without a photo of that name")
BAD_ROW = Message("rows of a table that were not understood")
PHOTO_WITHOUT_ROW = Message("photos without a row in a table")
STRANGE_FOLDER = Message("photos in folders whose names say no color and no type")
STRANGE_LABEL = Message("rows of a table with labels that were not understood")
DOUBTFUL = Message("photos in folders whose names say several colors or types")

_SYSTEM_FOLDERS = frozenset(
    [
        *("__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder", "ipod photo cache"),
        *("system volume information", "recycler", "recycled", "recycle bin", "config.msi", "windowsimagebackup"),
        *("lost+found", "lost.dir", "#recycle", "#snapshot", "#archive", "trashbox", "dfsrprivate", "rubbish"),
        *("_gsdata_", "~snapshot"),
    ]
)
_SYSTEM_FILES = frozenset(
    [
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "picasa.ini", "zbthumbnail.info"),
        *("autorun.inf", "sync.ffs_db", "sync_conflict.log", "pspbrwse.jbf", "albumart.pamp"),
    ]
)
# Folders of storage boxes (@eaDir, @Recycle), of Windows ($RECYCLE.BIN, FOUND.000), and of photo programs.
_SYSTEM_PATTERN = re.compile(r"[@$].+|found\.\d{3}|.+\.(lrdata|lrcat-data|aplibrary|tmp)", re.IGNORECASE)
_LIBRARY = re.compile(r".+\.(photoslibrary|photolibrary)", re.IGNORECASE)  # a folder of Apple's, shown as a file
_LIBRARY_PHOTOS = ("originals", "masters")

_LAYOUT = (
    "expected folders named by color and type, such as red_dress, dress or red, or metadata.csv with "
    "file_name,color,type, or photos without folders"
)


@dataclass(frozen=True)
class PhotoRecord:
    """A photo that has not been read yet.

    Attributes:
        id: unique; the path within the folder or zip, so that it stays when other photos come or go.
        path: of the file on disk.
        color: "" where unknown.
        type: "" where unknown.
    """

    id: str
    path: str
    color: str
    type: str


@dataclass(frozen=True)
class Remark:
    """What was left out, or not understood, for one reason: how many, and the names of the first `N_NAMED`."""

    count: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class PhotoListing:
    """The photos that were found.

    Attributes:
        records: in order of id.
        left_out: files and folders that were left out, by the reason.
        remarks: what was not understood of labels, by the reason; the photos are there.
    """

    records: list[PhotoRecord]
    left_out: Mapping[str, Remark] = field(default_factory=dict)
    remarks: Mapping[str, Remark] = field(default_factory=dict)

    @property
    def n_ignored(self) -> int:
        """How many files and folders were left out."""
        return sum(remark.count for remark in self.left_out.values())


def list_photos(source: Path, any_folders: bool = False) -> PhotoListing:
    """Lists the photos of a folder or a zip, with their labels.

    Photos of folders stay where they are; those of zips are unpacked into the cache, each under the hash of its
    content.

    Args:
        source: an existing folder or zip.
        any_folders: take photos in folders of other names too, as photos without labels; to train, such a folder is
            rather a mistake.

    Raises:
        DataError: it cannot be read, its labels file is not understood, or it has no photos.
    """
    if source.is_dir():
        return _from_folder(source, any_folders)
    if source.is_file() and zipfile.is_zipfile(source):
        return _from_zip(source, any_folders)
    if not source.exists():
        raise DataError(f"expected a folder or a zip, but there is nothing at {str(source)!r}: check the path")
    raise DataError(f"expected a folder or a zip, but {str(source)!r} is another kind of file: unpack it first")


def described(found: Mapping[str, Remark]) -> list[str]:
    """What was left out or not understood, a line for each reason."""
    lines = []
    for why, remark in found.items():
        more = ", ..." if remark.count > len(remark.names) else ""
        lines.append(f"{remark.count:,} {why}: {', '.join(remark.names)}{more}")
    return lines


def report_listing(listing: PhotoListing, source: str) -> None:
    """Prints what was left out of a folder or zip, and what was not understood of its labels."""
    for title, found in (
        (f"left out of {source}:", listing.left_out),
        (f"labels of {source} that are missing:", listing.remarks),
    ):
        if found:
            print(title, *(f"  {line}" for line in described(found)), sep="\n")


def count_labels(colors: Sequence[str], types: Sequence[str]) -> dict[str, dict[str, int]]:
    """Number of photos by color, then type, e.g. `{"black": {"dress": 450}}`; "" stands for unknown."""
    table: dict[str, dict[str, int]] = {}
    for (color, type_), n_photos in sorted(Counter(zip(colors, types, strict=True)).items()):
        table.setdefault(color, {})[type_] = n_photos
    return table


class _Found:
    """Collects names by the reason."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()

    def add(self, why: str, name: str, count: int = 1) -> None:
        """Adds a name that stands for so many."""
        self._counts[why] += count
        self._names.setdefault(why, []).append(name)

    def remarks(self) -> dict[str, Remark]:
        """What was found, with the first names."""
        first = {why: tuple(map(_printable, heapq.nsmallest(N_NAMED, names))) for why, names in self._names.items()}
        return {why: Remark(self._counts[why], first[why]) for why in sorted(first)}


def _printable(name: str) -> str:
    """A name in one line that can be written in UTF-8."""
    name = name.encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


# --- folders and zips ---


@dataclass(frozen=True)
class _Files:
    """A folder or a zip, as the layouts need it.

    Attributes:
        source: for messages.
        names: of all files, relative; links and what systems make are left out.
        left_out: the others.
        open: the content of one of them.
        locate: paths of the photos of these names, on disk.
    """

    source: Path
    names: list[PurePosixPath]
    left_out: _Found
    open: Callable[[PurePosixPath], IO[bytes]]
    locate: Callable[[list[PurePosixPath]], list[str]]


def _from_folder(root: Path, any_folders: bool) -> PhotoListing:
    left_out = _Found()
    try:
        names = _walk(root, left_out)
        return _from_files(
            _Files(
                root,
                names,
                left_out,
                open=lambda name: (root / name).open("rb"),
                locate=lambda names: [str((root / name).absolute()) for name in names],
            ),
            any_folders,
        )
    except OSError as error:
        raise DataError(f"cannot read {str(root)!r} ({reason(error)}): check its permissions") from error


def _walk(root: Path, left_out: _Found) -> list[PurePosixPath]:
    """The files below a folder. Links to folders elsewhere are followed, once each."""
    names: list[PurePosixPath] = []
    top = os.path.realpath(root)
    visited = {top}
    waiting = [PurePosixPath()]
    while waiting:
        folder = waiting.pop()
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError:
            if not folder.parts:
                raise
            left_out.add(CLOSED, str(folder))
            continue
        for entry in entries:
            name = folder / entry.name
            if why := _why_not(name):
                left_out.add(why, str(name))
            elif entry.is_dir():
                if entry.is_symlink():
                    real = os.path.realpath(entry.path)
                    if real in visited or f"{real}{os.sep}".startswith(f"{top}{os.sep}"):
                        left_out.add(LINK, str(name))
                        continue
                    visited.add(real)
                if len(name.parts) > MAX_DEPTH:
                    left_out.add(BAD_NAME, str(name))
                else:
                    waiting.append(name)
            elif entry.is_file():
                names.append(name)
            else:
                left_out.add(LINK if entry.is_symlink() else SYSTEM, str(name))
    return names


def _why_not(name: PurePosixPath) -> str:
    """Why a file or folder is left out because of its own name; "" where it is not."""
    last, plain = name.name, name.name.lower()
    if plain.endswith(".icloud") and last.startswith("."):
        return CLOUD
    try:
        last.encode()
    except UnicodeEncodeError:
        return BAD_NAME
    if plain in _SYSTEM_FOLDERS or plain in _SYSTEM_FILES or _SYSTEM_PATTERN.fullmatch(last):
        return SYSTEM
    if len(name.parts) > 1 and _LIBRARY.fullmatch(name.parts[-2]) and plain not in _LIBRARY_PHOTOS:
        return SYSTEM
    return HIDDEN if last.startswith(".") else ""


def _from_zip(path: Path, any_folders: bool) -> PhotoListing:
    left_out = _Found()
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path, left_out)
            return _from_files(
                _Files(
                    path,
                    list(members),
                    left_out,
                    open=lambda name: archive.open(members[name]),
                    locate=lambda names: _unpack(archive, [members[name] for name in names], path),
                ),
                any_folders,
            )
    # What zipfile raises on damaged, encrypted and exotic archives.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"cannot read the zip {str(path)!r} ({error}): unpack it and give the folder") from error


def _members(archive: zipfile.ZipFile, path: Path, left_out: _Found) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The regular files of a zip by name; refuses names that point outside of it or come twice."""
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    told: set[PurePosixPath] = set()
    for member in archive.infolist():
        if member.is_dir():
            continue
        name = PurePosixPath(_name(member).replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or re.match("[A-Za-z]:", str(name)):
            raise DataError(
                f"expected names within {str(path)!r}, but it holds {member.filename!r}: do not trust this zip"
            )
        if name in members:
            raise DataError(f"expected each name once, but {str(path)!r} holds {str(name)!r} twice: pack it again")
        above = [PurePosixPath(*name.parts[: depth + 1]) for depth in range(len(name.parts))]
        if (where := next((one for one in above if _why_not(one)), None)) is not None:
            if where not in told:
                left_out.add(_why_not(where), str(where))
                told.add(where)
        elif stat.S_ISLNK(member.external_attr >> 16):
            left_out.add(LINK, str(name))
        else:
            members[name] = member
    return members


def _name(member: zipfile.ZipInfo) -> str:
    """The name of a member: many programs write UTF-8 and do not say so, and zipfile takes it for code page 437."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode()
    except UnicodeError:
        return member.filename


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


# --- labels ---

_Labels = dict[str, str]  # by name, "" where unknown


def _from_files(files: _Files, any_folders: bool) -> PhotoListing:
    """Sorts photos from other files, and finds their labels."""
    left_out, remarks = files.left_out, _Found()
    photos = [name for name in files.names if _is_photo(name)]
    if not photos:
        raise _no_photos(files)
    for name in [name for name in photos if len(str(name)) > MAX_ID]:
        left_out.add(BAD_NAME, f"{str(name)[:80]}...")
        photos.remove(name)
    ids = sorted(map(str, photos))
    by_table = _labels_of_tables(files, ids, remarks)
    by_folder = _labels_of_folders(files, ids, set(by_table), any_folders, remarks)
    labels = {id: _joined(by_table.get(id), by_folder[PurePosixPath(id).parent]) for id in ids}
    for id in ids if by_table else ():
        if id not in by_table and not any(labels[id].values()):
            remarks.add(PHOTO_WITHOUT_ROW, id)
    paths = files.locate([PurePosixPath(id) for id in ids])
    records = [PhotoRecord(id, path, **labels[id]) for id, path in zip(ids, paths, strict=True)]
    return PhotoListing(records, left_out.remarks(), remarks.remarks())


def _no_photos(files: _Files) -> DataError:
    for name in files.names:
        files.left_out.add(_kind(name), str(name))
    if not (left_out := described(files.left_out.remarks())):
        return DataError(f"{_LAYOUT}, but {str(files.source)!r} is empty")
    return DataError(f"{_LAYOUT}, but {str(files.source)!r} has no photos: {'; '.join(left_out)[:1000]}")


def _kind(name: PurePosixPath) -> Message:
    """Why a file that is neither a photo nor a table of labels is left out."""
    suffix = name.suffix.lower()
    if suffix in OTHER_PHOTOS:
        return OTHER_FORMAT
    if suffix in OTHER_TABLES and name.stem.lower() in ("metadata", "labels"):
        return OTHER_TABLE
    return NO_LABELS if suffix in SUFFIXES else NO_PHOTO


def _is_photo(name: PurePosixPath) -> bool:
    return name.suffix.lower() in PHOTO_SUFFIXES


def _joined(by_table: _Labels | None, by_folder: _Labels | None) -> _Labels:
    """Labels of a table, and, where it tells none, those of folders."""
    return {name: (by_table or {}).get(name, "") or (by_folder or {}).get(name, "") for name in LABELS}


def _labels_of_folders(
    files: _Files, ids: Sequence[str], listed: Collection[str], any_folders: bool, remarks: _Found
) -> dict[PurePosixPath, _Labels]:
    """What the names of folders say, the innermost first, by folder.

    Args:
        files: for messages.
        ids: of all photos.
        listed: ids of those that a table tells of.
        any_folders: see `list_photos`.
        remarks: takes folders whose names are not understood.
    """
    counts = Counter(PurePosixPath(id).parent for id in ids if id not in listed)
    labels: dict[PurePosixPath, _Labels] = {}
    strange: dict[PurePosixPath, int] = {}
    for folder in sorted({PurePosixPath(id).parent for id in ids}):
        names = [(name, read_class(name)) for name in reversed(folder.parts)]
        known = [named for _, named in names if named is not None]
        labels[folder] = {label: next(filter(None, (getattr(n, label) for n in known)), "") for label in LABELS}
        if len(known) < len(names) and not any(labels[folder].values()) and counts[folder]:
            strange[folder] = counts[folder]
        doubts = [f"{name}, {named.doubt}" for name, named in names if named is not None and named.doubt]
        if doubts and counts[folder]:
            remarks.add(DOUBTFUL, f"{doubts[0]} ({counts[folder]})", counts[folder])
    if listed or not strange:
        return labels
    shown = [f"{str(folder)!r} ({n})" for folder, n in strange.items()]
    if not any_folders:
        more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
        raise DataError(
            f"{_LAYOUT}, but {str(files.source)!r} has photos in {', '.join(shown[:5])}{more}: rename such folders or "
            "leave them out"
        )
    for folder, n in strange.items():
        remarks.add(STRANGE_FOLDER, f"{folder} ({n})", n)
    return labels


def _labels_of_tables(files: _Files, ids: Sequence[str], remarks: _Found) -> dict[str, _Labels]:
    """Labels by id, of the photos that tables list."""
    finder: Finder | None = None
    labels: dict[str, _Labels] = {}
    places: dict[str, str] = {}
    for name in sorted(files.names, key=lambda name: (len(name.parts), str(name))):
        if _is_photo(name):
            continue
        table = _table(files, name)
        if table is None:
            continue
        finder = finder or Finder(ids)
        shown = f"{str(name)!r} in {str(files.source)!r}"
        lost = []
        for row in table.rows:
            id = finder.find(row.file, name.parent)
            if id is None:
                lost.append(row.file)
                continue
            place = f"line {row.number} of {shown}"
            if id in labels and labels[id] != row.labels:
                raise DataError(f"expected one row for {id!r}, but {places[id]} and {place} differ: leave one")
            labels[id], places[id] = dict(row.labels), place
        if len(lost) == len(table.rows):
            looked = f"there is no {lost[0]!r}" if lost else f"it has {', '.join(table.damaged[:1]) or 'none'}"
            there = f" (photos are named like {ids[0]!r})" if ids else ""
            raise DataError(f"expected a row for each photo in {shown}, but {looked}{there}: check file_name")
        for file in lost:
            remarks.add(ROW_WITHOUT_PHOTO, f"{name}: {file}")
        for line in table.damaged:
            remarks.add(BAD_ROW, f"{name}, {line}")
        for label, n in table.strange.items():
            remarks.add(STRANGE_LABEL, f"{label} ({n})", n)
    return labels


def _table(files: _Files, name: PurePosixPath) -> Table | None:
    """A table of labels; whatever else is left out, and said to be."""
    suffix = name.suffix.lower()
    if suffix in SUFFIXES:
        try:
            with files.open(name) as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise DataError(f"but it has more than {MAX_BYTES // 2**20} MB: split the data")
            return read_table(data, suffix)
        except DataError as error:
            if name.name.lower() in NAMES:
                shown = f"{str(name)!r} in {str(files.source)!r}"
                raise DataError(f"expected the columns file_name,color,type in {shown}, {error}") from error
    files.left_out.add(_kind(name), str(name))
    return None

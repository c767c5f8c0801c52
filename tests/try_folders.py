"""Makes folders of photos at random, as people, programs and storage boxes leave them, and reads them.

    python -m tests.try_folders --n 1000 [--seed 1] [--write]

Every photo is found, with the labels that names of folders and rows of tables give it; what is left out is counted and
named, and so is every label that is not understood. A zip of the folder gives the same, and ids stay when photos and
folders are added. --write puts the table into docs/reliability.md.
"""

import argparse
import contextlib
import json
import os
import shutil
import tempfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from cbir.errors import DataError
from cbir.photos import PhotoListing, described, list_photos
from tests.photo_files import photo

ROOT = Path(__file__).resolve().parent.parent
PHOTO = photo()

# What people call colors and types -> the class.
COLORS = {
    **{"red": "red", "Black": "black", "WHITE": "white", "blue": "blue", "green": "green", "brown": "brown"},
    **{"pink": "pink", "yellow": "yellow", "grey": "grey", "gray": "grey", "purple": "purple", "beige": "beige"},
    **{"vermelho": "red", "vermelha": "red", "pretas": "black", "branco": "white", "azuis": "blue", "verde": "green"},
    **{"marrom": "brown", "amarelo": "yellow", "cinza": "grey", "roxo": "purple", "light blue": "blue"},
    **{"dark-green": "green", "azul claro": "blue", "off white": "cream", "navy blue": "navy"},
}
TYPES = {
    **{"dress": "dress", "Dresses": "dress", "shirt": "shirt", "shirts": "shirt", "t-shirt": "shirt"},
    **{"T-Shirts": "shirt", "tshirt": "shirt", "Tee": "shirt", "pants": "pants", "trousers": "pants", "jeans": "pants"},
    **{"Shoes": "shoes", "shoe": "shoes", "sneakers": "shoes", "boots": "shoes", "shorts": "shorts"},
    **{"vestido": "dress", "vestidos": "dress", "calça": "pants", "calças": "pants", "camisa": "shirt"},
    **{"camisetas": "shirt", "sapatos": "shoes", "tênis": "shoes", "bermuda": "shorts", "skirt": "skirt"},
}
NEUTRAL = ["photos", "train", "Test", "images", "2023", "women", "Men's", "fotos", "Kids clothes", "part 2", "batch-01"]
STRANGE = [
    "Holiday in Rome",
    "Top 10",
    "day 1",
    "Brown family",
    "Xmas_2023",
    "misc",
    "Anna's",
    "Férias",
    "new stuff x",
]
SEPARATORS = ["_", "-", " ", "__", " - ", ".", " & "]
SYSTEM = [
    *("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX", "@Recycle"),
    *("@Recently-Snapshot", "#snapshot", "FOUND.000", "RECYCLER", "Network Trash Folder", "LOST.DIR"),
    *("Lightroom Previews.lrdata", ".thumbnails", ".Trash-1000", ".dropbox.cache", ".git", ".@__thumb", ".stversions"),
    *(".picasaoriginals", ".tmp.driveupload", ".AppleDouble", "@SynoEAStream", ".zfs", "@tmp"),
]
JUNK = [
    *("Thumbs.db", "desktop.ini", ".DS_Store", "notes.txt", "._a.jpg", "movie.mov", "IMG_1.heic", "IMG_2.CR2", "x.pdf"),
    *("archive.zip", "readme.md", ".nomedia", "Icon\r", "a.jpg.xmp", "list.xlsx", "Makefile", "IMG_3.AAE", ".x.icloud"),
    *("sizes.csv", "labels.xlsx", "picasa.ini", "a.jpg@SynoResource", "~$labels.xlsx"),
]


@dataclass
class Case:
    """A folder to be.

    Attributes:
        files: by name.
        labels: color and type that each photo should get, by id.
        n_left_out: files and folders that are to be left out.
        n_remarks: rows, photos and folders whose labels are not understood, at least.
        is_refused: whether it has to be refused.
        what: of the kind it is.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    labels: dict[str, tuple[str, str]] = field(default_factory=dict)
    n_left_out: int = 0
    n_remarks: int = 0
    is_refused: bool = False
    what: Counter[str] = field(default_factory=Counter)


def pick(rng: np.random.Generator, values):
    """One of the values."""
    values = list(values)
    return values[rng.integers(len(values))]


def file_name(rng: np.random.Generator, used: set[str]) -> str:
    """A new name of a photo."""
    while True:
        stem = pick(
            rng, ["IMG_{}", "{}", "photo {}", "DSC0{}", "vestido_algodão{}", "a.b.{}", "'{}'", "ção {}", "x({})"]
        )
        name = stem.format(rng.integers(10_000)) + pick(rng, [".jpg", ".JPG", ".jpeg", ".png", ".webp", ".jfif"])
        name = unicodedata.normalize(pick(rng, ["NFC", "NFD"]), name)
        key = unicodedata.normalize("NFC", name).casefold().rpartition(".")[0]
        if key not in used:
            used.add(key)
            return name


def written(rng: np.random.Generator, words: list[str]) -> str:
    """Words as a name of a folder, in one of the ways that people write."""
    match rng.integers(6):
        case 0:
            return "".join(word.title().replace(" ", "").replace("-", "") for word in words)  # RedDress
        case 1:
            return pick(rng, SEPARATORS).join(words).upper()
        case 2:
            return f"{rng.integers(100):02d}_{'_'.join(words)}"
        case 3:
            return f"{pick(rng, SEPARATORS).join(words)} {pick(rng, ['photos', '2', '(1)', 'new', '01'])}"
        case _:
            return pick(rng, SEPARATORS).join(words)


def class_folder(rng: np.random.Generator) -> tuple[list[str], tuple[str, str]]:
    """Names of folders inside of each other, and the color and type that they say."""
    color, type_ = pick(rng, COLORS), pick(rng, TYPES)
    expected = COLORS[color], TYPES[type_]
    match rng.integers(6):
        case 0 | 1:
            words = [color, type_] if rng.integers(2) else [type_, color]
            folders = [written(rng, words)]
        case 2:
            folders, expected = [written(rng, [type_])], ("", expected[1])
        case 3:
            folders, expected = [written(rng, [color])], (expected[0], "")
        case 4:
            folders = [written(rng, [type_]), written(rng, [color])]
        case _:
            folders = [written(rng, [color]), written(rng, [type_])]
    if rng.integers(3) == 0:
        folders.insert(0, pick(rng, NEUTRAL))
    return folders, expected


def folders_case(rng: np.random.Generator) -> Case:
    """Folders of classes, some beside folders of any name."""
    case, used = Case(), set[str]()
    top = [pick(rng, [*NEUTRAL, "My Dataset v2", "Apparel Images"])] if rng.integers(3) == 0 else []
    for _ in range(rng.integers(1, 6)):
        folders, expected = class_folder(rng)
        for _ in range(rng.integers(1, 4)):
            id = "/".join([*top, *folders, file_name(rng, used)])
            case.files[id], case.labels[id] = PHOTO, expected
    case.what["folders of classes"] += 1
    if rng.integers(3) == 0:
        folder = pick(rng, STRANGE)
        for _ in range(rng.integers(1, 4)):
            id = "/".join([*top, folder, file_name(rng, used)])
            case.files[id], case.labels[id] = PHOTO, ("", "")
            case.n_remarks += 1
        case.what["beside folders of any name"] += 1
    with_junk(rng, case)
    return case


def table_case(rng: np.random.Generator) -> Case:
    """A table of labels."""
    case, used = Case(), set[str]()
    top = pick(rng, ["", "", "data/", "My Dataset v2/"])
    inner = pick(rng, ["", "", "images/", "photos/2023/"])
    rows = []
    color_name = pick(rng, ["color", "Color", "COLOUR", " colour", "Base Colour", "cor", "baseColour"])
    type_name = pick(rng, ["type", "Type ", "articleType", "tipo", "Garment type", "TYPE"])
    file_column = pick(rng, ["file_name", "File Name", "filename", "image", "Image Path", "arquivo", "id", "path"])
    has_color, has_type = [(True, True), (True, True), (True, False), (False, True)][rng.integers(4)]
    encoding = pick(rng, ["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])
    for _ in range(rng.integers(1, 8)):
        name = file_name(rng, used)
        id = top + inner + name
        case.files[id] = PHOTO
        labels = pick(rng, ["red", "Pink", " Dark Blue ", "", "vermelho"]), pick(rng, ["dress", "Skirt", "", "T-Shirt"])
        if rng.integers(5):
            rows.append([as_people_call_it(rng, inner, name, encoding), *labels])
            case.labels[id] = (
                {"vermelho": "red"}.get(labels[0], labels[0].strip().lower()) if has_color else "",
                labels[1].lower() if has_type else "",
            )
        else:
            case.labels[id] = ("", "")
            case.n_remarks += 1
    if not rows:
        case.is_refused = True
    for _ in range(int(rng.choice([0, 0, 0, 1, 2]))):
        rows.append([f"gone{rng.integers(1000)}.jpg", "red", "dress"])
        case.n_remarks += 1
    if rows and rng.integers(4) == 0:
        rows.append(rows[0])  # the same again
    columns = [(file_column, 0), *([(color_name, 1)] if has_color else []), *([(type_name, 2)] if has_type else [])]
    columns += [(name, None) for name in pick(rng, [[], [], ["price"], ["url", "note"]])]
    columns = [columns[i] for i in rng.permutation(len(columns))]
    text = table_text(rng, columns, rows)
    with contextlib.suppress(UnicodeEncodeError):
        text.encode(encoding)
        case.files[top + pick(rng, ["metadata.csv", "labels.csv", "Labels.csv", "products.csv"])] = text.encode(
            encoding
        )
    if not any(name.endswith(".csv") for name in case.files):
        case.files[top + "metadata.csv"] = text.encode("utf-8-sig")
    case.what["tables"] += 1
    with_junk(rng, case)
    return case


def as_people_call_it(rng: np.random.Generator, inner: str, name: str, encoding: str) -> str:
    """A photo's name in a table."""
    form = "NFC" if encoding == "cp1252" else pick(rng, ["NFC", "NFC", "NFD"])
    name = unicodedata.normalize(form, name)
    match rng.integers(8):
        case 0:
            return name.rpartition(".")[0]
        case 1:
            return f"./{inner}{name}"
        case 2:
            return f"{inner}{name}".replace("/", "\\")
        case 3:
            return f"C:\\Users\\Anna\\Pictures\\{inner}{name}".replace("/", "\\")
        case 4:
            return f"/home/anna/data/{inner}{name}"
        case 5:
            return f"{inner}{name}".upper() if encoding != "cp1252" else f" {inner}{name} "
        case 6:
            return name
        case _:
            return f"{inner}{name}"


def table_text(rng: np.random.Generator, columns: list, rows: list[list[str]]) -> str:
    """Rows as text, in one of the ways that programs write."""
    delimiter = pick(rng, [",", ",", ", ", ";", "\t", "; ", "|"])
    newline = pick(rng, ["\n", "\r\n", "\r\n"])
    quoted = rng.integers(3) == 0

    def cell(text: str) -> str:
        if quoted or delimiter.strip() in text or '"' in text or (delimiter == "\t" and "\t" in text):
            return '"' + text.replace('"', '""') + '"'
        return text

    lines = [delimiter.join(cell(name) for name, _ in columns)]
    for row in rows:
        lines.append(delimiter.join(cell("9.99" if at is None else row[at]) for _, at in columns))
        if rng.integers(8) == 0:
            lines.append(pick(rng, ["", delimiter.strip() * (len(columns) - 1)]))
    return newline.join(lines) + pick(rng, ["", newline, newline * 2])


def flat_case(rng: np.random.Generator) -> Case:
    """Photos without labels, in any folders or none."""
    case, used = Case(), set[str]()
    folder = pick(rng, ["", "", *STRANGE[:5]])
    for _ in range(rng.integers(1, 6)):
        id = str(PurePosixPath(folder) / file_name(rng, used))
        case.files[id], case.labels[id] = PHOTO, ("", "")
        case.n_remarks += bool(folder)
    case.what["photos without labels"] += 1
    with_junk(rng, case)
    return case


def with_junk(rng: np.random.Generator, case: Case) -> None:
    """Adds what systems and people leave beside photos."""
    folders = sorted({str(PurePosixPath(id).parent) for id in case.labels})
    told = set()
    for _ in range(int(rng.choice([0, 0, 1, 2, 4]))):
        folder = PurePosixPath(pick(rng, folders))
        if rng.integers(2):
            name = str(folder / pick(rng, SYSTEM))
            case.files[f"{name}/{pick(rng, ['a.jpg', 'b/SYNOPHOTO_THUMB_XL.jpg', 'labels.csv'])}"] = PHOTO
            case.what["with folders of systems"] += 1
        else:
            name = str(folder / pick(rng, JUNK))
            case.files.setdefault(name, b"file,size\nx,3\n" if name.endswith(".csv") else b"junk")
            case.what["with other files"] += 1
        told.add(name)
    case.n_left_out += len(told)


CASES: list[Callable[[np.random.Generator], Case]] = [folders_case, folders_case, table_case, table_case, flat_case]


def make(seed: int, number: int) -> Case:
    """The case of a number."""
    rng = np.random.default_rng([seed, number])
    return CASES[number % len(CASES)](rng)


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def zipped(path: Path, files: dict[str, bytes], rng: np.random.Generator) -> Path:
    """A zip, whose names say that they are UTF-8, or do not."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    if rng.integers(2):
        data = bytearray(path.read_bytes())
        for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = data.find(mark)
            while place >= 0:
                data[place + at + 1] &= ~0x08
                place = data.find(mark, place + 4)
        path.write_bytes(data)
    return path


def found(listing: PhotoListing) -> dict[str, tuple[str, str]]:
    return {record.id: (record.color, record.type) for record in listing.records}


def check(case: Case, folder: Path, rng: np.random.Generator) -> None:
    """Reads a case in every way.

    Raises:
        AssertionError: something is not as it should be.
    """
    fill(folder / "data", case.files)
    if case.is_refused:
        with pytest.raises(DataError) as caught:
            list_photos(folder / "data", any_folders=True)
        assert "\n" not in str(caught.value)
        return
    listing = list_photos(folder / "data", any_folders=True)
    got = found(listing)
    assert got.keys() == case.labels.keys(), (got.keys() ^ case.labels.keys(), described(listing.left_out))
    wrong = {id: (got[id], case.labels[id]) for id in got if got[id] != case.labels[id]}
    assert not wrong, wrong
    assert listing.n_ignored == case.n_left_out, (described(listing.left_out), case.n_left_out)
    n_remarks = sum(remark.count for remark in listing.remarks.values())
    assert n_remarks == case.n_remarks, (described(listing.remarks), case.n_remarks)
    for line in described({**listing.left_out, **listing.remarks}):
        assert line.isprintable(), ascii(line)
        line.encode()
    again = list_photos(zipped(folder / "data.zip", case.files, rng), any_folders=True)
    assert found(again) == got, found(again).items() ^ got.items()
    assert (again.left_out, again.remarks) == (listing.left_out, listing.remarks), (again.left_out, listing.left_out)
    # Ids stay, with their labels, where photos and folders are added.
    more = {"zz new/red_dress/added.jpg": PHOTO, f"{pick(rng, list(got))}.copy.jpg": PHOTO}
    fill(folder / "data", more)
    later = found(list_photos(folder / "data", any_folders=True))
    assert {id: later.get(id) for id in got} == got
    assert later.keys() == got.keys() | more.keys()


def try_folders(n: int, seed: int = 0) -> Counter[str]:
    """Reads n folders -> how many of each kind were read as they should be, or not."""
    counts: Counter[str] = Counter()
    for number in range(n):
        case = make(seed, number)
        with temporary() as folder:
            try:
                check(case, folder, np.random.default_rng([seed, number, 1]))
                answer = "refused" if case.is_refused else "right"
            except Exception as error:  # whatever it is, it is a failure
                print(f"seed {seed}, folder {number}: {type(error).__name__}: {str(error)[:700]}")
                answer = "failed"
        for what in case.what:
            counts[f"{what}|{answer}"] += 1
    return counts


@contextlib.contextmanager
def temporary() -> Iterator[Path]:
    """A folder, with a cache in it."""
    with tempfile.TemporaryDirectory() as place:
        before = os.environ.get("CBIR_CACHE")
        os.environ["CBIR_CACHE"] = f"{place}/cache"
        try:
            yield Path(place)
        finally:
            if before is None:
                del os.environ["CBIR_CACHE"]
            else:
                os.environ["CBIR_CACHE"] = before


def table(counts: Counter[str]) -> str:
    """The counts in Markdown."""
    lines = ["| folders | tried | read right | refused in one line | failed |", "|---|--:|--:|--:|--:|"]
    for kind in dict.fromkeys(key.partition("|")[0] for key in counts):
        row = [counts[f"{kind}|{answer}"] for answer in ("right", "refused", "failed")]
        lines.append(f"| {kind} | {sum(row):,} | {' | '.join(f'{n:,}' for n in row)} |")
    return "\n".join(lines)


def main() -> None:
    """Tries folders from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000, help="folders to read (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, help="leave the folder of this number in ./case")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    args = parser.parse_args()
    if args.show is not None:
        shutil.rmtree("case", ignore_errors=True)
        case = make(args.seed, args.show)
        fill(Path("case"), case.files)
        return print(
            json.dumps({"labels": case.labels, "left out": case.n_left_out, "remarks": case.n_remarks}, indent=1)
        )
    counts = try_folders(args.n, args.seed)
    print(table(counts))
    if args.write:
        from train.cli import write_section

        write_section(ROOT / "docs" / "reliability.md", "folders", table(counts))


if __name__ == "__main__":
    main()

"""Tables of labels beside photos: a row for each photo, with its name and, as far as known, color and type.

Tables come from spreadsheets of every kind, so delimiters, encodings, spaces, case and the usual names of columns do
not matter. What is not understood is told of: a row, a column or a file is never dropped in silence.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from cbir.class_names import canonical, read_class, words_of
from cbir.errors import DataError
from cbir.labels import LABELS

NAMES = ("metadata.csv", "labels.csv")  # tables of these names have to be understood, others may be about anything
SUFFIXES = frozenset([".csv", ".tsv", ".jsonl"])
OTHER_TABLES = frozenset([".xlsx", ".xls", ".ods", ".numbers", ".parquet", ".json"])
MAX_BYTES = 64 * 2**20
MAX_LABEL = 100  # characters

# What columns are called, in English and Portuguese, the surest names first.
_FILE = (
    *("file name", "filename", "file", "image path", "file path", "filepath", "path", "image name", "image file"),
    *("image", "photo", "picture", "img", "image id", "nome do arquivo", "arquivo", "imagem", "foto", "caminho"),
    *("id", "name", "nome"),
)
_COLUMNS = {
    "color": ("color", "colour", "colors", "base color", "base colour", "main color", "main colour", "cor", "cores"),
    "type": ("type", "types", "garment type", "clothing type", "article type", "product type", "garment", "tipo"),
}
_CLASS = ("label", "labels", "class", "classes", "class name", "category", "classe", "categoria", "rotulo", "etiqueta")
_UNKNOWN = frozenset(["", "nan", "none", "null", "n/a", "na", "unknown", "?", "-", "--", "desconhecido"])


@dataclass(frozen=True)
class Row:
    """A row of a table: the photo's name as it stands there, and the labels, by name, "" where unknown."""

    number: int
    file: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """What a table says.

    Attributes:
        rows: those that were understood.
        damaged: what stands in the others.
        strange: labels that were not understood, with the number of their rows.
    """

    rows: list[Row] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    strange: dict[str, int] = field(default_factory=dict)


def read_table(data: bytes, suffix: str) -> Table:
    """Reads a table.

    Args:
        data: the file, at most `MAX_BYTES`.
        suffix: of its name, one of `SUFFIXES`.

    Raises:
        DataError: it is no table, has no column of photos or none of labels, or two of its columns mean the same; the
            message begins "but ...".
    """
    text = _decoded(data)
    header, lines = _json_lines(text) if suffix == ".jsonl" else _delimited(text)
    columns = _columns(header)
    if columns is None:
        raise DataError(f"but got {','.join(header)[:200]!r}: rename them")
    table = Table()
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[len(header) :]):
            table.damaged.append(f"line {number}: {_shown(cells)}")
            continue
        cells += [""] * (len(header) - len(cells))
        file = cells[columns["file"]].strip()
        if not file:
            table.damaged.append(f"line {number}: {_shown(cells)}")
            continue
        table.rows.append(Row(number, file, _labels(cells, columns, table.strange)))
    return table


def _decoded(data: bytes) -> str:
    """UTF-8, UTF-16, or what spreadsheets on Windows save."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    elif 0 in data[:2]:  # no mark, but half of each letter
        encodings = ["utf-16-be" if data[0] == 0 else "utf-16-le"]
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataError("but it is no text in UTF-8: save it as such")


def _delimited(text: str) -> tuple[list[str], Iterable[tuple[int, list[str]]]]:
    first, _, rest = text.partition("\n")
    if match := re.fullmatch(r"\s*sep=(.)\s*", first, re.IGNORECASE):  # what Excel writes, to tell itself
        delimiters, text = [match[1]], rest
    else:
        delimiters = [",", ";", "\t", "|"]
    parsed, failure = [], None
    for delimiter in delimiters:
        try:
            parsed.append(_parsed(text, delimiter))
        except csv.Error as error:
            failure = failure or error
    # The delimiter is the one that makes the most columns of known names.
    best = max(parsed, key=lambda table: _n_known(table[0]), default=([], []))
    if failure is not None and not _n_known(best[0]):
        raise DataError(f"but it is not comma-separated text ({failure}): save it as such")
    return best


def _parsed(text: str, delimiter: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    lines = [(reader.line_num, cells) for cells in reader]
    return (lines[0][1], lines[1:]) if lines else ([], [])


def _json_lines(text: str) -> tuple[list[str], Iterable[tuple[int, list[str]]]]:
    header: dict[str, None] = {}
    objects = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise DataError(f"but its line {number} is no JSON object: save it as labels.csv")
        objects.append((number, value))
        header |= dict.fromkeys(value)
    return list(header), [(n, [_cell(v.get(k)) for k in header]) for n, v in objects]


def _cell(value: object) -> str:
    """A value of JSON as a table has it; of a list of one, that one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return "" if value is None else str(value)


def _known_names() -> set[str]:
    return {*_FILE, *_CLASS, *(name for names in _COLUMNS.values() for name in names)}


def _n_known(header: Sequence[str]) -> int:
    return sum(_plain(name) in _known_names() for name in header)


def _columns(header: Sequence[str]) -> dict[str, int] | None:
    """Where the photo's name ("file"), the labels and classes ("class") stand; None without a photo or any label."""
    plain = [_plain(name) for name in header]
    file = next((name for name in _FILE if name in plain), None)
    labels = label_columns(header)
    if len(labels) < len(LABELS):  # a class may name what has no column of its own
        classes = [place for place, name in enumerate(plain) if name in _CLASS]
        labels = {**({"class": classes[0]} if classes else {}), **labels}
    return {"file": plain.index(file), **labels} if file is not None and labels else None


def label_columns(header: Sequence[str]) -> dict[str, int]:
    """Where columns of labels stand, by the label, or else a column of classes ("class").

    Raises:
        DataError: two columns mean the same.
    """
    plain = [_plain(name) for name in header]
    found: dict[str, int] = {}
    for label, known in _COLUMNS.items():
        places = [place for place, column in enumerate(plain) if column in known]
        if len(places) > 1:
            raise DataError(f"but its columns {', '.join(header[p].strip() for p in places)} mean the same: leave one")
        if places:
            found[label] = places[0]
    classes = [place for place, column in enumerate(plain) if column in _CLASS]
    return found or ({"class": classes[0]} if classes else {})


def _plain(name: str) -> str:
    return " ".join(words_of(name))


def _labels(cells: Sequence[str], columns: Mapping[str, int], strange: dict[str, int]) -> dict[str, str]:
    labels = dict.fromkeys(LABELS, "")

    def tell(text: str) -> None:
        shown = text if len(text) <= MAX_LABEL else f"{text[:MAX_LABEL]}..."
        strange[shown] = strange.get(shown, 0) + 1

    if "class" in columns and (text := word(cells[columns["class"]])) not in _UNKNOWN:
        named = read_class(text)
        if named is None or named.doubt or named.is_neutral:
            tell(text)
        if named is not None:
            labels |= {"type": named.type, "color": named.color}
    for label in LABELS:
        text = word(cells[columns[label]]) if label in columns else ""
        if len(text) > MAX_LABEL or not text.isprintable() or text.startswith(("[", "{")):
            tell(text)
        elif text not in _UNKNOWN:
            labels[label] = canonical(label, text)
    return labels


def word(label: str | None) -> str:
    """A label as it is compared: case, outer spaces and how accents are written do not matter."""
    return unicodedata.normalize("NFC", " ".join((label or "").split()).lower())


def _shown(cells: Sequence[str]) -> str:
    line = ", ".join(cell.strip() for cell in cells)
    return line if len(line) <= 80 else f"{line[:80]}..."


class Finder:
    """Finds photos by what a table calls them.

    A name is looked up below the folder of the table, then below the folder that was given, as it is, then without
    regard to case and to how accents are written, then without the folders in front of it; at last by the name of the
    file alone, with or without its suffix, where only one photo has it.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._exact = set(ids)
        self._paths: dict[str, set[str]] = {}
        self._names: dict[str, set[str]] = {}
        for id in self._exact:
            key = _key(id)
            self._paths.setdefault(key, set()).add(id)
            name = PurePosixPath(key)
            for short in {name.name, name.stem}:
                self._names.setdefault(short, set()).add(id)

    def find(self, file: str, folder: PurePosixPath) -> str | None:
        """The id of a photo, None where there is none or there are several.

        Args:
            file: its name in the table.
            folder: of the table.
        """
        parts = [part for part in re.split(r"[\\/]+", file) if part not in ("", ".")]
        for start in range(len(parts)):
            tail = PurePosixPath(*parts[start:])
            for path in dict.fromkeys((str(folder / tail), str(tail))):
                if path in self._exact:
                    return path
                if len(found := self._paths.get(_key(path), ())) == 1:
                    return next(iter(found))
        found = self._names.get(_key(parts[-1]), ()) if parts else ()
        return next(iter(found)) if len(found) == 1 else None


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())

"""Results as JSON and CSV: one shape for the endpoints, the command line and the page's downloads."""

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from cbir.bundle import Bundle
from cbir.compare import Comparison
from cbir.errors import CbirError
from cbir.files import replacing
from cbir.gallery import Gallery
from cbir.guesses import Guess
from cbir.labels import LABELS
from cbir.options import OPTIONS
from cbir.ranking import Match, SearchResult

GUESS_COLUMNS = tuple(f"{label}_{what}" for label in LABELS for what in ("guess", "probability"))
_FIGURES = ("probability", "likeness", "is_same_picture", "color_share")  # of a match, beside its score
CSV_COLUMNS = (
    *("query", "rank", "id", "score", *_FIGURES, *LABELS, *GUESS_COLUMNS),
    *("method", "match", "bundle", "revision"),
)
# A spreadsheet takes a cell that begins so for a formula, which a stranger's file name must not be able to give it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class LabelsJson(TypedDict):
    """Labels of a picture; "" where unknown."""

    type: str
    color: str


class GuessJson(TypedDict):
    """What an unlabelled picture most probably shows; where `is_sure` is false, the page says "unsure" instead."""

    value: str
    probability: float
    is_sure: bool


class GuessesJson(TypedDict):
    """Guesses of a picture; null where the label is known or cannot be guessed."""

    type: GuessJson | None
    color: GuessJson | None


class MatchJson(TypedDict):
    """One result: `score` ranks it; `probability`, null where it cannot be told, that it agrees in what should match.

    `likeness`, from 0 to 1, says how alike it looks; null in a search without a photo. `color_share`, from 0 to 1, says
    how much of the garment has the colors that are searched for; null where there are none.
    """

    id: str
    rank: int
    score: float
    labels: LabelsJson
    probability: float | None
    likeness: float | None
    is_same_picture: bool
    color_share: float | None
    guesses: GuessesJson


class BundleJson(TypedDict):
    """Which bundle answered: `repo` on the Hub (null if elsewhere) and `revision`, its commit or hash."""

    title: str | None
    created: str | None
    repo: str | None
    revision: str


_TYPES = {option.parameter: list[str] if option.is_list else option.type for option in OPTIONS}
if TYPE_CHECKING:
    OptionsJson = dict[str, Any]
    ComparedOptionsJson = dict[str, Any]
else:
    OptionsJson = TypedDict("OptionsJson", _TYPES)  # what the search was asked to do, by the names of the parameters
    # A comparison takes every method.
    ComparedOptionsJson = TypedDict("ComparedOptionsJson", {k: v for k, v in _TYPES.items() if k != "method"})


class ResultJson(TypedDict):
    """Answer of a search; `match` is what was scored, `options.match` what was asked for.

    Without a photo, `method` and `match` are "", and `query` is what was asked for in words.
    `is_confident` is false where the app would say "no confident match". `is_shortlist` is true where only candidates
    from an index in Milvus were scored, so that better matches may have been missed.
    """

    query: str | None
    query_id: str | None
    method: str
    match: str
    k: int
    seconds: float
    is_confident: bool
    is_shortlist: bool
    options: OptionsJson
    bundle: BundleJson
    matches: list[MatchJson]


class MethodMatchesJson(TypedDict):
    """What one method found; `precision` is null where no match can be judged."""

    method: str
    seconds: float
    precision: float | None
    n_judged: int
    matches: list[MatchJson]


class AgreementJson(TypedDict):
    """How far two methods agree: overlap@k and rank-biased overlap, both from 0 to 1."""

    methods: list[str]
    overlap: float
    rbo: float


class ComparisonJson(TypedDict):
    """One query under every method; `is_certain` says whether the labels to judge by are known, not guessed."""

    query: str | None
    query_id: str | None
    match: str
    k: int
    options: ComparedOptionsJson
    bundle: BundleJson
    labels: list[LabelsJson]
    judged_by: list[str]
    is_certain: bool
    methods: list[MethodMatchesJson]
    agreements: list[AgreementJson]


def result_json(result: SearchResult, bundle: Bundle, query: str | None = None) -> ResultJson:
    """A result as what `json.dumps` takes.

    Args:
        result: of a search in this bundle.
        bundle: what was searched.
        query: what was searched with, e.g. the name of a file or an address; None for the id, if it was a gallery item,
            or else for words and color.
    """
    return {
        "query": query or result.query_id or result.options.description or None,
        "query_id": result.query_id,
        "method": result.method,
        "match": result.task,
        "k": result.options.k,
        "seconds": round(result.seconds, 6),
        "is_confident": result.is_confident,
        "is_shortlist": result.is_shortlist,
        "options": result.options.parameters(),
        "bundle": _bundle(bundle),
        "matches": [_match(match) for match in result.matches],
    }


def comparison_json(comparison: Comparison, bundle: Bundle, query: str | None = None) -> ComparisonJson:
    """A comparison as what `json.dumps` takes; arguments as in `result_json`."""
    first = next(iter(comparison.by_method.values())).result
    values = {name: comparison.labels.values[name].tolist() for name in LABELS}
    # A weight is not given to methods that cannot weigh: it is the same for all that can.
    weights = [matches.result.options.weight for matches in comparison.by_method.values()]
    options = first.options.parameters() | {"weight": next((w for w in weights if w is not None), None)}
    del options["method"]
    return {
        "query": first.query_id if query is None else query,
        "query_id": first.query_id,
        "match": first.task,
        "k": first.options.k,
        "options": options,
        "bundle": _bundle(bundle),
        "labels": [
            LabelsJson(type=type_, color=color) for type_, color in zip(values["type"], values["color"], strict=True)
        ],
        "judged_by": list(comparison.judged_by),
        "is_certain": comparison.is_certain,
        "methods": [
            {
                "method": name,
                "seconds": round(matches.result.seconds, 6),
                "precision": matches.precision,
                "n_judged": matches.n_judged,
                "matches": [_match(match) for match in matches.result.matches],
            }
            for name, matches in comparison.by_method.items()
        ],
        "agreements": [
            AgreementJson(methods=list(agreement.methods), overlap=agreement.overlap, rbo=agreement.rbo)
            for agreement in comparison.agreements
        ],
    }


def to_json(result: SearchResult, bundle: Bundle, query: str | None = None) -> str:
    """A result as the text of a JSON file; arguments as in `result_json`."""
    return json.dumps(result_json(result, bundle, query), indent=2, ensure_ascii=False) + "\n"


def to_csv(result: SearchResult, bundle: Bundle, query: str | None = None) -> str:
    """A result as the text of a CSV file (RFC 4180), with a header and a row per match; arguments as in `result_json`.

    Text that a spreadsheet would take for a formula gets an apostrophe in front; JSON has it as it is.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    shown = result_json(result, bundle, query)
    for match, found in zip(shown["matches"], result.matches, strict=True):
        labels = cast("Mapping[str, str]", match["labels"])
        row: list[str | int | float] = [shown["query"] or "", match["rank"], match["id"], match["score"]]
        figures = cast("Mapping[str, float | None]", match)
        row += ["" if figures[name] is None else json.dumps(figures[name]) for name in _FIGURES]
        row += [labels[name] for name in LABELS] + _guess_cells(found.guesses)
        row += [shown["method"], shown["match"], shown["bundle"]["title"] or "", shown["bundle"]["revision"]]
        writer.writerow([_harmless(cell) for cell in row])
    return file.getvalue()


def labels_csv(gallery: Gallery) -> str:
    """What is known and what is guessed of every photo, as the text of a CSV file with a header and a row per photo.

    Guesses have columns of their own: put beside the photos as `metadata.csv`, the file gives known labels only.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(("file_name", *LABELS, *GUESS_COLUMNS))
    for row, id in enumerate(gallery.ids.tolist()):
        labels = gallery.labels_of(row)
        cells = [id, *(labels[name] for name in LABELS), *_guess_cells(gallery.guesses_of(row))]
        writer.writerow([_harmless(cell) for cell in cells])
    return file.getvalue()


FORMATS = {".csv": to_csv, ".json": to_json}


def write_result(result: SearchResult, bundle: Bundle, path: str | os.PathLike, query: str | None = None) -> Path:
    """Writes a result to a file, CSV or JSON as its name ends; other arguments as in `result_json`.

    Returns:
        The path.

    Raises:
        CbirError: the name ends in neither.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        names = " or ".join(f"*{suffix}" for suffix in FORMATS)
        raise CbirError("expected a file named {names}, got {got!r}", names=names, got=path.name)
    with replacing(path) as new:
        new.write_text(FORMATS[path.suffix](result, bundle, query), encoding="utf-8", newline="")
    return path


def _bundle(bundle: Bundle) -> BundleJson:
    manifest = bundle.manifest
    return {
        "title": manifest.title,
        "created": manifest.created,
        "repo": bundle.repo,
        "revision": bundle.revision,
    }


def guesses_json(guesses: Mapping[str, Guess]) -> GuessesJson:
    """Guesses of a picture as what `json.dumps` takes."""
    return cast("GuessesJson", {name: asdict(guesses[name]) if name in guesses else None for name in LABELS})


def _guess_cells(guesses: Mapping[str, Guess]) -> list[str | float]:
    """Guesses of a picture as cells under `GUESS_COLUMNS`; empty ones where there is no guess."""
    return [
        cell
        for name in LABELS
        for cell in ((guesses[name].shown, guesses[name].probability) if name in guesses else ("", ""))
    ]


def _match(match: Match) -> MatchJson:
    return cast("MatchJson", {**vars(match), "guesses": guesses_json(match.guesses)})


def _harmless(cell: str | int | float) -> str | int | float:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell

"""The page "How good is it?": a bundle's report as tables, charts and pictures, laid out by `templates/report.html`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cbir.bundle import Bundle
from cbir.gallery import Gallery
from cbir.labels import LABELS, RETRIEVAL_TASKS
from cbir.report import Confusion, Estimate, Example, FamiliarityReport, MethodReport, Report, RetrievalEstimates
from cbir.report_tables import Cell, Heading, Table, method_title, report_tables
from cbir.ui import charts
from cbir.ui.templating import render
from cbir.ui.texts import Words
from cbir.ui.thumbnails import Thumbnails
from cbir.ui.views import address

SIZE = {
    **{"width": charts.WIDTH, "height": charts.HEIGHT},
    **{"left": charts.LEFT, "right": charts.RIGHT, "top": charts.TOP, "bottom": charts.BOTTOM},
}
ARTICLE = "https://nilg.ai/202103/an-ai-based-image-content-retrieval-system/"  # of the published figures
DARKEST = 45  # per cent, of a cell that all photos of a class are in


@dataclass(frozen=True)
class Shown:
    """A cell of a table as text, with a smaller part."""

    text: str
    small: str = ""


def page(bundle: Bundle, thumbnails: Thumbnails, words: Words) -> str:
    """All of it, as HTML."""
    report = bundle.report
    if report is None:
        return render("no_report.html", words=words)
    return render(
        "report.html",
        words=words,
        size=SIZE,
        headlines=_headlines(report, words),
        introduction=_introduction(report, words),
        links=_links(bundle, words),
        edits=_edits(bundle, words),
        tables=[_table(table, words) for table in report_tables(report)],
        methods=[_method(name, i, words, method) for i, (name, method) in enumerate(report.methods.items())],
        curves=[
            charts.precision_recall(
                [method.precision_recall[label] for method in report.methods.values()],
                words(f"match_{label}"),
                words,
            )
            for label in LABELS
        ],
        confusion=[_confusion(label, found, words) for label, found in (report.confusion or {}).items()],
        queries=_queries(report, bundle.gallery, thumbnails, words),
        familiarity=_familiarity(report.familiarity, words) if report.familiarity else None,
        notes=[
            words.text(note)
            for note in (*report.protocol.notes, *([report.familiarity.note] if report.familiarity else []))
        ],
    )


@dataclass(frozen=True)
class Headline:
    """A figure that anybody understands.

    Attributes:
        number: in large letters, e.g. "8 of 10".
        text: the rest of the sentence.
        small: what it was measured on, and how exactly.
    """

    number: str
    text: str
    small: str


def _headlines(report: Report, words: Words) -> list[Headline]:
    """What the default method's figures mean: for photos of another source, which come first, and of this catalogue."""
    method, protocol = report.queries.method, report.protocol
    shown: list[Headline] = []
    for part in report.out_of_domain[:1]:
        source = words("report_elsewhere", n=words.number(part.n_photos), source=words.source(part.queries))
        shown += _of_ten(part.methods.get(method, {}), ("type", "color"), source, words)
    drawn = words("report_drawn") if report.data.is_drawn else ""
    source = words("report_own", n=words.number(protocol.n_test))
    shown += _of_ten(report.methods[method].retrieval, ("both",), " ".join(filter(None, [source, drawn])), words)
    if report.garments and method in report.garments.methods:
        found_first = report.garments.methods[method]["mean"].recall_at_1
        shown += _of_hundred(found_first, "copies", report.garments.n_photos, words)
    if report.familiarity:
        found = report.familiarity
        shown += _of_hundred(found.accepts_clothes, "clothes", found.n_test, words)
        shown += _of_hundred(found.rejects_not_clothes, "others", found.n_not_clothes, words)
    return shown


def _of_ten(
    by_task: Mapping[str, RetrievalEstimates], tasks: Sequence[str], source: str, words: Words
) -> Iterator[Headline]:
    """How many of the first ten results are right."""
    for task in tasks:
        found = by_task[task].precision_at_10 if task in by_task else None
        if found is None or found.value is None:
            continue
        exactly = words.percent(found.value)
        if found.low is not None and found.high is not None:
            exactly += f" ({words.percent(found.low)} – {words.percent(found.high)})"
        exactly = exactly.replace(" %", "\N{NO-BREAK SPACE}%")
        number = words("report_of_ten", n=f"{10 * found.value:.0f}")
        yield Headline(number, words(f"report_right_{task}"), f"{source} {words('report_exactly', share=exactly)}")


def _of_hundred(share: Estimate | float | None, what: str, n: int, words: Words) -> list[Headline]:
    """A share of something that was counted."""
    value = share.value if isinstance(share, Estimate) else share
    if value is None:
        return []
    number = words("report_of_hundred", n=f"{100 * value:.0f}")
    return [Headline(number, words(f"report_{what}_share"), words(f"report_{what}_counted", n=words.number(n)))]


def _links(bundle: Bundle, words: Words) -> list[tuple[str, str]]:
    """Where figures and photos are from: titles and addresses."""
    made = bundle.manifest
    links = [(words("report_article"), ARTICLE)]
    if made.dataset.repo:
        links.append((made.dataset.repo, f"https://huggingface.co/datasets/{made.dataset.repo}"))
    if made.backbone.weights.repo:
        links.append((made.backbone.weights.repo, f"https://huggingface.co/{made.backbone.weights.repo}"))
    return links


def _introduction(report: Report, words: Words) -> str:
    protocol = report.protocol
    return words(
        "report_intro",
        seed=protocol.seed,
        n_train=words.number(protocol.n_train + report.data.n_also_fit),
        n_test=words.number(protocol.n_test),
        n_replicates=words.number(protocol.n_replicates),
    )


def _edits(bundle: Bundle, words: Words) -> str:
    """What the report does not know of yet; empty where the gallery is the one that was evaluated."""
    edits = bundle.manifest.edits
    if edits is None:
        return ""
    return words("report_edits", n_added=words.number(edits.n_added), n_removed=words.number(edits.n_removed))


# --- tables ---


def _table(table: Table, words: Words) -> dict[str, object]:
    return {
        "title": words.text(table.title),
        "notes": [words.text(note) for note in table.notes],
        "header": [_heading(heading, words) for heading in table.header],
        "rows": [[_cell(cell, words) for cell in row] for row in table.rows],
    }


def _heading(heading: Heading, words: Words) -> Shown:
    return Shown(words.text(heading.text), words.text(heading.detail) if heading.detail else "")


def _cell(cell: Cell, words: Words) -> Shown:
    if isinstance(cell, Estimate):
        interval = "" if cell.low is None else f"({words.decimal(cell.low)} – {words.decimal(cell.high)})"
        return Shown(words.decimal(cell.value), interval)
    return Shown(words.cell(cell))


# --- charts and pictures ---


def _method(name: str, number: int, words: Words, method: MethodReport) -> dict[str, object]:
    axes = words("report_score"), words("report_share")
    drawn = []
    for label in LABELS:
        title, found = words(f"match_{label}"), method.histograms[label]
        drawn.append(charts.histogram(found.edges, (found.same, found.different), axes, title, words))
        if method.reliability:
            drawn.append(charts.reliability(method.reliability[label], title, words))
    return {
        "title": words.text(method_title(name, method.title)),
        "dashes": charts.DASHES[number % len(charts.DASHES)],
        "charts": drawn,
    }


def _confusion(label: str, found: Confusion, words: Words) -> dict[str, object]:
    names = [words.noun(name) for name in found.classes]
    rows = [[(n, f"{DARKEST * n / max(sum(row), 1):.0f}") for n in row] for row in found.counts]
    return {"title": words(f"match_{label}"), "classes": names, "rows": list(zip(names, rows, strict=True))}


def _queries(report: Report, gallery: Gallery, thumbnails: Thumbnails, words: Words) -> dict[str, object]:
    """Examples, as far as their pictures are still in the gallery."""
    method = report.queries.method
    groups = []
    for task in RETRIEVAL_TASKS:
        examples, settings = report.queries.tasks[task], f"method={method}&match={task}"
        for side, queries in (("best", examples.best), ("worst", examples.worst)):
            title = f"{words(f'match_{task}')}: {words(f'report_{side}').lower()}"
            strips = [_strip(one, gallery, settings, thumbnails, words) for one in queries if one.id in gallery]
            groups.append({"title": title, "strips": strips})
    return {"method": words.text(method_title(method, report.methods[method].title)), "groups": groups}


def _strip(
    example: Example, gallery: Gallery, settings: str, thumbnails: Thumbnails, words: Words
) -> list[dict[str, object]]:
    """The pictures of a query and its matches, each a link to a search with it."""
    shown = [(example.id, f"{words('report_query')}: {words.garment(dict(example.labels))}", False)]
    for match in example.matches:
        mark = f" ✓ {words('report_relevant')}" if match.is_relevant else ""
        shown.append((match.id, words.decimal(match.score, 2) + mark, match.is_relevant))
    return [
        {"address": address(id, settings), "url": thumbnails.url(id), "caption": caption, "is_relevant": is_relevant}
        for id, caption, is_relevant in shown
        if id in gallery
    ]


def _familiarity(found: FamiliarityReport, words: Words) -> charts.Chart:
    axes = words("report_familiarity"), words("report_share_photos")
    series = found.histogram.clothes, found.histogram.not_clothes
    return charts.histogram(found.histogram.edges, series, axes, "", words, found.threshold)

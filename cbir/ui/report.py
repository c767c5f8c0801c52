"""The page "How good is it?": a bundle's report (see `train.evaluate`) as tables, charts and pictures.

Charts are plain SVG in the theme's colors, readable in light and dark; lines differ by dashes too, not by color alone.
"""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from cbir.bundle import Bundle
from cbir.labels import LABELS, TASKS
from cbir.ui.texts import Words
from cbir.ui.thumbnails import Thumbnails
from cbir.ui.views import picture_link

WIDTH, HEIGHT = 300, 190  # of a chart, in units of the drawing
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 8, 34  # its margins
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "1 2")
POOLED = "pooled"
Report = dict[str, Any]


def page(bundle: Bundle, thumbnails: Thumbnails, words: Words) -> str:
    """All of it, as HTML."""
    report = bundle.report
    if report is None:
        return f"<p class='facts'>{words('report_none')}</p>"
    parts = [_introduction(report, words), _pairs(report, words), _retrieval(report, words)]
    parts += [_elsewhere(report, words), _curves(report, words), _scores(report, words), _confusion(report, words)]
    parts += [_queries(report, thumbnails, words), _level(report, words), _naive(report, words), _notes(report, words)]
    return "".join(parts)


# --- sections ---


def _introduction(report: Report, words: Words) -> str:
    protocol = report["protocol"]
    numbers = {name: words.number(protocol[name]) for name in ("n_test", "n_replicates")}
    numbers["n_train"] = words.number(protocol["n_train"] + report["data"]["n_also_fit"])
    drawn = f"<p>{words('report_drawn')}</p>" if report["data"]["is_drawn"] else ""
    return f"<p class='facts'>{words('report_intro', seed=protocol['seed'], **numbers)}</p>{drawn}"


def _pairs(report: Report, words: Words) -> str:
    columns = (POOLED, *LABELS)
    counts = report["protocol"]["n_pairs"]
    header = ["", words("report_published")]
    header += [f"{_column(name, words)}<small>{_n_pairs(counts[name], words)}</small>" for name in columns]
    rows = [
        [
            _method(report, name, words),
            words.decimal(report["published"][name][0]) if name in report["published"] else "–",
            *(_figure(found[column]["pearson"], words) for column in columns),
        ]
        for name, found in report["pairs"].items()
    ]
    ceiling = words("report_ceiling", value=words.decimal(report["ceiling"]["pearson"]))
    return (
        _section("report_pairs", "report_pairs_how", words)
        + _table(header, rows, words("report_pairs"))
        + f"<p class='facts'>{ceiling}</p>"
    )


def _retrieval(report: Report, words: Words) -> str:
    protocol = report["protocol"]
    tasks = [task for task in TASKS if protocol["n_queries"][task]]
    metrics = {"precision@10": "P@10", "map": "mAP"}
    header = ["", *(f"{words(f'match_{task}')}: {metric}" for task in tasks for metric in metrics.values())]
    rows = [
        [_method(report, name, words), *(_figure(found[task][m], words) for task in tasks for m in metrics)]
        for name, found in report["retrieval"].items()
    ]
    numbers = {name: words.number(protocol[name]) for name in ("n_train", "n_test")}
    return _section("report_retrieval", "report_retrieval_how", words, **numbers) + _table(
        header, rows, words("report_retrieval")
    )


def _elsewhere(report: Report, words: Words) -> str:
    parts = [f"<h2>{words('report_elsewhere')}</h2>"] if report["elsewhere"] else []
    for found in report["elsewhere"]:
        tasks = [task for task in TASKS if found["n_queries"][task]]
        header = ["", *(f"{words(f'match_{task}')}<small>n = {found['n_queries'][task]}</small>" for task in tasks)]
        rows = [
            [_method(report, name, words), *(_figure(by_task[task]["precision@10"], words) for task in tasks)]
            for name, by_task in found["retrieval"].items()
        ]
        n = words.number(found["n_photos"])
        how = words("report_elsewhere_how", n=n, queries=found["queries"], gallery=found["gallery"])
        parts += [f"<p class='facts'>{escape(how)}</p>", _table(header, rows, words("report_elsewhere"))]
    return "".join(parts)


def _curves(report: Report, words: Words) -> str:
    names = list(report["precision_recall"])
    keys = "".join(
        f"<span class='key'><svg viewBox='0 0 40 10' aria-hidden='true'><path class='line s{i}' d='M0 5H40' "
        f"stroke-dasharray='{DASHES[i % len(DASHES)]}'/></svg>{_method(report, name, words)}</span>"
        for i, name in enumerate(names)
    )
    charts = []
    for column in LABELS:
        lines = [
            _line(found["recall"], found["precision"], (0, 1), i)
            for i, found in enumerate(report["precision_recall"][name][column] for name in names)
        ]
        axes = words("report_recall"), words("report_precision")
        charts.append(_chart("".join(lines), _column(column, words), axes, (0, 1), (0, 1), words))
    return f"<h2>{words('report_curves')}</h2><p>{keys}</p><div class='charts'>{''.join(charts)}</div>"


def _scores(report: Report, words: Words) -> str:
    keys = "".join(f"<span class='key {name}'>{words(f'report_{name}')}</span>" for name in ("same", "different"))
    parts: list[str] = []
    for name in report["histograms"]:
        charts = []
        for column in LABELS:
            title = _column(column, words)
            charts.append(_histogram(report["histograms"][name][column], ("same", "different"), title, words))
            if name in report["reliability"]:
                charts.append(_reliability(report["reliability"][name][column], title, words))
        is_open = " open" if not parts else ""
        parts.append(
            f"<details{is_open}><summary>{_method(report, name, words)}</summary>"
            f"<div class='charts'>{''.join(charts)}</div></details>"
        )
    return _section("report_scores", "report_scores_how", words) + f"<p>{keys}</p>" + "".join(parts)


def _confusion(report: Report, words: Words) -> str:
    if not report["confusion"]:
        return ""
    tables = []
    for label in LABELS:
        classes, counts = report["confusion"][label]["classes"], report["confusion"][label]["counts"]
        header = "".join(f"<th scope='col'>{escape(words.noun(name))}</th>" for name in classes)
        rows = "".join(
            f"<tr><th scope='row'>{escape(words.noun(name))}</th>"
            + "".join(
                f"<td style='background: rgb(13 148 136 / {45 * n / max(sum(row), 1):.0f}%)'>{n or ''}</td>"
                for n in row
            )
            + "</tr>"
            for name, row in zip(classes, counts, strict=True)
        )
        tables.append(
            f"<div class='wide confusion' role='region' tabindex='0' aria-label='{_column(label, words)}'><table>"
            f"<thead><tr><td></td>{header}</tr></thead><tbody>{rows}</tbody></table></div>"
        )
    return _section("report_confusion", "report_confusion_how", words) + f"<div class='charts'>{''.join(tables)}</div>"


def _queries(report: Report, thumbnails: Thumbnails, words: Words) -> str:
    found = report["queries"]
    parts = [f"<h2>{words('report_queries')}</h2><p class='facts'>{_method(report, found['method'], words)}</p>"]
    for task in TASKS:
        if task not in found:
            continue
        for side in ("best", "worst"):
            strips = "".join(_strip(query, task, found["method"], thumbnails, words) for query in found[task][side])
            title = f"{words(f'match_{task}')}: {words(f'report_{side}').lower()}"
            parts.append(f"<details><summary>{title}</summary>{strips}</details>")
    return "".join(parts)


def _strip(query: Report, task: str, method: str, thumbnails: Thumbnails, words: Words) -> str:
    settings = f"method={method}&match={task}"

    def picture(item: str, caption: str, class_: str = "") -> str:
        return f"<li class='{class_}'>{picture_link(item, settings, thumbnails.url(item), caption)}</li>"

    shown = f"{words('report_query')}: {words.garment(query['labels'])}"
    items = [picture(query["id"], shown)]
    for match in query["matches"]:
        mark = f" ✓ {words('report_relevant')}" if match["is_relevant"] else ""
        caption = words.decimal(match["score"], 2) + mark
        items.append(picture(match["id"], caption, "relevant" if match["is_relevant"] else ""))
    return f"<ul class='strip'>{''.join(items)}</ul>"


def _level(report: Report, words: Words) -> str:
    found = report["confidence"]
    if not found:
        return ""
    level, shares = found["no_match_below"], found["familiarity"]
    how = words(
        "report_level_how",
        level=words.decimal(level["familiarity"], 2),
        score=words.decimal(level["score"], 1),
        rejects=words.percent(shares["rejects"]),
        passes=words.percent(shares["passes"]),
    )
    histogram = shares["histogram"]
    bars = {"edges": histogram["edges"], "same": histogram["test"], "different": histogram["not_clothes"]}
    keys = f"<span class='key same'>{words('report_clothes')}</span>"
    keys += f"<span class='key different'>{words('report_not_clothes')}</span>"
    axes = words("report_familiarity"), words("report_share_photos")
    chart = _histogram(bars, ("same", "different"), "", words, axes, level["familiarity"])
    return f"<h2>{words('report_level')}</h2><p class='facts'>{how}</p><p>{keys}</p><div class='charts'>{chart}</div>"


def _naive(report: Report, words: Words) -> str:
    found = report["naive"]
    ways = list(found["n_judged"])
    header = ["", *(f"{escape(way)}<small>{_n_pairs(found['n_judged'][way], words)}</small>" for way in ways)]
    rows = [
        [escape(name), *(words.decimal(figures[way]["pearson"]) for way in ways)]
        for name, figures in found["models"].items()
    ]
    note = f"<p class='facts'>{escape(found['note'])}</p>"
    return f"<h2>{words('report_naive')}</h2>{note}" + _table(header, rows, words("report_naive"))


def _notes(report: Report, words: Words) -> str:
    notes = [*report["protocol"]["notes"], *([report["confidence"]["note"]] if report["confidence"] else [])]
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<details><summary>{words('report_notes')}</summary><ul>{items}</ul></details>"


# --- charts ---


def _chart(
    marks: str,
    title: str,
    axes: tuple[str, str],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    words: Words,
) -> str:
    """A chart with its axes; `marks` are drawn in the units of `_place`."""
    ticks = []
    for share in (0, 0.5, 1):
        x = LEFT + share * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
        at = [low + share * (high - low) for low, high in (x_range, y_range)]
        anchor = "middle" if share < 1 else "end"
        ticks.append(
            f"<text x='{x:.0f}' y='{HEIGHT - BOTTOM + 14}' text-anchor='{anchor}'>{_tick(at[0], words)}</text>"
        )
        ticks.append(f"<text x='{LEFT - 5}' y='{y + 4:.0f}' text-anchor='end'>{_tick(at[1], words)}</text>")
    middle = (LEFT + WIDTH - RIGHT) / 2
    label = escape(" – ".join(filter(None, [title, *axes])))
    return (
        f"<figure><figcaption>{title}</figcaption><svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{label}'>"
        f"<path class='axis' d='M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}'/>{''.join(ticks)}"
        f"<text x='{middle:.0f}' y='{HEIGHT - 4}' text-anchor='middle'>{axes[0]}</text>"
        f"<text x='12' y='{(TOP + HEIGHT - BOTTOM) / 2:.0f}' text-anchor='middle' "
        f"transform='rotate(-90 12 {(TOP + HEIGHT - BOTTOM) / 2:.0f})'>{axes[1]}</text>{marks}</svg></figure>"
    )


def _place(x_range: tuple[float, float], y_range: tuple[float, float]) -> Callable[[float, float], tuple[float, float]]:
    """Turns a point of the data into one of the drawing."""

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = ((v - low) / (high - low) for v, (low, high) in ((x, x_range), (y, y_range)))
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    return place


def _line(xs: Sequence[float], ys: Sequence[float | None], unit: tuple[float, float], number: int) -> str:
    place = _place(unit, unit)
    points = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in zip(xs, ys, strict=True) if y is not None)
    dashes = DASHES[number % len(DASHES)]
    return f"<polyline class='line s{number}' points='{points}' stroke-dasharray='{dashes}'/>"


def _histogram(
    found: Report,
    classes: tuple[str, str],
    title: str,
    words: Words,
    axes: tuple[str, str] | None = None,
    level: float | None = None,
) -> str:
    """Bars of two classes, each as shares of its own; a line at `level`."""
    edges = found["edges"]
    shares = {name: [n / max(sum(found[name]), 1) for n in found[name]] for name in classes}
    top = max(max(values) for values in shares.values()) or 1
    ranges = (edges[0], edges[-1]), (0.0, top)
    place = _place(*ranges)
    bars = []
    for name, values in shares.items():
        for low, high, share in zip(edges, edges[1:], values, strict=False):
            (x, y), (right, bottom) = place(low, share), place(high, 0)
            size = f"width='{right - x:.1f}' height='{bottom - y:.1f}'"
            bars.append(f"<rect class='bar {name}' x='{x:.1f}' y='{y:.1f}' {size}/>")
    if level is not None:
        x, y = place(level, top)
        bars.append(f"<path class='ideal' d='M{x:.1f} {y:.1f}V{HEIGHT - BOTTOM}'/>")
    return _chart("".join(bars), title, axes or (words("report_score"), words("report_share")), *ranges, words)


def _reliability(found: Report, title: str, words: Words) -> str:
    place = _place((0, 1), (0, 1))
    (x, y), (right, top) = place(0, 0), place(1, 1)
    marks = [f"<path class='ideal' d='M{x} {y}L{right} {top}'/>"]
    most = max(found["n_pairs"])
    for score, share, n in zip(found["mean_score"], found["share_same"], found["n_pairs"], strict=True):
        cx, cy = place(score, share)
        radius = 2 + 5 * (n / most) ** 0.5
        marks.append(
            f"<circle class='same bar' cx='{cx:.1f}' cy='{cy:.1f}' r='{radius:.1f}'>"
            f"<title>{_n_pairs(n, words)}</title></circle>"
        )
    axes = words("report_score"), words("report_same")
    return _chart("".join(marks), title, axes, (0, 1), (0, 1), words)


# --- words and numbers ---


def _section(title: str, how: str, words: Words, **values: object) -> str:
    return f"<h2>{words(title)}</h2><p class='facts'>{words(how, **values)}</p>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> str:
    """A table whose cells are HTML already."""
    head = "".join(f"<th scope='col'>{cell}</th>" if cell else "<td></td>" for cell in header)
    body = "".join(
        f"<tr><th scope='row'>{first}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>" for first, *rest in rows
    )
    return (
        f"<div class='wide' role='region' tabindex='0' aria-label='{label}'>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _figure(figure: Sequence[float | None] | None, words: Words) -> str:
    value, low, high = figure or (None, None, None)
    interval = f"<small>({words.decimal(low)} – {words.decimal(high)})</small>" if low is not None else ""
    return f"{words.decimal(value)}{interval}"


def _method(report: Report, name: str, words: Words) -> str:
    return escape(words.method(name, report["methods"][name]["label"]))


def _column(name: str, words: Words) -> str:
    return words("report_pooled") if name == POOLED else words(f"match_{name}")


def _n_pairs(n: int, words: Words) -> str:
    return words("report_pairs_n", n=words.number(n))


def _tick(value: float, words: Words) -> str:
    return words.decimal(value, 2).rstrip("0").rstrip(".,") or "0"

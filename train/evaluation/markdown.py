"""The tables of a report as Markdown, for README files, model cards and the terminal."""

from collections.abc import Sequence

from cbir.labels import BLIND, RETRIEVAL_TASKS, TASKS
from cbir.report import Estimate, Report, Spread
from cbir.report_tables import Cell, Heading, Share, Table, Text, report_tables


def summary_section(report: Report) -> str:
    """The figures of one short table, and what they mean."""
    protocol, found = report.protocol, report.garments
    header = ["method", "same garment: R@1", *(f"{TASKS[task].title.lower()}: P@10" for task in RETRIEVAL_TASKS)]
    rows = [
        [
            method.title,
            cell(found.methods[name]["mean"].recall_at_1.value if found else None),
            *(cell(method.retrieval[task].precision_at_10.value) for task in RETRIEVAL_TASKS),
            cell(method.pairs[BLIND].pearson.value),
            cell(method.published.pearson if method.published else None),
        ]
        for name, method in report.methods.items()
    ]
    copies = f"R@1: edited copies of {found.n_photos:,} test photos query all photos. " if found else ""
    return (
        f"Bundle of {report.data.n_photos:,} photos (`{report.data.name}`, `{report.data.backbone}`). {copies}"
        f"P@10: {protocol.n_test:,} test photos query {protocol.n_train:,} train photos. Pearson correlation of score "
        f"and label, task-blind: {protocol.n_pairs[BLIND]:,} pairs of test photos.\n\n"
        + markdown_table([*header, "Pearson, pooled", "published"], rows)
    )


def tables(report: Report) -> str:
    """All tables of a report."""
    return "\n\n".join(map(table, report_tables(report)))


def provenance(report: Report) -> str:
    """What a report's figures come from."""
    protocol, data = report.protocol, report.data
    n_fitted = protocol.n_train + data.n_also_fit
    tuned = ", without a color network"
    if data.color_network:
        tuned = f", {data.color_network.n_tuned:,} of which tuned the color network"
    return (
        f"Printed by `python -m train.evaluate` for the bundle of {data.n_photos:,} photos (data `{data.name}`, "
        f"backbone `{data.backbone}`): fitted on {n_fitted:,} photos{tuned}, evaluated on {protocol.n_test:,}, split "
        f"by image with near duplicates on one side, seed {protocol.seed}. In brackets: 95 % intervals, bootstrap over "
        f"photos ({protocol.n_replicates:,} replicates)."
    )


def table(content: Table) -> str:
    """A table under its title and notes."""
    notes = " ".join(cell(note) for note in content.notes)
    header = [_heading(heading) for heading in content.header]
    rows = [[cell(value) for value in row] for row in content.rows]
    return f"**{cell(content.title)}** {notes}\n\n{markdown_table(header, rows)}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, its columns aligned."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    first, *others = [
        "| " + " | ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    return "\n".join([first, rule, *others])


def _heading(heading: Heading) -> str:
    text = cell(heading.text)
    return f"{text} ({cell(heading.detail)})" if heading.detail else text


def cell(value: Cell) -> str:
    """A cell as one reads it: ".712 (.690 - .731)", "5,692", "93.1 %"; "-" where there is nothing."""
    match value:
        case None:
            return "-"
        case str():
            return value
        case int():
            return f"{value:,}"
        case float():
            return _decimal(value)
        case Text():
            return value.english.format(**{name: cell(part) for name, part in value.values.items()})
        case Share():
            return "-" if value.value is None else f"{100 * value.value:.1f} %"
        case Estimate():
            interval = "" if value.low is None else f" ({cell(value.low)} - {cell(value.high)})"
            return f"{cell(value.value)}{interval}"
        case Spread():
            return cell(value.mean) + ("" if value.deviation is None else f" ± {cell(value.deviation)}")
        case tuple():
            return " / ".join(map(cell, value))


def _decimal(value: float) -> str:
    """Three digits, without a leading zero."""
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:.2f}"

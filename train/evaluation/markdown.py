"""Tables of a report (see `train.evaluate`) as Markdown, for README files, model cards and the terminal."""

from collections.abc import Sequence
from typing import Any

from cbir.labels import LABELS, TASKS

COLUMNS = ("pooled", *LABELS)


def evaluation_section(report: dict[str, Any]) -> str:
    """What was measured on what, then the tables."""
    return f"{provenance(report)}\n\n{tables(report)}"


def tables(report: dict[str, Any]) -> str:
    """All tables, and the sentences that go with them."""
    parts = [pair_table(report), ceiling(report), quality_table(report), retrieval_table(report), naive_table(report)]
    if report["seeds"]:
        parts.append(seeds_table(report))
    if report["confidence"]:
        parts.append(confidence(report))
    return "\n\n".join(parts)


def provenance(report: dict[str, Any]) -> str:
    """What a report's figures were measured on."""
    protocol, data = report["protocol"], report["data"]
    network = data["color_network"]
    n_fitted = protocol["n_train"] + data["n_also_fit"]
    tuned = f", {network['n_tuned']:,} of which tuned the color network" if network else ""
    return (
        f"Measured by `python -m train.evaluate` on the bundle of {data['n_photos']:,} photos (data `{data['name']}`, "
        f"backbone `{data['backbone']}`): fitted on {n_fitted:,} photos{tuned}, judged on "
        f"{protocol['n_test']:,}, split by image with near duplicates on one side, seed {protocol['seed']}. In "
        f"brackets: 95 % intervals, bootstrap over photos ({protocol['n_replicates']:,} replicates)."
    )


def pair_table(report: dict[str, Any]) -> str:
    """Pearson beside the published table."""
    counts = report["protocol"]["n_pairs"]
    header = ["method", "published", *(f"{name} ({counts[name]:,} pairs)" for name in COLUMNS)]
    rows = [
        [
            _label(report, name),
            number(report["published"][name][0]) if name in report["published"] else "-",
            *(figure(columns[c]["pearson"]) for c in COLUMNS),
        ]
        for name, columns in report["pairs"].items()
    ]
    return markdown("Pearson correlation of score and pair label, on test photos", header, rows)


def ceiling(report: dict[str, Any]) -> str:
    """What a perfect task-blind score reaches."""
    found = report["ceiling"]
    return (
        f"A perfect score that knows all labels, but not which one is asked for, would reach "
        f"{number(found['pearson'])} pooled (Spearman {number(found['spearman'])})."
    )


def quality_table(report: dict[str, Any]) -> str:
    """The other pair metrics."""
    header = ["method", "published", *COLUMNS]
    rows = []
    for name, columns in report["pairs"].items():
        published = number(report["published"][name][1]) if name in report["published"] else "-"
        cells = (" / ".join(number(_value(columns[c], m)) for m in ("spearman", "roc_auc", "ece")) for c in COLUMNS)
        rows.append([_label(report, name), published, *cells])
    return markdown("Spearman / ROC-AUC / expected calibration error (of probabilities)", header, rows)


def retrieval_table(report: dict[str, Any]) -> str:
    """Precision at 10 and mean average precision."""
    protocol = report["protocol"]
    header = ["method", *(f"{task.title}: {metric}" for task in TASKS.values() for metric in ("P@10", "mAP"))]
    rows = [
        [_label(report, name), *(figure(by_task[t][m]) for t in TASKS for m in ("precision@10", "map"))]
        for name, by_task in report["retrieval"].items()
    ]
    return markdown(f"{protocol['n_test']:,} test photos query {protocol['n_train']:,} train photos", header, rows)


def naive_table(report: dict[str, Any]) -> str:
    """The careless protocol beside the careful one."""
    naive = report["naive"]
    ways = list(naive["n_judged"])
    header = ["model", *(f"{way} ({naive['n_judged'][way]:,})" for way in ways)]
    rows = [[name, *(number(found[way]["pearson"]) for way in ways)] for name, found in naive["models"].items()]
    title = f"Pearson, pooled, of models on raw embeddings ({naive['n_fitted']:,} pairs), by what they are judged on"
    return f"{markdown(title, header, rows)}\n\n{naive['note']}"


def seeds_table(report: dict[str, Any]) -> str:
    """Mean and standard deviation over fresh splits."""
    seeds = report["seeds"]
    header = ["method", *(f"{c}: Pearson" for c in COLUMNS), *(f"{t.title}: P@10 / mAP" for t in TASKS.values())]
    rows = []
    for name, columns in seeds["pairs"].items():
        by_task = seeds["retrieval"][name]
        cells = [spread(columns[c]["pearson"]) for c in COLUMNS]
        cells += [f"{spread(by_task[t]['precision@10'])} / {spread(by_task[t]['map'])}" for t in TASKS]
        rows.append([_label(report, name), *cells])
    numbers = ", ".join(map(str, seeds["seeds"]))
    title = f"Mean ± standard deviation over {len(seeds['seeds'])} fresh splits (seeds {numbers})"
    return markdown(title, header, rows)


def confidence(report: dict[str, Any]) -> str:
    """What "no confident match" lets pass and holds back, as a sentence."""
    found = report["confidence"]
    familiar, unseen = found["familiarity"], found["familiarity"]["unseen_kinds"].values()
    return (
        f'"No confident match": of the test photos {percent(familiar["passes"])} are familiar, and of '
        f"{found['n_not_clothes']} synthetic pictures without clothes {percent(familiar['rejects'])} are not "
        f"({percent(sum(unseen) / len(unseen))} where the level was set without their kind)."
    )


def _label(report: dict[str, Any], method: str) -> str:
    return report["methods"][method]["label"]


def _value(metrics: dict[str, Any], metric: str) -> float | None:
    return metrics[metric][0] if metric in metrics else None


def number(value: float | None) -> str:
    """Three digits, without a leading zero; "-" for None."""
    if value is None:
        return "-"
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:.2f}"


def figure(value: list[float | None]) -> str:
    """A figure with its interval."""
    return number(value[0]) if value[1] is None else f"{number(value[0])} ({number(value[1])} - {number(value[2])})"


def spread(value: list[float | None]) -> str:
    """A mean with its standard deviation."""
    return number(value[0]) if value[1] is None else f"{number(value[0])} ± {number(value[1])}"


def percent(share: float | None) -> str:
    """A share as per cent."""
    return "-" if share is None else f"{100 * share:.1f} %"


def markdown(title: str, header: list[str], rows: list[list[str]]) -> str:
    """A table as aligned Markdown, under its title."""
    return f"{title}:\n\n{markdown_table(header, rows)}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, its columns aligned."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    first, *others = [
        "| " + " | ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    return "\n".join([first, rule, *others])

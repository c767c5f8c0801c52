"""The tables of a report, as data: the page, README files and model cards all render these.

Texts carry the key of their translations beside the English, see `Text`; what a report stores in words is a `str`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cbir.labels import BLIND, RETRIEVAL_TASKS, TASKS
from cbir.report import (
    COLUMNS,
    Baselines,
    Confidence,
    Estimate,
    FamiliarityReport,
    Garments,
    OrderInClass,
    OutOfDomain,
    Report,
    Seeds,
    Spread,
)
from cbir.similarity import DEFAULT_METHOD


@dataclass(frozen=True)
class Text:
    """A text for people.

    Attributes:
        key: of its translations.
        english: the text, with the names of values in braces.
        values: to fill in, each shown as the language shows such a cell.
    """

    key: str
    english: str
    values: Mapping[str, "Cell"] = field(default_factory=dict)


@dataclass(frozen=True)
class Share:
    """A part of 1, shown as per cent."""

    value: float | None


# Numbers, and texts that the report stores; several beside each other; None for what there is not.
Cell = Text | str | int | float | Share | Estimate | Spread | tuple["Cell", ...] | None


@dataclass(frozen=True)
class Heading:
    """What stands above a column; the detail is smaller."""

    text: Text | str
    detail: Text | None = None


@dataclass(frozen=True)
class Table:
    """A table of a report.

    Attributes:
        title: what it answers.
        notes: what to know to read it.
        header: one per column.
        rows: cells of each row, as many as the header has; the first names the row.
    """

    title: Text
    notes: tuple[Text | str, ...]
    header: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]


def report_tables(report: Report) -> list[Table]:
    """All tables of a report, in the order to show."""
    tables = [_pair_table(report), _retrieval_table(report)]
    if report.garments:
        tables += _garments_tables(report, report.garments)
    if report.order:
        tables.append(_order_table(report, report.order))
    titles = {name: method.title for name, method in report.methods.items()}
    tables += [out_of_domain_table(part, titles) for part in report.out_of_domain]
    tables.append(_quality_table(report))
    if report.seeds:
        tables += _seeds_tables(report, report.seeds)
    if report.familiarity:
        tables.append(_familiarity_table(report.familiarity))
        if report.familiarity.confidence:
            tables.append(_confidence_table(report.familiarity.confidence))
    return [*tables, _baselines_table(report, report.baselines)]


def out_of_domain_table(part: OutOfDomain, titles: Mapping[str, str]) -> Table:
    """Precision at 10 of photos of another source.

    Args:
        part: their figures.
        titles: of methods, by name.
    """
    tasks = [task for task in RETRIEVAL_TASKS if part.n_queries[task]]
    values: dict[str, Cell] = {"n": part.n_photos, "queries": part.queries, "gallery": part.gallery}
    notes = [Text("table.elsewhere.how", "P@10 of {n} photos ({queries}) that search: {gallery}.", values)]
    if part.familiar is not None:
        share = {"share": Share(part.familiar)}
        notes.append(Text("table.elsewhere_familiar", "Share of these photos accepted as clothes: {share}.", share))
    return Table(
        Text("table.elsewhere", "Photos from elsewhere"),
        tuple(notes),
        (
            _METHOD,
            *(
                Heading(_column(name), Text("table.queries_n", "n = {n}", {"n": part.n_queries[name]}))
                for name in tasks
            ),
        ),
        tuple(
            (method_title(name, titles[name]), *(by_task[task].precision_at_10 for task in tasks))
            for name, by_task in part.methods.items()
        ),
    )


def method_title(name: str, english: str) -> Text:
    """What people read of a method."""
    return Text(f"method.{name}", english)


def pairs_counted(n: int) -> Text:
    """A number of pairs."""
    return Text("table.pairs_n", "{n} pairs", {"n": n})


def _column(name: str) -> Text:
    return Text("table.pooled", "pooled") if name == BLIND else Text(f"match_{name}", TASKS[name].title)


_METHOD = Heading(Text("table.method", "Method"))
_PUBLISHED = Heading(Text("table.published", "published"))
_LIKENESS = Text("table.likeness", "Likeness alone")
_PEARSON = Text("table.pearson", "Pearson")
_P_AT_10, _MAP = Text("table.p10", "P@10"), Text("table.map", "mAP")


def _pair_table(report: Report) -> Table:
    counts = report.protocol.n_pairs
    ceiling = Text(
        "table.ceiling",
        "A perfect score that is not told which label is asked for would reach {value}.",
        {"value": report.ceiling.pearson},
    )
    how = "Pearson correlation of score and label, on pairs of photos that no method was fitted on."
    return Table(
        Text("table.pairs", "Do scores tell matching pairs from others?"),
        (Text("table.pairs.how", how), ceiling),
        (_METHOD, _PUBLISHED, *(Heading(_column(name), pairs_counted(counts[name])) for name in COLUMNS)),
        tuple(
            (
                method_title(name, method.title),
                method.published.pearson if method.published else None,
                *(method.pairs[column].pearson for column in COLUMNS),
            )
            for name, method in report.methods.items()
        ),
    )


def _retrieval_table(report: Report) -> Table:
    protocol = report.protocol
    how = (
        "{n_test} photos search {n_train} others. Precision of the first 10 results (P@10), and mean average "
        "precision (mAP)."
    )
    tasks = [name for name in RETRIEVAL_TASKS if protocol.n_queries[name]]
    return Table(
        Text("table.retrieval", "Are the first ten results right?"),
        (Text("table.retrieval.how", how, {"n_test": protocol.n_test, "n_train": protocol.n_train}),),
        (_METHOD, *(Heading(_column(task), metric) for task in tasks for metric in (_P_AT_10, _MAP))),
        tuple(
            (
                method_title(name, method.title),
                *(
                    cell
                    for found in (method.retrieval[task] for task in tasks)
                    for cell in (found.precision_at_10, found.map)
                ),
            )
            for name, method in report.methods.items()
        ),
    )


def _quality_table(report: Report) -> Table:
    how = "Spearman correlation / area under the ROC curve / expected calibration error (of probabilities)."
    return Table(
        Text("table.quality", "Are scores in the right order, and right as probabilities?"),
        (Text("table.quality.how", how),),
        (_METHOD, _PUBLISHED, *(Heading(_column(name)) for name in COLUMNS)),
        tuple(
            (
                method_title(name, method.title),
                method.published.spearman if method.published else None,
                *(
                    (pairs.spearman.value, pairs.roc_auc.value, pairs.ece.value if pairs.ece else None)
                    for pairs in (method.pairs[column] for column in COLUMNS)
                ),
            )
            for name, method in report.methods.items()
        ),
    )


def _seeds_tables(report: Report, seeds: Seeds) -> list[Table]:
    how = "Mean ± standard deviation over {n} seeds ({seeds}) of Pearson correlation, and of P@10 / mAP."
    values: dict[str, Cell] = {"n": len(seeds.seeds), "seeds": ", ".join(map(str, seeds.seeds))}
    both = Text("table.p10_map", "P@10 / mAP")
    titles = {name: method_title(name, report.methods[name].title) for name in seeds.methods}
    tables = [
        Table(
            Text("table.seeds", "Would other photos give other figures?"),
            (Text("table.seeds.how", how, values), seeds.note),
            (
                _METHOD,
                *(Heading(_column(column), _PEARSON) for column in COLUMNS),
                *(Heading(_column(task), both) for task in RETRIEVAL_TASKS),
            ),
            tuple(
                (
                    titles[name],
                    *(spreads.pairs[column].pearson for column in COLUMNS),
                    *((spreads.retrieval[t].precision_at_10, spreads.retrieval[t].map) for t in RETRIEVAL_TASKS),
                )
                for name, spreads in seeds.methods.items()
            ),
        )
    ]
    rows = [(titles[name], spreads.garments) for name, spreads in seeds.methods.items() if spreads.garments]
    if seeds.likeness:
        rows.insert(1, (_LIKENESS, seeds.likeness))
    if rows:
        edits = list(rows[0][1])
        tables.append(
            Table(
                Text("table.seeds_garments", "Would other photos be found as well?"),
                (Text("table.seeds_garments.how", "R@1 of edited copies, over the same seeds."),),
                (_METHOD, *map(Heading, edits)),
                tuple((title, *by_edit.values()) for title, by_edit in rows),
            )
        )
    return tables


def _familiarity_table(found: FamiliarityReport) -> Table:
    how = (
        "A photo is unfamiliar where its familiarity is below {threshold}: it gets no confident match. Nor does one "
        "whose best match agrees with a probability below {least}."
    )
    unseen = sum(found.unseen_kinds.values()) / len(found.unseen_kinds)
    n = {"n": found.n_not_clothes}
    return Table(
        Text("table.level", "When does a search say “no confident match”?"),
        (Text("table.level.how", how, {"threshold": found.threshold, "least": found.least_probability}),),
        (Heading(Text("table.pictures", "Pictures")), Heading(Text("table.share_of_them", "Share"))),
        (
            (
                Text("table.accepted", "{n} photos of clothes: familiar", {"n": found.n_test}),
                Share(found.accepts_clothes),
            ),
            (
                Text("table.rejected", "{n} synthetic pictures without clothes: unfamiliar", n),
                Share(found.rejects_not_clothes),
            ),
            (
                Text("table.rejected_unseen", "the same, where the threshold was set without pictures of their kind"),
                Share(unseen),
            ),
        ),
    )


def _confidence_table(found: Mapping[str, Confidence]) -> Table:
    how = (
        "Of the first ten matches by the default method: how probable they are on average, and how many are right. And "
        "of searches with test photos: how many get a confident match, and how many right and wrong best matches are "
        "held back, by familiarity and probability together."
    )
    heads = {
        "probability": "Mean probability",
        "right": "Right",
        "confident": "Confident",
        "held_right": "Right ones held back",
        "held_wrong": "Wrong ones held back",
        "held_other": "Pictures without clothes held back",
    }
    return Table(
        Text("table.confidence", "Is the probability of a match right?"),
        (Text("table.confidence.how", how),),
        (Heading(Text("table.task", "Match")), *(Heading(Text(f"table.{key}", text)) for key, text in heads.items())),
        tuple(
            (
                _column(task),
                Share(one.probability),
                Share(one.right),
                Share(one.together.passes),
                Share(one.together.rejects_right),
                Share(one.together.rejects_wrong),
                Share(one.together.rejects_not_clothes),
            )
            for task, one in found.items()
        ),
    )


def _garments_tables(report: Report, found: Garments) -> list[Table]:
    how = (
        "Edited copies of {n} test photos search all {searched} photos. R@1 is the share of copies that rank the photo "
        "they were made of first, R@10 among the first ten, MRR the mean of 1 / rank; all are means over {edits} edits."
    )
    values: dict[str, Cell] = {"n": found.n_photos, "searched": found.n_searched, "edits": len(found.edits)}
    rows = [(method_title(name, report.methods[name].title), by_edit) for name, by_edit in found.methods.items()]
    if found.likeness:
        rows.insert(1, (_LIKENESS, found.likeness))
    means = [(title, by_edit["mean"]) for title, by_edit in rows]
    return [
        Table(
            Text("table.garments", "Is the very garment found?"),
            (Text("table.garments.how", how, values), *_trade(report, found), found.note),
            (_METHOD, *(Heading(text) for text in ("R@1", "R@10", "MRR"))),
            tuple((title, mean.recall_at_1, mean.recall_at_10, mean.mrr) for title, mean in means),
        ),
        Table(
            Text("table.edits", "After which edits?"),
            (Text("table.edits.how", "R@1 by edit."),),
            (_METHOD, *map(Heading, found.edits)),
            tuple((title, *(by_edit[edit].recall_at_1 for edit in found.edits)) for title, by_edit in rows),
        ),
    ]


def _trade(report: Report, found: Garments) -> tuple[Text, ...]:
    """What the default method gives up, and for what, in a bundle that has it."""
    beside = {"default": DEFAULT_METHOD, "agreement": "attribute_agreement", "cosine": "cosine"}
    if not set(beside.values()) <= set(found.methods):
        return ()
    text = (
        "What the default method trades: P@10 for type and color is {default_p10}, and {default_r1} of the copies find "
        "their photo first. Attribute agreement has {agreement_p10} and {agreement_r1}, cosine {cosine_p10} and "
        "{cosine_r1}: it gives up a little precision of the one to find copies as the other does."
    )
    values: dict[str, Cell] = {}
    for key, name in beside.items():
        values[f"{key}_p10"] = report.methods[name].retrieval["both"].precision_at_10.value
        values[f"{key}_r1"] = found.methods[name]["mean"].recall_at_1.value
    return (Text("table.garments.trade", text, values),)


def _order_table(report: Report, found: OrderInClass) -> Table:
    how = "{n} test photos rank the photos of their type and color. nDCG@10, by how many of these agree: {traits}."
    values: dict[str, Cell] = {"n": found.n_queries, "traits": found.traits}
    rows: list[tuple[Cell, ...]] = [
        (method_title(name, report.methods[name].title), value) for name, value in found.methods.items()
    ]
    if found.likeness:
        rows.insert(1, (_LIKENESS, found.likeness))
    return Table(
        Text("table.order", "Inside a class, are the most alike first?"),
        (Text("table.order.how", how, values),),
        (_METHOD, Heading("nDCG@10")),
        tuple(rows),
    )


def _baselines_table(report: Report, found: Baselines) -> Table:
    how = "Pearson correlation, pooled, of the task-blind models, by how they are evaluated."
    ways = list(found.n_evaluated)
    names = {method.title: name for name, method in report.methods.items()}
    return Table(
        Text("table.naive", "What does the way of evaluating change?"),
        (Text("table.naive.how", how), found.note),
        (
            Heading(Text("table.model", "Model")),
            *(Heading(way, pairs_counted(found.n_evaluated[way])) for way in ways),
        ),
        tuple(
            (
                method_title(names[title], title) if title in names else title,
                *(by_way[way].pearson for way in ways),
            )
            for title, by_way in found.models.items()
        ),
    )

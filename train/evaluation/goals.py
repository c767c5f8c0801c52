"""The goals that the default method has to reach, and whether a report reaches them.

A goal is evaluated over the seeds of a report, where it has several. What a report has not evaluated is left out: only
of drawings is known what tells garments of a class apart.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cbir.labels import LABELS
from cbir.report import Report
from cbir.similarity import DEFAULT_METHOD
from train.evaluation.markdown import cell, markdown_table

MEAN = "mean"  # over the edits
REFERENCE = "attribute_agreement"  # ranks by labels alone


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        title: what is asked.
        bound: the figure has to reach it, or, where it is a loss, must not exceed it.
        is_loss: whether less is better.
        figure: of a report; None where that has not evaluated it.
    """

    title: str
    bound: float
    is_loss: bool
    figure: Callable[[Report], float | None]

    def is_held(self, value: float) -> bool:
        """Whether a figure, as it is printed, reaches the goal."""
        value = round(value, 4)
        return value <= self.bound if self.is_loss else value >= self.bound


def first(report: Report, method: str | None, edit: str) -> float | None:
    """R@1 of edited copies; of the likeness alone without a method."""
    if report.seeds:
        spreads = report.seeds.methods[method].garments if method else report.seeds.likeness
        return spreads[edit].mean if spreads else None
    if report.garments is None:
        return None
    found = report.garments.methods[method] if method else report.garments.likeness
    return found[edit].recall_at_1.value if found else None


def worst_edit(report: Report) -> float | None:
    """R@1 of the default method after the edit that it takes the worst."""
    if report.garments is None:
        return None
    found = [first(report, DEFAULT_METHOD, edit) for edit in report.garments.edits]
    known = [value for value in found if value is not None]
    return min(known) if known else None


def _loss(of: Callable[[Report, str], float | None]) -> Callable[[Report], float | None]:
    """How far the default method is below `REFERENCE`."""

    def loss(report: Report) -> float | None:
        reference, found = of(report, REFERENCE), of(report, DEFAULT_METHOD)
        return None if reference is None or found is None else reference - found

    return loss


def _retrieval(metric: str) -> Callable[[Report, str], float | None]:
    def figure(report: Report, method: str) -> float | None:
        if report.seeds:
            return getattr(report.seeds.methods[method].retrieval["both"], metric).mean
        return getattr(report.methods[method].retrieval["both"], metric).value

    return figure


def _pearson(column: str) -> Callable[[Report, str], float | None]:
    def figure(report: Report, method: str) -> float | None:
        if report.seeds:
            return report.seeds.methods[method].pairs[column].pearson.mean
        return report.methods[method].pairs[column].pearson.value

    return figure


def _order_loss(report: Report) -> float | None:
    if report.order is None:
        return None
    cosine, found = report.order.methods["cosine"].value, report.order.methods[DEFAULT_METHOD].value
    return None if cosine is None or found is None else cosine - found


GOALS = (
    Goal("Same garment: R@1, mean over the edits", 0.97, False, lambda report: first(report, DEFAULT_METHOD, MEAN)),
    Goal("Same garment: R@1, worst edit", 0.90, False, worst_edit),
    Goal("Same garment: R@1 of the likeness alone", 0.98, False, lambda report: first(report, None, MEAN)),
    Goal("P@10 for type and color, below attribute agreement by", 0.005, True, _loss(_retrieval("precision_at_10"))),
    Goal("mAP for type and color, below attribute agreement by", 0.010, True, _loss(_retrieval("map"))),
    *(
        Goal(f"Pearson for the {name}, below attribute agreement by", 0.01, True, _loss(_pearson(name)))
        for name in LABELS
    ),
    Goal("Order inside a class: nDCG@10, below cosine by", 0.0, True, _order_loss),
)


def goals_table(report: Report) -> str:
    """The goals that a report tells of, what was asked and what was reached; "" where the default method is missing."""
    if not {DEFAULT_METHOD, REFERENCE} <= set(report.methods):
        return ""
    rows = []
    for goal in GOALS:
        if (value := goal.figure(report)) is not None:
            asked = f"{'at most' if goal.is_loss else 'at least'} {cell(goal.bound)}"
            reached = f"{value:.4f}".replace("0.", ".", 1)
            rows.append([goal.title, asked, reached, "held" if goal.is_held(value) else "missed"])
    over = f"means over the seeds {', '.join(map(str, report.seeds.seeds))}" if report.seeds else "one seed"
    title = f"**Goals of the default method** As evaluated on these photos, {over}."
    return f"{title}\n\n{markdown_table(['goal', 'asked', 'reached', ''], rows)}"

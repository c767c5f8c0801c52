"""Goals of the default method: what counts as held, and which figures they read."""

from dataclasses import replace

import pytest

from cbir.report import CopyEstimates, Estimate, OrderInClass, Report
from cbir.similarity import DEFAULT_METHOD
from train.evaluation.goals import GOALS, Goal, first, goals_table, worst_edit
from train.evaluation.seeds import over_bundles


def cells(report):
    """What was asked and reached, and whether it holds, by goal."""
    lines = [line.strip("| ").split("|") for line in goals_table(report).splitlines() if line.startswith("| ")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in lines[1:]}


@pytest.fixture
def report(toy_bundle) -> Report:
    """The toy bundle's, with known figures of copies and of retrieval."""
    report = toy_bundle.report

    def found(recall):
        return CopyEstimates(*[Estimate(recall, None, None)] * 3)

    by_edit = {"mean": found(0.9751), **dict.fromkeys(report.garments.edits, found(0.99))}
    by_edit[report.garments.edits[-1]] = found(0.8999)
    garments = replace(report.garments, methods={**report.garments.methods, DEFAULT_METHOD: by_edit})
    methods = dict(report.methods)
    for name, value in (("attribute_agreement", 0.92), (DEFAULT_METHOD, 0.915)):
        both = replace(methods[name].retrieval["both"], precision_at_10=Estimate(value, None, None))
        methods[name] = replace(methods[name], retrieval={**methods[name].retrieval, "both": both})
    return replace(report, garments=garments, methods=methods, seeds=None, order=None)


def test_goals_are_held_or_missed_by_the_figures_of_the_report(report):
    found = cells(report)
    assert found["Same garment: R@1, mean over the edits"] == ["at least .970", ".9751", "held"]
    assert found["Same garment: R@1, worst edit"] == ["at least .900", ".8999", "missed"]
    assert found["P@10 for type and color, below attribute agreement by"] == ["at most .005", ".0050", "held"]
    assert len(found) == len(GOALS) - 1  # no order inside a class
    assert "one seed" in goals_table(report)


def test_goals_are_those_of_the_mean_over_seeds(report):
    other = replace(report, protocol=replace(report.protocol, seed=1))
    better = {edit: CopyEstimates(*[Estimate(1.0, None, None)] * 3) for edit in ("mean", *report.garments.edits)}
    other = replace(
        other, garments=replace(report.garments, methods={**report.garments.methods, DEFAULT_METHOD: better})
    )
    both = replace(report, seeds=over_bundles([report, other]))
    assert "means over the seeds 0, 1" in goals_table(both)
    assert first(both, DEFAULT_METHOD, "mean") == pytest.approx((0.9751 + 1) / 2)
    assert worst_edit(both) == pytest.approx((0.8999 + 1) / 2)


def test_the_order_is_compared_with_cosine(report):
    values = dict.fromkeys(report.methods, Estimate(0.8, None, None)) | {DEFAULT_METHOD: Estimate(0.81, None, None)}
    order = OrderInClass(("cut",), 9, values, None)
    assert cells(replace(report, order=order))["Order inside a class: nDCG@10, below cosine by"][1:] == [
        "-.0100",
        "held",
    ]


@pytest.mark.parametrize(("is_loss", "value", "held"), [(True, 0.01, True), (True, 0.0102, False), (False, 0.01, True)])
def test_a_figure_that_equals_the_bound_holds(is_loss, value, held):
    assert Goal("", 0.01, is_loss, lambda report: None).is_held(value) is held


def test_without_the_default_method_there_are_no_goals(report):
    assert goals_table(replace(report, methods={"cosine": report.methods["cosine"]})) == ""

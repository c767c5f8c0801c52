"""Tables of a report: one list, whose cells are the report's figures."""

import dataclasses

import pytest

from cbir.labels import RETRIEVAL_TASKS
from cbir.report import MethodSpreads, OrderInClass, OutOfDomain, PairSpreads, RetrievalSpreads, Seeds, Spread
from cbir.report_tables import Estimate, Share, Text, report_tables
from cbir.similarity import DEFAULT_METHOD


def with_every_section(report):
    """The report with sections that it lacks."""
    spread = Spread(0.5, 0.01)
    pairs = PairSpreads(spread, spread, spread, None)
    retrieval = RetrievalSpreads(*[spread] * 6)
    spreads = {
        name: MethodSpreads(dict.fromkeys(m.pairs, pairs), dict.fromkeys(RETRIEVAL_TASKS, retrieval), {"mean": spread})
        for name, m in report.methods.items()
    }
    part = OutOfDomain(
        queries="phone photos",
        gallery="Toys (108)",
        n_photos=9,
        n_queries={"type": 9, "color": 0, "both": 0},
        n_replicates=10,
        familiar=0.75,
        methods={name: {"type": method.retrieval["type"]} for name, method in report.methods.items()},
    )
    figure = report.methods["cosine"].pairs["type"].pearson
    order = OrderInClass(("cut", "heel"), 9, dict.fromkeys(report.methods, figure), figure)
    seeds = Seeds((0, 1), "A note.", spreads, {"mean": spread})
    return dataclasses.replace(report, seeds=seeds, order=order, out_of_domain=(part,))


@pytest.fixture(scope="module")
def report(toy_bundle):
    return with_every_section(toy_bundle.report)


@pytest.fixture(scope="module")
def tables(report):
    return {table.title.key: table for table in report_tables(report)}


def test_every_row_has_a_cell_per_column(tables):
    assert len(tables) == 12
    for table in tables.values():
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.header)}


def test_sections_that_a_report_lacks_have_no_table(toy_bundle):
    bare = dataclasses.replace(toy_bundle.report, familiarity=None, garments=None)
    keys = [table.title.key for table in report_tables(bare)]
    assert keys == ["table.pairs", "table.retrieval", "table.quality", "table.naive"]


def test_pairs_stand_beside_the_published_table(tables, report):
    rows = {row[0].english: row[1:] for row in tables["table.pairs"].rows}
    cosine = report.methods["cosine"]
    assert rows["Cosine"] == (0.387, *(cosine.pairs[column].pearson for column in ("any", "type", "color")))
    assert rows["Attribute agreement"][0] is None
    details = [heading.detail for heading in tables["table.pairs"].header[2:]]
    assert [detail.values["n"] for detail in details] == list(report.protocol.n_pairs.values())
    assert tables["table.pairs"].notes[-1].values == {"value": report.ceiling.pearson}


def test_retrieval_shows_both_metrics_of_each_task(tables, report):
    rows = {row[0].english: row[1:] for row in tables["table.retrieval"].rows}
    found = report.methods["cosine"].retrieval
    assert rows["Cosine"] == tuple(e for t in RETRIEVAL_TASKS for e in (found[t].precision_at_10, found[t].map))


def test_tasks_without_queries_are_left_out(tables, report):
    elsewhere = tables["table.elsewhere"]
    assert [heading.text for heading in elsewhere.header[1:]] == [Text("match_type", "Same type")]
    assert all(isinstance(row[1], Estimate) for row in elsewhere.rows)
    assert elsewhere.notes[-1].values == {"share": Share(0.75)}
    protocol = dataclasses.replace(report.protocol, n_queries={"type": 27, "color": 0, "both": 0})
    retrieval = report_tables(dataclasses.replace(report, protocol=protocol))[1]
    assert len(retrieval.header) == 1 + 2


def test_a_calibration_error_is_of_probabilities_alone(tables):
    rows = {row[0].english: row[1:] for row in tables["table.quality"].rows}
    assert all(cell[2] is None for cell in rows["Cosine"][1:])
    assert all(isinstance(cell[2], float) for cell in rows["Random Forest on pairs"][1:])


def test_seeds_show_means_with_deviations(tables):
    assert tables["table.seeds"].notes[0].values == {"n": 2, "seeds": "0, 1"}
    assert tables["table.seeds"].rows[0][1] == Spread(0.5, 0.01)


def test_copies_are_shown_by_method_and_edit_with_the_likeness_behind_the_default(tables, report):
    rows = {row[0].english: row[1:] for row in tables["table.garments"].rows}
    assert list(rows)[:3] == ["Agreement and likeness", "Likeness alone", "Attribute agreement"]
    mean = report.garments.methods["cosine"]["mean"]
    assert rows["Cosine"] == (mean.recall_at_1, mean.recall_at_10, mean.mrr)
    by_edit = {row[0].english: row[1:] for row in tables["table.edits"].rows}
    assert by_edit["Likeness alone"] == tuple(report.garments.likeness[e].recall_at_1 for e in report.garments.edits)
    assert "no view is mirrored" in tables["table.garments"].notes[-1]


def test_what_the_default_method_trades_is_said_in_figures(tables, report):
    values = tables["table.garments"].notes[1].values
    assert values["default_p10"] == report.methods[DEFAULT_METHOD].retrieval["both"].precision_at_10.value
    assert values["cosine_r1"] == report.garments.methods["cosine"]["mean"].recall_at_1.value
    without = dataclasses.replace(
        report, garments=dataclasses.replace(report.garments, methods={"cosine": report.garments.methods["cosine"]})
    )
    found = next(table for table in report_tables(without) if table.title.key == "table.garments")
    assert len(found.notes) == 2


def test_the_probability_is_shown_beside_the_share_that_is_right(tables, report):
    both = {row[0].english: row[1:] for row in tables["table.confidence"].rows}["Same type and color"]
    found = report.familiarity.confidence["both"]
    assert both[:3] == (Share(found.probability), Share(found.right), Share(found.together.passes))


def test_order_in_a_class_names_the_traits(tables):
    assert tables["table.order"].notes[0].values == {"n": 9, "traits": ("cut", "heel")}

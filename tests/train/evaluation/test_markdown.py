"""Markdown of tables: how cells read."""

import pytest

from cbir.report import Estimate, Spread
from cbir.report_tables import Heading, Share, Table, Text
from train.evaluation.markdown import cell, markdown_table, provenance, table, tables


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("as it is", "as it is"),
        (11384, "11,384"),
        (0.5, ".500"),
        (1.0, "1.00"),
        (-0.25, "-.250"),
        (0.9996, "1.00"),
        (Share(0.9312), "93.1 %"),
        (Share(None), "-"),
        (Estimate(0.5, 0.4, 0.6), ".500 (.400 - .600)"),
        (Estimate(0.5, None, None), ".500"),
        (Estimate(None, None, None), "-"),
        (Spread(0.5, 0.012), ".500 ± .012"),
        (Spread(0.5, None), ".500"),
        ((0.5, None, Spread(0.25, 0.1)), ".500 / - / .250 ± .100"),
        (Text("x", "{n} photos, {share}", {"n": 1200, "share": Share(1.0)}), "1,200 photos, 100.0 %"),
    ],
)
def test_cells_read_well(value, text):
    assert cell(value) == text


def test_a_table_is_aligned():
    assert markdown_table(["a", "long"], [["bbb", "1"], ["", "22"]]).splitlines() == [
        "| a   | long |",
        "|-----|------|",
        "| bbb | 1    |",
        "|     | 22   |",
    ]


def test_a_table_has_its_title_notes_and_details_of_headings():
    content = Table(
        Text("t", "Good?"),
        (Text("n", "It holds {n}.", {"n": 3}), "As said."),
        (Heading("what"), Heading("how much", Text("d", "n = {n}", {"n": 3}))),
        (("x", 0.25),),
    )
    assert table(content).splitlines()[0] == "**Good?** It holds 3. As said."
    assert table(content).splitlines()[2] == "| what | how much (n = 3) |"


def test_all_tables_show_all_methods(toy_bundle):
    text = tables(toy_bundle.report)
    assert text.count("| Cosine ") == 5
    assert text.count("| Likeness alone ") == 2
    value = toy_bundle.report.methods["cosine"].pairs["type"].pearson
    assert cell(value) in text


def test_the_provenance_counts_photos(toy_bundle):
    text = provenance(toy_bundle.report)
    assert "108 photos" in text
    assert "fitted on 81 photos, without a color network, evaluated on 27" in text

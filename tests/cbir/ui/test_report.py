"""The page's report: all tables, charts and pictures, in every language, and nothing unescaped."""

import dataclasses
import re
from types import SimpleNamespace

import numpy as np
import pytest

from cbir.ui import charts, report
from cbir.ui.texts import LANGUAGES, Words
from tests.cbir.test_report_tables import with_every_section

THUMBNAILS = SimpleNamespace(url=lambda id: f"pictures/{id}")


@pytest.fixture(scope="module")
def bundle(toy_bundle):
    return dataclasses.replace(toy_bundle, report=with_every_section(toy_bundle.report))


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_it_shows_figures_curves_confusions_and_queries(bundle, language):
    html, found = report.page(bundle, THUMBNAILS, Words(language)), bundle.report
    pearson = found.methods["cosine"].pairs["type"].pearson
    figure = f"{pearson.value:.3f}<small>({pearson.low:.3f} – {pearson.high:.3f})</small>"
    assert (figure if language == "en" else figure.replace(".", ",")) in html
    n_probable = sum(method.is_probability for method in found.methods.values())
    # Curves, histograms and reliability for two labels each, and the histogram of familiarity.
    assert html.count("<figure>") == 2 + 2 * len(found.methods) + 2 * n_probable + 1
    assert html.count("<polyline") == 2 * len(found.methods)
    assert html.count("<h2>") == 12 + 5  # tables, and other sections
    for task in ("type", "color", "both"):
        for query in found.queries.tasks[task].worst:
            assert f"href='?id={query.id}&amp;method={found.queries.method}&amp;match={task}'" in html
            assert f"src='pictures/{query.id}'" in html


@pytest.mark.parametrize(
    ("language", "said"), [("en", "of the first ten results show the right"), ("pt", "dos dez primeiros resultados")]
)
def test_it_opens_with_sentences_about_the_figures_of_the_default_method(bundle, language, said):
    found, words = bundle.report, Words(language)
    headlines = re.findall(
        r"<p><b>(.*?)</b> (.*?) <small>(.*?)</small></p>", report.page(bundle, THUMBNAILS, words), re.DOTALL
    )
    first = found.out_of_domain[0].methods[found.queries.method]
    right = [first[task].precision_at_10.value for task in ("type", "color") if task in first]
    of = "of" if language == "en" else "de"
    elsewhere, here = headlines[: len(right)], headlines[len(right) :]
    assert [number for number, _, _ in elsewhere] == [f"{10 * value:.0f} {of} 10" for value in right] != []
    assert all(said in text for _, text, _ in elsewhere)
    assert all(str(found.out_of_domain[0].n_photos) in small for _, _, small in elsewhere)
    own = found.methods[found.queries.method].retrieval["both"].precision_at_10.value
    assert here[0][0] == f"{10 * own:.0f} {of} 10"
    assert ("drawn" if language == "en" else "desenhos") in here[0][2]
    copies = found.garments.methods[found.queries.method]["mean"].recall_at_1.value
    shares = [copies, found.familiarity.accepts_clothes, found.familiarity.rejects_not_clothes]
    assert [number for number, _, _ in here[1:]] == [f"{100 * share:.0f} {of} 100" for share in shares]


def test_every_cell_says_its_column_and_sources_are_linked(bundle):
    html = report.page(bundle, THUMBNAILS, Words())
    tables = html.partition("<h2>Precision and recall")[0]
    assert tables.count("<td data-column='") == tables.count("<td") > 50
    assert "data-column='Type · P@10'" in tables or "data-column='Same type · P@10'" in tables
    assert f"href='{report.ARTICLE}'" in html


def test_portuguese_tables_are_portuguese(bundle):
    html = report.page(bundle, THUMBNAILS, Words("pt"))
    assert "Método" in html
    assert "juntos" in html
    assert "Cosseno" in html
    assert "A score" not in html


def test_sections_that_a_report_lacks_are_left_out(toy_bundle):
    bare = dataclasses.replace(toy_bundle.report, familiarity=None, confusion=None)
    html = report.page(dataclasses.replace(toy_bundle, report=bare), THUMBNAILS, Words())
    assert html.count("<h2>") == 6 + 3
    assert "confusion" not in html
    html = report.page(dataclasses.replace(toy_bundle, report=None), THUMBNAILS, Words())
    assert "no report" in html


def test_whatever_comes_from_a_bundle_is_escaped(bundle):
    evil = "<script>alert('1')</script>"
    found = bundle.report
    example = dataclasses.replace(
        found.queries.tasks["type"].best[0], id=f"'{evil}", labels={"type": evil, "color": ""}
    )
    examples = dataclasses.replace(found.queries.tasks["type"], best=(example,))
    part = dataclasses.replace(found.out_of_domain[0], queries=evil, gallery=evil)
    changed = dataclasses.replace(
        found,
        queries=dataclasses.replace(found.queries, tasks={**found.queries.tasks, "type": examples}),
        out_of_domain=(part,),
        protocol=dataclasses.replace(found.protocol, notes=(evil,)),
        methods={name: dataclasses.replace(method, title=evil) for name, method in found.methods.items()},
        baselines=dataclasses.replace(found.baselines, note=evil),
        confusion={"type": dataclasses.replace(found.confusion["type"], classes=(evil, "b", "c"))},
    )
    ids = np.array([f"'{evil}", *bundle.gallery.ids[1:]])
    changed_bundle = dataclasses.replace(bundle, report=changed, gallery=dataclasses.replace(bundle.gallery, ids=ids))
    html = report.page(changed_bundle, THUMBNAILS, Words())
    assert "<script" not in html
    assert html.count("&lt;script&gt;") > 10
    assert "'alert" not in html


def test_examples_whose_pictures_are_gone_are_left_out(bundle):
    example = bundle.report.queries.tasks["type"].best[0]
    assert f"src='pictures/{example.id}'" in report.page(bundle, THUMBNAILS, Words())
    kept = dataclasses.replace(bundle, gallery=bundle.gallery.take(np.flatnonzero(bundle.gallery.ids != example.id)))
    assert f"src='pictures/{example.id}'" not in report.page(kept, THUMBNAILS, Words())


def test_a_chart_places_its_marks_between_its_axes():
    chart = charts.histogram([-1.0, 0.0, 1.0], ([1, 3], [2, 0]), ("x", "y"), "title", Words(), threshold=0.0)
    assert chart.label == "title – x – y"
    assert chart.x_ticks == ("-1", "0", "1")
    assert chart.y_ticks == ("0", "0.5", "1")
    first, second, third, empty = chart.bars
    assert (first.series, third.series) == ("same", "different")
    assert first.x == charts.LEFT
    assert second.x + second.width == pytest.approx(charts.WIDTH - charts.RIGHT)
    assert third.y == charts.TOP  # all of its series
    assert first.height == pytest.approx(third.height / 4)
    assert second.height == pytest.approx(third.height * 3 / 4)
    assert empty.height == 0
    assert chart.guides[0].start[0] == pytest.approx((charts.LEFT + charts.WIDTH - charts.RIGHT) / 2)


def test_lines_differ_by_their_dashes(bundle):
    html = report.page(bundle, THUMBNAILS, Words())
    dashes = re.findall(r"<polyline class='line s(\d)'.*?stroke-dasharray='(.*?)'", html)
    n = len(bundle.report.methods)
    assert len({dash for _, dash in dashes}) == n
    assert dashes[:n] == dashes[n:]

"""Reports: what is written is read again, and a damaged one says what is wrong."""

import copy
import dataclasses
import json

import pytest

from cbir.bundle import load_bundle, save_bundle
from cbir.errors import BundleError
from cbir.labels import RETRIEVAL_TASKS
from cbir.report import COLUMNS, Estimate, Report, rounded


@pytest.fixture(scope="module")
def report(toy_bundle):
    return toy_bundle.report


def every_number(value):
    if isinstance(value, dict):
        for part in value.values():
            yield from every_number(part)
    elif isinstance(value, list):
        for part in value:
            yield from every_number(part)
    elif isinstance(value, float):
        yield value


def test_a_report_is_plain_small_json_and_reads_as_it_was(report):
    text = json.dumps(report.to_json(), allow_nan=False)
    assert Report.from_json(json.loads(text)) == report
    assert len(text) < 300_000
    assert all(value == round(value, 4) for value in every_number(json.loads(text)))


def test_what_cannot_be_measured_is_null(report):
    cosine = report.methods["cosine"]
    pairs = dataclasses.replace(cosine.pairs["type"], pearson=Estimate(float("nan"), float("nan"), float("inf")))
    method = dataclasses.replace(cosine, pairs={**cosine.pairs, "type": pairs})
    changed = dataclasses.replace(report, methods={**report.methods, "cosine": method})
    stored = json.loads(json.dumps(changed.to_json(), allow_nan=False))
    assert stored["methods"]["cosine"]["pairs"]["type"]["pearson"] == {"value": None, "low": None, "high": None}
    assert rounded(changed).methods["cosine"].pairs["type"].pearson == Estimate(None, None, None)


def test_every_part_that_is_not_optional_is_missed_by_name(report):
    stored = report.to_json()
    for field in dataclasses.fields(Report):
        damaged = {name: value for name, value in stored.items() if name != field.name}
        if field.name in ("seeds", "confusion", "familiarity", "garments", "order"):
            assert getattr(Report.from_json(damaged), field.name) is None
        else:
            with pytest.raises(BundleError, match=field.name):
                Report.from_json(damaged)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("schema",), 1, "schema version 1, expected 3"),
        (("protocol", "n_test"), "27", "expected int at protocol/n_test, got '27'"),
        (("protocol", "n_test"), None, "expected int at protocol/n_test, got 'None'"),
        (("methods", "cosine", "pairs", "type", "pearson"), [1, 2, 3], "methods/cosine/pairs/type/pearson"),
        (("methods", "cosine", "pairs", "type", "pearson", "low"), "much", "methods/cosine/pairs/type/pearson/low"),
        (
            ("methods", "cosine", "retrieval"),
            {},
            "expected type, color, both at methods/cosine/retrieval, got 'nothing'",
        ),
        (("methods", "cosine", "histograms", "other"), {"edges": [], "same": [], "different": []}, "cosine/histograms"),
        (("confusion", "type", "counts"), [[1, "x"]], "expected int at confusion/type/counts, got 'x'"),
        (("queries", "method"), "magic", "expected one of .* at queries/method, got magic"),
        (("methods",), {}, "expected one of nothing at queries/method"),
        (("baselines",), None, "expected an object at baselines"),
    ],
)
def test_a_damaged_report_says_what_is_wrong(report, place, value, message):
    stored = copy.deepcopy(report.to_json())
    *above, last = place
    part = stored
    for name in above:
        part = part[name]
    part[last] = value
    with pytest.raises(BundleError, match=message) as caught:
        Report.from_json(stored)
    assert "\n" not in str(caught.value)
    assert "evaluate the bundle again" in str(caught.value)


@pytest.mark.parametrize("value", [None, [], "report", 3])
def test_json_that_is_not_a_report_is_refused(value):
    with pytest.raises(BundleError, match="schema version None"):
        Report.from_json(value)


def test_a_bundle_keeps_its_report(toy_bundle, tmp_path):
    assert load_bundle(save_bundle(toy_bundle, tmp_path / "toy")).report == toy_bundle.report


def test_a_bundle_with_a_damaged_report_names_the_file(toy_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(Report, "to_json", lambda self: {"schema": 3})
    folder = save_bundle(toy_bundle, tmp_path / "toy")
    with pytest.raises(BundleError, match=r"report.json: the report is damaged \(expected an object at data"):
        load_bundle(folder)


def test_columns_and_tasks_are_those_of_the_vocabulary(report):
    assert tuple(report.protocol.n_pairs) == COLUMNS == ("any", "type", "color")
    assert list(report.protocol.n_queries) == list(RETRIEVAL_TASKS)

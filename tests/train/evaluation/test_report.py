"""The report: its figures are those of the bundle's scores."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import confusion_matrix

from cbir.labels import LABELS, RETRIEVAL_TASKS, TASKS
from cbir.similarity import DEFAULT_METHOD, SIMILARITIES
from train.data.split import sample_pairs
from train.evaluate import evaluate
from train.evaluation.report import confusion, sources_of


@pytest.fixture(scope="module")
def report(toy_bundle):
    return toy_bundle.report


@pytest.fixture
def no_baselines(report, monkeypatch):
    """Spares the fits of baselines, which have tests of their own."""
    monkeypatch.setattr("train.evaluation.report.evaluate_baselines", lambda *args: report.baselines)


def test_every_method_has_every_figure_with_an_interval_around_it(report):
    assert set(report.methods) == set(SIMILARITIES)
    for method in report.methods.values():
        for estimates in (*method.pairs.values(), *method.retrieval.values()):
            for estimate in filter(None, vars(estimates).values()):
                assert estimate.low <= estimate.value <= estimate.high
    assert report.methods["random_forest"].pairs["type"].ece is not None
    assert report.methods["cosine"].pairs["type"].ece is None
    assert report.methods["cosine"].reliability is None


def test_pair_figures_are_those_of_scores_of_test_pairs(report, toy_bundle):
    test = toy_bundle.gallery.splits == "test"
    features, method = toy_bundle.gallery.features.take(test), SIMILARITIES["cosine"]
    pairs = sample_pairs(toy_bundle.gallery.labels["color"][test], 5692, seed=0)
    scores = method.score(features, features, None, TASKS["color"])[pairs.left, pairs.right]
    assert report.methods["cosine"].pairs["color"].pearson.value == pytest.approx(
        stats.pearsonr(scores, pairs.same).statistic, abs=1e-4
    )
    assert report.protocol.n_pairs["color"] == len(pairs)


def test_classes_and_sources_have_their_own_figures(toy_bundle, no_baselines):
    gallery = toy_bundle.gallery
    assert toy_bundle.report.methods["cosine"].pairs_by["type"].by_source is None
    ids = np.array([f"a/{'web' if n // 4 % 2 else 'shop'}_{n}.png" for n in range(len(gallery))])
    found = evaluate(replace(toy_bundle, gallery=replace(gallery, ids=ids)), replicates=20)
    cosine = found.methods["cosine"]
    assert cosine.pairs_by["type"].by_class.keys() == {"pants", "shirt", "shoes"}
    sources = cosine.pairs_by["type"].by_source
    assert sources.keys() == {"web", "shop", "mixed"}
    assert sum(part.n_pairs for part in sources.values()) == found.protocol.n_pairs["type"]
    # Groups of queries are shown where they are large enough.
    assert cosine.retrieval_by["type"].by_source.keys() <= {"web", "shop"}
    assert found.familiarity is None


def test_sources_are_prefixes_that_repeat_no_label():
    labels = {"color": np.array(["red", "blue"]), "type": np.array(["shirt", "dress"])}
    assert sources_of(np.array(["red_shirt/web_1.jpg", "blue_dress/shop_1.jpg"]), labels).tolist() == ["web", "shop"]
    assert sources_of(np.array(["red_shirt/red_shirt_1.jpg", "blue_dress/blue_dress_1.jpg"]), labels) is None
    assert sources_of(np.array(["a/1.jpg", "a/2.jpg"]), labels) is None
    assert sources_of(np.array(["a/web_1.jpg", "a/web_2.jpg"]), labels) is None


def test_differences_are_those_of_the_figures(report):
    differences = report.differences
    assert differences.reference == DEFAULT_METHOD
    assert set(differences.methods) == set(SIMILARITIES) - {DEFAULT_METHOD}
    mine, theirs = (report.methods[name].retrieval["both"].map.value for name in (DEFAULT_METHOD, "cosine"))
    found = differences.methods["cosine"].map["both"]
    assert found.value == pytest.approx(mine - theirs, abs=2e-4)
    assert found.low <= found.value <= found.high
    assert 0 < found.p <= 1
    assert differences.n_compared == 5 * (3 + 2 * 3)


def test_confusion_matches_scikit_learn(report, toy_bundle):
    test = toy_bundle.gallery.splits == "test"
    attributes = toy_bundle.attributes
    posteriors = attributes.posteriors(toy_bundle.gallery.features.take(test))
    for label in LABELS:
        classes = attributes.classes(label)
        guess = np.array(classes)[posteriors[label].argmax(axis=1)]
        assert report.confusion[label].classes == classes
        expected = confusion_matrix(toy_bundle.gallery.labels[label][test], guess, labels=classes)
        assert [list(row) for row in report.confusion[label].counts] == expected.tolist()


def test_classes_that_the_model_does_not_know_are_counted_as_mistakes():
    labels = np.array(["a", "b", "z", ""])
    found = confusion(labels, np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.7, 0.3]]), ("a", "b"))
    assert found.classes == ("a", "b", "z")
    assert found.counts == ((1, 0, 0), (0, 1, 0), (1, 0, 0))


def test_curves_count_every_pair(report):
    for name, method in report.methods.items():
        for column, bins in method.histograms.items():
            assert sum(bins.same) + sum(bins.different) == report.protocol.n_pairs[column], name
            assert len(bins.edges) == len(bins.same) + 1
            curve = method.precision_recall[column]
            assert list(curve.recall) == sorted(curve.recall)
            assert curve.recall[-1] == 1
    learned = {name for name, method in report.methods.items() if method.reliability}
    assert learned == {m.name for m in SIMILARITIES.values() if m.is_probability}
    counts = report.methods["random_forest"].reliability["type"].n_pairs
    assert sum(counts) == report.protocol.n_pairs["type"]


def test_best_and_worst_queries_are_test_photos_with_train_matches(report, toy_bundle):
    gallery = toy_bundle.gallery
    for task in (TASKS[name] for name in RETRIEVAL_TASKS):
        examples = report.queries.tasks[task.name]
        best, worst = ([query.average_precision for query in part] for part in (examples.best, examples.worst))
        assert best[0] >= best[-1] >= worst[-1] >= worst[0]
        for query in (*examples.best, *examples.worst):
            assert gallery.splits[gallery.row(query.id)] == "test"
            for match in query.matches:
                row = gallery.row(match.id)
                assert gallery.splits[row] == "train"
                found = gallery.labels_of(row)
                assert match.is_relevant == all(found[n] == query.labels[n] for n in task.labels)


def test_the_reference_is_the_method_that_a_search_takes_by_default(toy_bundle, no_baselines):
    bare = replace(toy_bundle, models=type(toy_bundle.models)(), familiarity=None)
    found = evaluate(bare, replicates=2)
    assert list(found.methods) == ["cosine", "inverse_euclidean"]
    assert found.differences.reference == found.queries.method == "cosine"
    assert found.confusion is None

"""The report: its figures are those of the bundle, its protocols do what they say, and it is plain JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import confusion_matrix

from cbir.errors import DataError
from cbir.familiarity import Familiarity
from cbir.features import Features
from cbir.gallery import Gallery
from cbir.labels import LABELS, TASKS
from cbir.similarity import DEFAULT_METHOD, SIMILARITIES, Models
from train.data.split import Pairs, near_duplicate_groups, sample_pairs, split_by_group
from train.evaluate import _sources, evaluate, evaluate_elsewhere, plain, two_sides
from train.evaluation import baselines as naive
from train.evaluation.baselines import naive_protocol, task_blind_ceiling
from train.evaluation.familiarity import TopMatches, judge_confidence
from train.evaluation.markdown import figure, number, tables
from train.evaluation.metrics import pair_metrics
from train.evaluation.not_clothes import KINDS, not_clothes


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


def test_the_report_is_plain_small_json(report):
    text = json.dumps(report, allow_nan=False)
    assert json.loads(text) == report
    assert len(text) < 300_000
    assert all(value == round(value, 4) for value in every_number(report))


def test_every_method_has_every_figure_with_an_interval_around_it(report):
    assert set(report["pairs"]) == set(report["retrieval"]) == set(SIMILARITIES)
    for section, keys in (("pairs", ("pooled", *LABELS)), ("retrieval", TASKS)):
        for columns in report[section].values():
            assert list(columns) == list(keys)
            for metrics in columns.values():
                for value, low, high in metrics.values():
                    assert low <= value <= high
    assert "ece" in report["pairs"]["random_forest"]["type"]
    assert "ece" not in report["pairs"]["cosine"]["type"]


def test_pair_figures_are_those_of_scores_of_test_pairs(report, toy_bundle):
    test = toy_bundle.gallery.splits == "test"
    features, method = toy_bundle.gallery.features.take(test), SIMILARITIES["cosine"]
    pairs = sample_pairs(toy_bundle.gallery.labels["color"][test], 5692, seed=0)
    scores = method.score(features, features, None, TASKS["color"])[pairs.left, pairs.right]
    assert report["pairs"]["cosine"]["color"]["pearson"][0] == pytest.approx(
        stats.pearsonr(scores, pairs.same).statistic, abs=1e-4
    )
    assert report["protocol"]["n_pairs"]["color"] == len(pairs)


def test_classes_and_sources_have_their_own_figures(toy_bundle):
    gallery = toy_bundle.gallery
    assert toy_bundle.report["pairs_by"]["cosine"]["type"].keys() == {"class"}
    ids = np.array([f"a/{'web' if n // 4 % 2 else 'shop'}_{n}.png" for n in range(len(gallery))])
    found = evaluate(replace(toy_bundle, gallery=replace(gallery, ids=ids)), replicates=20)
    assert found["pairs_by"]["cosine"]["type"]["class"].keys() == {"pants", "shirt", "shoes"}
    sources = found["pairs_by"]["cosine"]["type"]["source"]
    assert sources.keys() == {"web", "shop", "mixed"}
    assert sum(part["n_pairs"] for part in sources.values()) == found["protocol"]["n_pairs"]["type"]
    # Groups of queries are shown where they are large enough.
    assert found["retrieval_by"]["cosine"]["type"]["source"].keys() <= {"web", "shop"}
    assert found["confidence"] is None


def test_sources_are_prefixes_that_repeat_no_label():
    labels = {"color": np.array(["red", "blue"]), "type": np.array(["shirt", "dress"])}
    assert _sources(np.array(["red_shirt/web_1.jpg", "blue_dress/shop_1.jpg"]), labels).tolist() == ["web", "shop"]
    assert _sources(np.array(["red_shirt/red_shirt_1.jpg", "blue_dress/blue_dress_1.jpg"]), labels) is None
    assert _sources(np.array(["a/1.jpg", "a/2.jpg"]), labels) is None
    assert _sources(np.array(["a/web_1.jpg", "a/web_2.jpg"]), labels) is None


def test_differences_are_those_of_the_figures(report):
    differences = report["differences"]
    assert differences["reference"] == DEFAULT_METHOD
    others = set(SIMILARITIES) - {DEFAULT_METHOD}
    assert set(differences["pairs"]) == set(differences["retrieval"]) == others
    mine, theirs = (report["retrieval"][name]["both"]["map"][0] for name in (DEFAULT_METHOD, "cosine"))
    found = differences["retrieval"]["cosine"]["both"]["map"]
    assert found["value"] == pytest.approx(mine - theirs, abs=2e-4)
    assert found["low"] <= found["value"] <= found["high"]
    assert 0 < found["p"] <= 1


def test_confusion_matches_scikit_learn(report, toy_bundle):
    test = toy_bundle.gallery.splits == "test"
    attributes = toy_bundle.attributes
    posteriors = attributes.posteriors(toy_bundle.gallery.features.take(test))
    for label in LABELS:
        classes = list(attributes.classes(label))
        guess = np.array(classes)[posteriors[label].argmax(axis=1)]
        assert report["confusion"][label]["classes"] == classes
        expected = confusion_matrix(toy_bundle.gallery.labels[label][test], guess, labels=classes)
        assert report["confusion"][label]["counts"] == expected.tolist()


def test_curves_count_every_pair(report):
    for method, columns in report["histograms"].items():
        for column, bins in columns.items():
            assert sum(bins["same"]) + sum(bins["different"]) == report["protocol"]["n_pairs"][column], method
            assert len(bins["edges"]) == len(bins["same"]) + 1
            curve = report["precision_recall"][method][column]
            assert curve["recall"] == sorted(curve["recall"])
            assert curve["recall"][-1] == 1
    assert set(report["reliability"]) == {m.name for m in SIMILARITIES.values() if m.is_learned}
    assert sum(report["reliability"]["random_forest"]["type"]["n_pairs"]) == report["protocol"]["n_pairs"]["type"]


def test_best_and_worst_queries_are_test_photos_with_train_matches(report, toy_bundle):
    gallery = toy_bundle.gallery
    for task in TASKS.values():
        best, worst = (report["queries"][task.name][end] for end in ("best", "worst"))
        assert best[0]["average_precision"] >= best[-1]["average_precision"] >= worst[-1]["average_precision"]
        assert worst[0]["average_precision"] <= worst[-1]["average_precision"]
        for query in (*best, *worst):
            assert gallery.splits[gallery.row(query["id"])] == "test"
            for match in query["matches"]:
                row = gallery.row(match["id"])
                assert gallery.splits[row] == "train"
                found = gallery.labels_of(row)
                assert match["is_relevant"] == all(found[n] == query["labels"][n] for n in task.labels)


def test_the_ceiling_is_perfect_where_the_task_can_be_told():
    labels = {"type": np.array(["a", "a", "b", "b"]), "color": np.array(["r", "s", "r", "s"])}
    # Both pairs of same type differ in color, and so on: the cells are pure.
    by_type = Pairs(np.array([0, 1]), np.array([1, 2]), np.array([True, False]))
    assert task_blind_ceiling(labels, by_type)["pearson"] == pytest.approx(1)
    # The pair (0, 1) is positive by type, negative by color: its best score is a half.
    pooled = Pairs(np.array([0, 0, 0]), np.array([1, 1, 3]), np.array([True, False, False]))
    expected = pair_metrics(np.array([0.5, 0.5, 0]), pooled.same)
    assert task_blind_ceiling(labels, pooled) == pytest.approx(expected)


def test_the_naive_protocol_flatters_models_that_know_nothing(monkeypatch):
    """Random embeddings tell nothing about labels: what is then found was memorised."""
    monkeypatch.setattr(naive, "TREES", 30)
    rng = np.random.default_rng(0)
    n = 60
    features = Features(rng.normal(size=(n, 30)).astype(np.float32), np.zeros((n, 1), np.float32))
    labels = {"type": rng.choice(["a", "b"], n), "color": rng.choice(["r", "s"], n)}
    found = naive_protocol(features, labels, np.arange(n) % 3 == 0, seed=0)
    forest = found["models"]["Random Forest on absolute differences"]
    assert abs(forest["photos apart"]["pearson"]) < 0.2
    assert forest["pairs fitted on"]["pearson"] > 0.7
    assert forest["pairs fitted on"]["pearson"] > forest["pairs at random"]["pearson"]


def test_naive_pairs_stand_apart_where_they_should(monkeypatch):
    fitted = []

    class Spy:
        def fit(self, x, y):
            fitted.append((x, len(y)))
            return self

        def predict_proba(self, x):
            fitted.append((x, None))
            return np.random.default_rng(0).random((len(x), 2))

    monkeypatch.setattr(naive, "NAIVE", (("spy", lambda a, b: np.concatenate([a, b], axis=1), lambda seed: Spy()),))
    n = 40
    features = Features(np.arange(n, dtype=np.float32)[:, None], np.zeros((n, 1), np.float32))
    labels = {"type": np.array(["a", "b"] * 20), "color": np.array(["r", "r", "s", "s"] * 10)}
    is_test = np.arange(n) < 15
    found = naive_protocol(features, labels, is_test, seed=0)
    (apart, k), (judged, _), (random_fit, m), (random_judged, _), (again, _) = fitted
    assert apart.min() >= 15 > judged.max()
    assert set(random_fit.ravel()) & set(random_judged.ravel())
    assert k == m == found["n_fitted"]
    assert (again == random_fit).all()
    # Of both tasks together 20 % are judged, and no pair of one task is fitted on and judged.
    assert len(random_judged) / (len(random_judged) + len(random_fit)) >= 0.1


def test_fresh_splits_give_means_and_deviations(toy_bundle):
    gallery = toy_bundle.gallery
    values = []
    for seed in (3, 4):
        is_test = split_by_group(near_duplicate_groups(gallery.features.embedding), 0.2, seed)
        features = gallery.features.take(is_test)
        pairs = sample_pairs(gallery.labels["color"][is_test], 5692, seed)
        scores = SIMILARITIES["cosine"].score(features, features, None, None)[pairs.left, pairs.right]
        values.append(pair_metrics(scores, pairs.same)["pearson"])
    found = evaluate(toy_bundle, seeds=(3, 4), replicates=2)
    assert found["seeds"]["seeds"] == [3, 4]
    assert found["seeds"]["pairs"]["cosine"]["color"]["pearson"] == pytest.approx(
        [np.mean(values), np.std(values, ddof=1)], abs=2e-4
    )
    assert set(found["seeds"]["retrieval"]) == set(SIMILARITIES)
    assert "fresh splits (seeds 3, 4)" in tables(found)


def test_photos_of_another_source_judge_what_is_known_of_them(toy_bundle):
    gallery = toy_bundle.gallery
    test = np.flatnonzero(gallery.splits == "test")
    rest = np.flatnonzero(gallery.splits == "train")

    def part(rows, colors):
        return Gallery(
            gallery.ids[rows],
            {"type": gallery.labels["type"][rows], "color": colors},
            gallery.features.take(rows),
            [gallery.thumbnails[row] for row in rows],
            gallery.splits[rows],
        )

    colors = gallery.labels["color"][test].copy()
    colors[:5] = ""
    train = replace(toy_bundle, gallery=part(rest, gallery.labels["color"][rest]))
    found = evaluate_elsewhere(part(test, colors), train, replicates=20)
    assert found["n_queries"] == {"type": len(test), "color": len(test) - 5, "both": len(test) - 5}
    assert found["retrieval"]["cosine"]["type"]["map"][0] == toy_bundle.report["retrieval"]["cosine"]["type"]["map"][0]
    assert found["familiar"] == toy_bundle.report["confidence"]["familiarity"]["passes"]
    unknown = evaluate_elsewhere(part(test, np.full(len(test), "")), replace(train, familiarity=None), replicates=2)
    assert unknown["retrieval"]["cosine"].keys() == {"type"}
    assert unknown["familiar"] is None


def test_confidence_shares_match_a_worked_example(toy_bundle, monkeypatch):
    """Five queries, of which two unfamiliar; the pictures of one kind are like the test photos."""
    model = Familiarity(np.zeros(2, np.float32), np.array([[1, 0]], np.float32), threshold=0.5, accepts_from=0.6)
    near, far = [1.0, 0.0], [0.0, 1.0]  # familiarity 1 and 0

    def features(rows):
        dim = toy_bundle.gallery.features.color.shape[1]
        return Features(np.array(rows, np.float32), np.zeros((len(rows), dim), np.float32))

    test = features([near, near, near, far, far])
    matches = TopMatches(
        np.array([0.9, 0.4, 0.8, 0.9, 0.3], np.float32), np.array([True, False, True, False, False]), np.arange(5)
    )
    pictures = {
        "level": {"noise": features([far] * 20), "lookalike": features([near] * 20)},
        "judge": {"noise": features([far, far, far]), "lookalike": features([near])},
    }
    found = judge_confidence(model, Models(), test, test, {}, pictures, seed=0)
    assert found["no_match_below"] == {"familiarity": 0.5, "score": 0.5}
    assert found["familiarity"]["passes"] == 0.6
    assert found["familiarity"]["rejects"] == 0.75
    assert found["familiarity"]["kinds"] == {"noise": 1, "lookalike": 0}
    # Without noise the level is set on look-alikes, as high as allowed; without these on noise, at 0.
    assert found["familiarity"]["unseen_kinds"] == {"noise": 1, "lookalike": 0}

    method = replace(
        SIMILARITIES["attribute_agreement"],
        encode=lambda features, model: features.embedding,
        compare=lambda queries, items, model, label: queries[:, :1] * 0.7 + 0 * items.T[:1],
    )
    monkeypatch.setitem(SIMILARITIES, "attribute_agreement", method)
    top = {"attribute_agreement": {"type": matches}}
    found = judge_confidence(model, toy_bundle.models, test, test, top, pictures, seed=0)
    shares = found["methods"]["attribute_agreement"]["type"]
    assert shares["score_even"] == pytest.approx(
        {"level": 0.5, "passes": 0.6, "rejects_right": 0, "rejects_wrong": 2 / 3, "rejects_not_clothes": 0.75}
    )
    assert shares["together"] == pytest.approx(
        {"passes": 0.4, "rejects_right": 0, "rejects_wrong": 1, "rejects_not_clothes": 0.75}
    )


def test_pictures_without_clothes_are_repeatable_and_differ():
    first, again, other = not_clothes(2, 0), not_clothes(2, 0), not_clothes(2, 1)
    assert list(first) == list(KINDS)
    for kind, images in first.items():
        assert all(image.mode == "RGB" and image.size == (256, 256) for image in images)
        assert [image.tobytes() for image in images] == [image.tobytes() for image in again[kind]]
        assert images[0].tobytes() != images[1].tobytes()
        assert images[0].tobytes() != other[kind][0].tobytes()


def test_judging_needs_two_sides(toy_bundle):
    gallery = replace(toy_bundle.gallery, splits=np.full(len(toy_bundle.gallery), "train"))
    with pytest.raises(DataError, match="train and test photos, got 108 and 0"):
        two_sides(gallery, 0)


def test_numbers_read_well():
    assert plain({"a": np.float32(0.123456), "b": [np.nan, np.int64(3)], "c": np.inf}) == {
        "a": 0.1235,
        "b": [None, 3],
        "c": None,
    }
    assert [number(x) for x in (0.5, 1.0, -0.25, 0.9996, None)] == [".500", "1.00", "-.250", "1.00", "-"]
    assert figure([0.5, 0.4, 0.6]) == ".500 (.400 - .600)"
    assert figure([None, None, None]) == "-"

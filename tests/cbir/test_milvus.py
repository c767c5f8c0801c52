"""Searching a collection in Milvus, by milvus-lite: what is found is what the gallery in memory finds."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("pymilvus", reason="needs requirements-scale.txt")
pytest.importorskip("milvus_lite", reason="needs requirements-scale.txt")

from cbir import milvus
from cbir.__main__ import main
from cbir.bundle import load_bundle, save_bundle
from cbir.compare import compare
from cbir.editing import add_photos, only_with, remove_photos
from cbir.errors import CbirError, DataError, UnknownNameError
from cbir.explain import explain
from cbir.export import to_csv, to_json
from cbir.milvus import MilvusIndex
from cbir.search import Retriever, SearchOptions
from cbir.similarity import SIMILARITIES
from cbir.ui.thumbnails import Thumbnails
from tests.conftest import ToyBackbone, png, toy_photo

PHOTO = toy_photo("red", "shirt", 99)
WHOLE = 108  # photos of the toy gallery


@pytest.fixture(scope="module")
def some_unlabelled(toy_bundle):
    """The toy bundle, a third of whose photos have no labels."""
    gallery = toy_bundle.gallery
    rows = np.arange(len(gallery)) % 3 == 0
    labels = {name: np.where(rows, "", column) for name, column in gallery.labels.items()}
    return dataclasses.replace(toy_bundle, gallery=dataclasses.replace(gallery, labels=labels))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return f"milvus:{tmp_path_factory.mktemp('milvus') / 'photos.db'}"


@pytest.fixture(scope="module")
def index(some_unlabelled, address):
    index = MilvusIndex(address, some_unlabelled, create=True)
    index.add(some_unlabelled.gallery)
    yield index
    index.close()


@pytest.fixture(scope="module")
def here(some_unlabelled):
    return Retriever(some_unlabelled, ToyBackbone())


@pytest.fixture(scope="module")
def there(some_unlabelled, index):
    return Retriever(some_unlabelled, ToyBackbone(), index=index)


@pytest.fixture
def few(monkeypatch):
    """A shortlist that is shorter than the collection."""
    monkeypatch.setattr(milvus, "SHORTLIST", 4)


def same(result, expected):
    assert [match.id for match in result.matches] == [match.id for match in expected.matches]
    for one, other in zip(result.matches, expected.matches, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-6)
        assert dataclasses.replace(one, score=0, probability=0, likeness=0, color_share=0, guesses={}) == (
            dataclasses.replace(other, score=0, probability=0, likeness=0, color_share=0, guesses={})
        )
        assert {name: (g.value, g.is_sure) for name, g in one.guesses.items()} == (
            {name: (g.value, g.is_sure) for name, g in other.guesses.items()}
        )
    assert (result.doubt, result.query_id, result.n_hidden) == (expected.doubt, expected.query_id, expected.n_hidden)


@pytest.mark.parametrize(
    ("method", "task"),
    [
        *((method, "both") for method in SIMILARITIES),
        ("attribute_agreement", "any"),
        ("attribute_agreement", "color"),
        ("logistic_regression", "type"),
        ("logistic_regression", "any"),
    ],
)
def test_every_method_finds_what_it_finds_in_memory(here, there, method, task):
    options = SearchOptions(method, task=task, k=12)
    found = there.search(PHOTO, options)
    same(found, here.search(PHOTO, options))
    assert not found.is_shortlist  # all of so few are candidates


@pytest.mark.parametrize(
    "options",
    [
        SearchOptions("cosine", k=5),
        SearchOptions("cosine", k=5, least_similar=True),
        SearchOptions("inverse_euclidean", k=5),
        SearchOptions("logistic_regression", task="color", k=5),
        SearchOptions("attribute_agreement", task="any", k=5),
        SearchOptions("cosine", k=5, types=("shirt", "shoes"), colors=("red",)),
    ],
    ids=lambda options: f"{options.method}-{options.task}-{options.least_similar}-{len(options.types)}",
)
def test_inner_products_and_distances_are_exact_however_few_are_fetched(here, there, few, options):
    for id in ("red_shirt/3.png", "blue_pants/2.png"):
        found = there.search_by_id(id, options)
        same(found, here.search_by_id(id, options))
        assert not found.is_shortlist


@pytest.mark.parametrize("method", ["agreement_and_likeness", "random_forest"])
def test_a_shortlist_says_so(here, there, few, method):
    found = there.search_by_id("red_shirt/3.png", SearchOptions(method, k=3))
    assert found.is_shortlist
    assert json.loads(to_json(found, there.bundle))["is_shortlist"] is True
    expected = here.search_by_id("red_shirt/3.png", SearchOptions(method, k=3))
    assert not expected.is_shortlist
    if method == "agreement_and_likeness":
        same(found, expected)


@pytest.mark.parametrize(
    "options",
    [
        SearchOptions(types=("pants",), colors=("blue", "unsure"), k=200),
        SearchOptions(other_colors=True, k=200),
        SearchOptions(least_similar=True, k=7),
        SearchOptions(hide_near_duplicates=True, k=7),
        SearchOptions(weight=0.8, k=7),
        SearchOptions(words="blue shirt", k=7),
        SearchOptions(color="#c81e28", k=7),
    ],
)
def test_every_option_counts(here, there, options):
    if {"unsure"} & set(options.colors) and "unsure" not in here.index.classes("color"):
        options = dataclasses.replace(options, colors=("blue",))
    same(there.search(PHOTO, options), here.search(PHOTO, options))


def test_words_and_several_photos(here, there):
    words = SearchOptions(words="blue shirt", k=5)
    same(there.search(options=words), here.search(options=words))
    photos = [PHOTO, toy_photo("blue", "pants", 99)]
    for method in ("cosine", "agreement_and_likeness"):
        options = SearchOptions(method, k=9)
        same(
            there.search(photos, options, ids=["red_shirt/3.png"]),
            here.search(photos, options, ids=["red_shirt/3.png"]),
        )


def test_facets_filters_and_items(here, there):
    chosen = here.index.classes("type")[:1]
    for filters in (((), ()), (chosen, ()), (chosen, ["red"])):
        assert there.index.counts(*filters) == here.index.counts(*filters)
        assert there.index.counts(*filters, guessed=True) == here.index.counts(*filters, guessed=True)
        assert there.index.count(*filters) == here.index.count(*filters)
    assert len(there.index) == len(here.index) == WHOLE
    assert there.index.has_guesses
    with pytest.raises(UnknownNameError, match="unknown type"):
        there.index.count(["cape"], [])
    ids = ["blue_pants/2.png", "red_shirt/3.png"]
    items, expected = there.index.items(ids), here.index.items(ids)
    assert items.ids.tolist() == ids
    assert list(items.thumbnails) == list(expected.thumbnails)
    assert (items.features.color == expected.features.color.astype(np.float16)).all()
    assert [items.labels_of(row) for row in (0, 1)] == [expected.labels_of(row) for row in (0, 1)]
    with pytest.raises(UnknownNameError, match="108 in all"):
        there.index.items(["nothing.png"])
    assert there.index.found(["nothing.png", *ids]).ids.tolist() == ids


def test_a_sample_is_the_seeds_and_obeys_filters(there):
    ids = there.index.sample(3, 10).ids.tolist()
    assert ids == there.index.sample(3, 10).ids.tolist()
    assert len(set(ids)) == 10
    assert ids != there.index.sample(4, 10).ids.tolist()
    assert len(there.index.sample(3, 1000).ids) == WHOLE
    few = there.index.sample(3, 1000, ["shoes"], ["red"])
    assert len(few) == there.index.count(["shoes"], ["red"]) > 0
    assert there.index.random_id(5) == there.index.random_id(5)


def test_explanations_comparisons_exports_and_pictures(here, there):
    found, expected = (explain(retriever, "blue_pants/2.png", PHOTO) for retriever in (there, here))
    assert found.probability == pytest.approx(expected.probability, abs=1e-6)
    assert found.likeness == pytest.approx(expected.likeness, abs=1e-6)
    assert found.item_map is not None
    compared = compare(there, there.query(PHOTO), SearchOptions(k=5))
    assert list(compared.by_method) == list(SIMILARITIES)
    result, expected = (r.search(PHOTO, SearchOptions(k=5)) for r in (there, here))
    assert [line.split(",")[:2] for line in to_csv(result, there.bundle).splitlines()] == (
        [line.split(",")[:2] for line in to_csv(expected, here.bundle).splitlines()]
    )
    thumbnails = Thumbnails(there.index)
    assert thumbnails.url("blue_pants/2.png") == Thumbnails(here.index).url("blue_pants/2.png")
    assert only_with(there.index, there.bundle).report == there.bundle.report


def test_photos_are_added_and_removed(toy_bundle, tmp_path, capsys):
    folder = save_bundle(toy_bundle, tmp_path / "bundle")
    address = f"milvus:{tmp_path / 'photos.db'}"
    with pytest.raises(CbirError, match="there are no photos in milvus:"):
        MilvusIndex(address, toy_bundle)
    own = add_photos(folder, [], ToyBackbone(), index=address)
    assert len(own.added) == WHOLE
    assert len(add_photos(folder, [], ToyBackbone(), index=address).known) == WHOLE
    photos = tmp_path / "photos"
    photos.mkdir()
    odd = 'a "quoted" \\ ünlike 1.png'
    (photos / odd).write_bytes(png(toy_photo("red", "shirt", 99)))
    (photos / "broken.png").write_bytes(b"no picture")
    found = add_photos(folder, [photos], backbone := ToyBackbone(), index=address)
    assert (found.added, list(found.unreadable)) == ([odd], ["broken.png"])
    n = backbone.n_embedded
    assert add_photos(folder, [photos], backbone, index=address).known == [odd]
    assert backbone.n_embedded == n  # nothing is embedded again
    (photos / odd).write_bytes(png(toy_photo("blue", "pants", 98)))
    with pytest.raises(DataError, match="have other photos"):
        add_photos(folder, [photos], backbone, index=address)
    assert add_photos(folder, [photos], backbone, overwrite=True, index=address).replaced == [odd]
    with pytest.raises(UnknownNameError):
        remove_photos(folder, [odd, "nothing.png"], address)
    bundle = load_bundle(folder)
    assert len(bundle.gallery) == WHOLE  # stays as it is
    index = MilvusIndex(address, bundle)
    match = Retriever(bundle, ToyBackbone(), index=index).search(toy_photo("blue", "pants", 98)).matches[0]
    assert (match.id, match.is_same_picture, match.guesses["type"].value) == (odd, True, "pants")
    index.close()
    assert main(["remove", str(folder), odd, "--index", address]) == 0
    assert "removed: 1" in capsys.readouterr().out
    assert main(["search", "--id", "red_shirt/3.png", "--k", "2", "--bundle", str(folder), "--index", address]) == 0
    assert "red_shirt/" in capsys.readouterr().out
    assert main(["search", "--id", odd, "--bundle", str(folder), "--index", address]) == 2


def test_other_models_are_refused(index, some_unlabelled, address):
    attributes = some_unlabelled.attributes
    color = attributes.by_label["color"]
    other = dataclasses.replace(color, offset=color.offset + 1)
    models = dataclasses.replace(
        some_unlabelled.models,
        attributes=dataclasses.replace(attributes, by_label={**attributes.by_label, "color": other}),
    )
    with pytest.raises(CbirError, match="with other models"):
        MilvusIndex(address, dataclasses.replace(some_unlabelled, models=models))


def test_what_is_no_address_is_told(toy_bundle):
    with pytest.raises(CbirError, match="expected an index as milvus:URI"):
        MilvusIndex("photos.db", toy_bundle)


def test_nothing_of_it_is_imported_without_need():
    code = "import sys, app, cbir, cbir.__main__, cbir.ui; print([m for m in ('pymilvus', 'ray') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_what_milvus_cannot_do_is_one_line_that_tells_no_address(some_unlabelled, index, monkeypatch, caplog):
    monkeypatch.setattr(milvus, "COLLECTION", "gone")
    with pytest.raises(CbirError, match="Milvus does not answer as expected") as raised:
        index.items(["red_shirt/3.png"])
    assert index.address not in str(raised.value)
    assert index.address in caplog.text

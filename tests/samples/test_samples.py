"""The embedded default: what is committed is complete, small, and works with real weights."""

from collections import Counter

import pytest
from PIL import Image

from cbir.bundle import EMBEDDED, load_bundle
from cbir.search import Retriever, SearchOptions
from cbir.similarity import SIMILARITIES
from tests.conftest import SHARED

CATALOGUE = EMBEDDED.parent / "catalogue"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def embedded():
    return Retriever(load_bundle())


def test_the_catalogue_has_all_classes_and_is_small(embedded):
    pictures = sorted(CATALOGUE.glob("*/*.jpg"))
    classes = Counter(path.parent.name for path in pictures)
    assert len(classes) == 24
    assert min(classes.values()) >= 20
    assert {Image.open(path).size for path in pictures} == {(224, 224)}
    size = sum(path.stat().st_size for folder in (CATALOGUE, EMBEDDED) for path in folder.rglob("*") if path.is_file())
    assert size < 15e6
    assert sorted(embedded.gallery.ids) == [path.relative_to(CATALOGUE).as_posix() for path in pictures]


def test_the_bundle_says_that_it_is_drawn_and_has_every_method(embedded):
    assert embedded.bundle.manifest.dataset.is_drawn is True
    assert {method.name for method in embedded.methods} == set(SIMILARITIES)


def test_a_committed_picture_finds_itself_and_its_like(embedded):
    """With the real network: the bundle was made by the weights that are installed."""
    path = CATALOGUE / "red_dress" / "red_dress_03.jpg"
    first = embedded.search(path, SearchOptions("cosine", k=1)).matches[0]
    assert first.id == "red_dress/red_dress_03.jpg"
    assert first.score > 0.99
    matches = embedded.search(path, SearchOptions(k=10)).matches
    assert sum(match.labels == {"type": "dress", "color": "red"} for match in matches) >= 9


@pytest.mark.skipif(not (SHARED / "data/queries").is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("type", ["dress", "pants", "shirt", "shoes", "shorts"])
def test_real_photos_find_drawings_of_their_type(embedded, type):
    queries = SHARED / "data/queries" / type
    found = [
        sum(m.labels["type"] == type for m in embedded.search(path, SearchOptions(task="type", k=10)).matches)
        for path in sorted(queries.glob("*.jpg"))[:12]
    ]
    assert sum(found) / (10 * len(found)) > 0.6


def test_real_photos_without_clothes_get_no_confident_match(embedded):
    from sklearn.datasets import load_sample_images

    for pixels in load_sample_images().images:  # a temple, a flower
        for method in SIMILARITIES:
            assert not embedded.search(Image.fromarray(pixels), SearchOptions(method)).is_confident

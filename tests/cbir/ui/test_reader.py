"""Photos of many at once: together through the network, one at a time in memory, and each only once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cbir.errors import ImageError
from cbir.search import Retriever
from cbir.ui import reader as reading
from cbir.ui.reader import FairReader
from tests.conftest import ToyBackbone, png, toy_photo


class SlowBackbone(ToyBackbone):
    """Waits until it is told to begin, and notes how many photos come together."""

    def __init__(self):
        super().__init__()
        self.begin = threading.Event()
        self.batches = []

    def embed(self, images):
        self.batches.append(len(images))
        assert self.begin.wait(10)
        return super().embed(images)


@pytest.fixture
def fair(toy_bundle):
    return Retriever(toy_bundle, SlowBackbone(), FairReader())


def test_photos_that_come_while_others_are_embedded_go_through_the_network_together(fair, retriever):
    photos = [png(toy_photo("red", "shirt", n)) for n in range(7)]
    with ThreadPoolExecutor(7) as pool:
        first = pool.submit(fair.query, photos[0])
        while not fair.backbone.batches:
            pass
        others = [pool.submit(fair.query, photo) for photo in photos[1:]]
        while len(fair.reader._jobs) < 6:
            pass
        fair.backbone.begin.set()
        queries = [first.result(10), *(other.result(10) for other in others)]
    assert fair.backbone.batches == [1, 6]
    for photo, query in zip(photos, queries, strict=True):
        alone = Retriever(retriever.bundle, ToyBackbone()).query(photo)
        np.testing.assert_array_equal(query.features.embedding, alone.features.embedding)


def test_a_photo_that_comes_again_is_not_embedded_again(fair, tmp_path):
    fair.backbone.begin.set()
    photo = png(toy_photo("red", "shirt", 1))
    path = tmp_path / "photo.png"
    path.write_bytes(photo)
    first = fair.query(path).features
    np.testing.assert_array_equal(fair.query(path).features.embedding, first.embedding)
    assert fair.backbone.batches == [1]
    fair.query(path, crop=[0, 0, 0.5, 1])
    fair.query(photo)
    fair.query(bytes(photo))
    assert fair.backbone.batches == [1, 1, 1]


def test_no_more_photos_are_kept_than_stated(fair, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "PHOTOS_KEPT", 2)
    fair.backbone.begin.set()
    for n in (0, 1, 2, 0):
        path = tmp_path / f"{n}.png"
        path.write_bytes(png(toy_photo("red", "shirt", n)))
        fair.query(path)
    assert len(fair.reader._kept) == 2


@pytest.mark.parametrize("crop", [5, [[0], 0, 1, 1], "abcd", [0, 0, 2, 2]])
def test_a_crop_that_is_none_is_an_error_of_the_photo(fair, tmp_path, crop):
    path = tmp_path / "photo.png"
    path.write_bytes(png(toy_photo("red", "shirt", 1)))
    with pytest.raises(ImageError, match="expected a crop"):
        fair.query(path, crop=crop)


def test_what_the_network_raises_reaches_whoever_asked(fair, monkeypatch):
    def broken(images):
        raise RuntimeError("broken")

    monkeypatch.setattr(fair.backbone, "embed", broken)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            fair.query(toy_photo("red", "shirt", 1))


def test_one_photo_is_decoded_at_a_time(fair, monkeypatch):
    fair.backbone.begin.set()
    now, most = [0], [0]
    lock = threading.Lock()
    load = reading.Reader.picture

    def watched(self, photo, crop=None):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        try:
            return load(self, photo, crop)
        finally:
            with lock:
                now[0] -= 1

    monkeypatch.setattr(reading.Reader, "picture", watched)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fair.query, [png(toy_photo("red", "shirt", n)) for n in range(16)]))
    assert most == [1]
    assert sum(fair.backbone.batches) == 16


def test_on_zerogpu_each_photo_is_embedded_by_the_thread_that_asks(toy_bundle, monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    fair = Retriever(toy_bundle, SlowBackbone(), FairReader())
    fair.backbone.begin.set()
    threads = []
    embed = fair.backbone.embed
    monkeypatch.setattr(
        fair.backbone, "embed", lambda images: threads.append(threading.current_thread()) or embed(images)
    )
    fair.query(toy_photo("red", "shirt", 1))
    assert threads == [threading.current_thread()]

import numpy as np
import pytest

from cbir.errors import CbirError
from cbir.features.index import SHARD_SIZE, index_photos
from cbir.files import cache_root
from tests.conftest import ToyBackbone, png, toy_photo


@pytest.fixture
def photos():
    return [(f"{n}.png", png(toy_photo("red", "shirt", n))) for n in range(SHARD_SIZE + 5)]


def test_unreadable_photos_are_listed_and_the_rest_kept(photos, tmp_path):
    some = [*photos[:2], ("broken.png", photos[2][1][:100]), ("gone.png", tmp_path / "gone.png"), photos[3]]
    indexed = index_photos(some, len(some), ToyBackbone())
    assert indexed.ids.tolist() == ["0.png", "1.png", "3.png"]
    assert list(indexed.unreadable) == ["broken.png", "gone.png"]
    assert len(indexed.features) == len(indexed.thumbnails) == 3


def test_nothing_readable_is_an_error():
    with pytest.raises(CbirError, match="at least one readable photo"):
        index_photos([("a", b"")], 1, ToyBackbone())


def test_a_killed_run_continues_where_it_stopped(photos):
    class Killed(BaseException):
        pass

    def until_killed():
        yield from photos[: SHARD_SIZE + 2]
        raise Killed

    first, second, third = ToyBackbone(), ToyBackbone(), ToyBackbone()
    with pytest.raises(Killed):
        index_photos(until_killed(), len(photos), first)
    assert first.n_embedded == SHARD_SIZE
    index_photos(photos, len(photos), second)
    assert second.n_embedded == len(photos) - SHARD_SIZE
    again = index_photos(photos, len(photos), third)
    assert third.n_embedded == 0
    fresh = ToyBackbone()
    fresh.fingerprint = "1" * 64
    expected = index_photos(photos, len(photos), fresh)
    assert fresh.n_embedded == len(photos)  # another backbone shares nothing
    np.testing.assert_array_equal(again.features.embedding, expected.features.embedding)
    np.testing.assert_array_equal(again.features.color, expected.features.color)
    assert again.thumbnails == expected.thumbnails


def test_renamed_and_repeated_photos_are_embedded_once(photos):
    backbone = ToyBackbone()
    some = [("a", photos[0][1]), ("b", photos[0][1])]
    assert index_photos(some, 2, backbone).ids.tolist() == ["a", "b"]
    assert backbone.n_embedded == 1


def test_a_damaged_shard_is_embedded_again(photos):
    index_photos(photos, len(photos), ToyBackbone())
    for shard in cache_root().rglob("*.parquet"):
        shard.write_bytes(b"damaged")
    backbone = ToyBackbone()
    index_photos(photos, len(photos), backbone)
    assert backbone.n_embedded == len(photos)

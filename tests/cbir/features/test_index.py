import numpy as np
import pyarrow.parquet as pq
import pytest

from cbir.errors import CbirError
from cbir.features import extract
from cbir.features.backbone import BATCH_SIZE
from cbir.features.index import AHEAD, SHARD_SIZE, index_photos
from cbir.files import cache_root
from cbir.images import load_image, thumbnail
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
    assert list(again.thumbnails) == list(expected.thumbnails)


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


def test_photos_that_come_twice_and_cannot_be_read_are_both_listed(photos):
    some = [("a", photos[0][1]), ("b", b"no photo"), ("c", b"no photo"), ("d", photos[1][1])]
    indexed = index_photos(some, len(some), ToyBackbone())
    assert indexed.ids.tolist() == ["a", "d"]
    assert list(indexed.unreadable) == ["b", "c"]


def test_features_are_those_of_photos_one_by_one_and_fill_half_the_memory(photos):
    backbone = ToyBackbone()
    indexed = index_photos(photos, len(photos), backbone)
    assert indexed.features.embedding.dtype == np.float16
    for row in (0, 77, len(photos) - 1):
        one = extract([load_image(photos[row][1])], backbone)
        np.testing.assert_array_equal(indexed.features.single().take([row]).embedding, one.embedding)
        np.testing.assert_array_equal(indexed.features.single().take([row]).color, one.color)
        assert indexed.thumbnails[row] == thumbnail(load_image(photos[row][1]))


def test_photos_are_read_a_few_batches_ahead_of_the_network(photos):
    """Memory does not grow with the number of photos."""
    taken = []

    class Slow(ToyBackbone):
        def forward(self, batch):
            taken.append(n_read[0] - self.n_embedded)
            return super().forward(batch)

    n_read = [0]

    def counted():
        for photo in photos:
            n_read[0] += 1
            yield photo

    index_photos(counted(), len(photos), Slow())
    assert max(taken) <= AHEAD + BATCH_SIZE


def test_the_cache_reads_the_features_of_the_photos_asked_for_alone(photos, monkeypatch):
    index_photos(photos, len(photos), ToyBackbone())
    read = []
    monkeypatch.setattr(
        pq,
        "read_table",
        lambda path, columns, _read=pq.read_table: read.append(columns) or _read(path, columns=columns),
    )
    index_photos(photos[-2:], 2, ToyBackbone())
    assert read == [["key"], ["key"], ["embedding", "color", "learned"]]  # two shards, of which one is needed

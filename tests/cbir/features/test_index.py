import errno
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cbir.errors import CbirError
from cbir.features import extract
from cbir.features.backbone import BATCH_SIZE
from cbir.features.cache import SHARD_SIZE
from cbir.features.index import AHEAD, index_photos
from cbir.files import cache_root
from cbir.images import load_image, thumbnail
from tests.conftest import ROOT, ToyBackbone, png, toy_photo
from tests.try_faults import try_flips


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


@pytest.fixture
def few(photos, monkeypatch):
    """Five photos, in two shards."""
    monkeypatch.setattr("cbir.features.index.BATCH_SIZE", 3)
    monkeypatch.setattr("cbir.features.cache.SHARD_SIZE", 3)
    return photos[:5]


def shards():
    return sorted(cache_root().rglob("*.parquet"))


def indexed(photos):
    """How many photos had to be embedded, and what came of them."""
    backbone = ToyBackbone()
    found = index_photos(photos, len(photos), backbone)
    return backbone.n_embedded, found.features.embedding


def test_what_is_damaged_is_embedded_again_and_the_cache_is_whole_then(few, caplog):
    _, expected = indexed(few)
    for shard in shards():
        shard.write_bytes(b"damaged")
    n, embedding = indexed(few)
    assert n == len(few)
    np.testing.assert_array_equal(embedding, expected)
    assert caplog.text.count("a file of the cache is not used, its photos are embedded again") == 2
    assert indexed(few)[0] == 0


def test_a_changed_number_is_noticed(few):
    """One that a parquet file of its own would not notice."""
    _, expected = indexed(few)
    for shard in shards():
        table = pq.read_table(shard)
        changed = [bytes([row[0] ^ 1]) + row[1:] for row in table["embedding"].to_pylist()]
        pq.write_table(table.set_column(1, "embedding", pa.array(changed)), shard)
    n, embedding = indexed(few)
    assert n == len(few)
    np.testing.assert_array_equal(embedding, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop_columns(["learned"]),
        lambda table: table.rename_columns(["id", *table.column_names[1:]]),
        lambda table: table.set_column(1, "embedding", pa.array([b"1234"] * len(table))),
        lambda table: table.set_column(1, "embedding", pa.array([b"123"] * len(table))),
        lambda table: table.set_column(1, "embedding", pa.array([1.0] * len(table))),
        lambda table: table.set_column(1, "embedding", pa.array([None] * len(table), pa.binary())),
    ],
)
def test_files_of_another_layout_are_left_alone(few, change):
    indexed(few)
    others = []
    for shard in shards():
        pq.write_table(change(pq.read_table(shard)), shard)
        others.append(shard.rename(shard.with_name(f"{hashlib.sha256(shard.read_bytes()).hexdigest()}.parquet")))
    n, _ = indexed(few)
    assert n == len(few)
    assert all(other.exists() for other in others)
    assert indexed(few)[0] == 0


def test_files_that_may_not_be_read_stay(few, monkeypatch, caplog):
    indexed(few)
    before = shards()
    read = Path.read_bytes

    def refuse(path):
        if path.suffix == ".parquet":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert indexed(few)[0] == len(few)
    assert set(before) <= set(shards())
    assert "(Permission denied)" in caplog.text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_a_full_or_broken_disk_is_one_line_and_leaves_nothing(few, monkeypatch, number):
    def fail(path, data):
        path.write_text("half")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(
        CbirError, match=rf"cannot write to the cache in .* \({os.strerror(number)}\): .*set CBIR_CACHE"
    ):
        indexed(few)
    assert not [path for path in cache_root().rglob("*") if path.is_file()]


def test_a_cache_that_is_a_file_is_one_line(few, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("CBIR_CACHE", str(tmp_path / "file"))
    with pytest.raises(CbirError, match="cannot write to the cache"):
        index_photos(few, len(few), ToyBackbone())


OTHER_USER = """
import io, os, sys
import numpy as np
from PIL import Image
from cbir.features import extract
from cbir.features.index import index_photos

class Backbone:
    name, dim, fingerprint, color_network, n = "toy", 3, "0" * 64, None, 0
    def prepare(self, images):
        return np.stack([np.asarray(image, np.float32)[:1, :1].transpose(2, 0, 1) for image in images])
    def forward(self, batch):
        self.n += len(batch)
        return batch[:, :, 0, 0]

def png(number):
    file = io.BytesIO()
    Image.new("RGB", (20, 20), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()

sys.stderr = sys.stdout
for who, *numbers in (part.split() for part in sys.argv[1:]):
    if who == "other" and os.getuid() == 0:
        index_photos([("a", png(0))], 1, Backbone())  # what it imports lies where only root may read
        os.setgroups([]), os.setgid(65534), os.setuid(65534)
    backbone = Backbone()
    found = index_photos([(n, png(int(n))) for n in numbers], len(numbers), backbone)
    print("embedded", backbone.n, found.features.embedding[:, 0].tolist())
    if who == "private":
        for folder, _, names in os.walk(os.environ["CBIR_CACHE"]):
            for name in names:
                os.chmod(os.path.join(folder, name), 0o600)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may act for two users")
@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_two_users_share_a_cache(mode):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's own are for one user, and so are the page's
        root = Path(folder) / "cache"
        root.mkdir()
        for place, allowed in ((Path(folder), 0o755), (root, mode)):
            place.chmod(allowed)
        steps = ["private 1 2", "first 0 3 4", "other 0 3 4", "other 1 2", "other 1 2"]
        done = subprocess.run(
            [sys.executable, "-c", OTHER_USER, *steps],
            cwd=ROOT,
            env={**os.environ, "CBIR_CACHE": str(root)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        n_again = 2 if mode == 0o755 else 0  # where the other user may write nowhere, nothing is kept
        lines = [line for line in done.stdout.splitlines() if line.startswith("embedded")]
        assert lines == [
            "embedded 2 [1.0, 2.0]",
            "embedded 3 [0.0, 3.0, 4.0]",
            "embedded 0 [0.0, 3.0, 4.0]",  # the first user's file serves both
            "embedded 2 [1.0, 2.0]",  # but for the one that is theirs alone
            f"embedded {n_again} [1.0, 2.0]",
        ]
        assert ("features are not kept" in done.stdout) == (mode == 0o755)
        assert "(Permission denied)" in done.stdout
        kept = [path.stat().st_uid for path in root.rglob("*.parquet")]
        assert sorted(kept) == ([0, 0] if mode == 0o755 else [0, 0, 65534])


def test_changed_caches_are_noticed(tmp_path, monkeypatch):
    """The same for changes at random; `python -m tests.try_faults` tries more."""
    monkeypatch.setenv("CBIR_CACHE", str(tmp_path / "flips"))
    counts = try_flips(10)
    assert counts.total() == 10
    assert all(kind.endswith("survived") for kind in counts), counts

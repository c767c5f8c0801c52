"""Datasets on the Hub, against a stand-in over HTTP: what goes up comes down again, and memory stays flat."""

import json
import os
import subprocess
import sys

import datasets
import pytest
from huggingface_hub import DatasetCard
from PIL import Image

from cbir.errors import DataError, HubError
from tests.conftest import ROOT, png, toy_photo
from tests.hub_server import TOKEN, Repo
from tests.photo_files import fill
from train import prepare_data
from train.data.dataset import read_dataset
from train.hub.dataset import DatasetRepo, push_dataset

REPO = "user/toy"
# The Hub's client hands its HTTP library a file in a way that the library means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def head(hub):
    return hub.repos["datasets", REPO].commits[-1]


def test_a_dataset_goes_up_in_one_private_commit_and_comes_down_again(hub, photos, capsys):
    assert prepare_data.main(["--data", str(photos), "--push", REPO, "--license", "cc0-1.0"]) == 0
    sha, files = head(hub)
    assert f"published {REPO}@{sha}" in capsys.readouterr().out
    assert hub.repos["datasets", REPO].private
    assert len(hub.repos["datasets", REPO].commits) == 2  # the one that creates a repository, and ours
    local, pulled = read_dataset(photos), read_dataset(REPO, sha)
    for column in ("id", "color", "type"):
        assert pulled[column][:] == local[column][:]
    assert pulled[0]["image"]["bytes"] == (photos / local[0]["id"]).read_bytes()
    loaded = datasets.load_dataset(REPO, revision=sha)
    assert {name: len(split) for name, split in loaded.items()} == {"train": 58, "test": 14}
    assert isinstance(loaded["train"].features["image"], datasets.Image)
    assert loaded["train"].features["color"].names == ["blue", "red", "white"]
    assert isinstance(loaded["train"][0]["image"], Image.Image)
    hub.requests.clear()
    prepare_data.main(["--data", str(photos), "--push", REPO, "--license", "cc0-1.0"])
    assert hub.changes() == []
    assert len(files) == 5  # a shard of either split, manifest, card, and what a new repository holds


def test_the_card_says_what_the_dataset_holds(hub, photos):
    push_dataset(read_dataset(photos), DatasetRepo(REPO, "Toy photos", licence="cc0-1.0", seed=3))
    card = DatasetCard(head(hub)[1]["README.md"].decode())
    assert (card.data.license, card.data.pretty_name) == ("cc0-1.0", "Toy photos")
    assert card.data.size_categories == ["n<1K"]
    assert [f["split"] for f in card.data.configs[0]["data_files"]] == ["train", "test"]
    cells = [line.strip("| ").split("|") for line in card.text.splitlines() if line.startswith("| ")]
    assert [[cell.strip() for cell in row] for row in cells] == [
        ["pants", "shirt", "shoes", "total"],
        *([color, "8", "8", "8", "24"] for color in ("blue", "red", "white")),
        ["total", "24", "24", "24", "72"],
    ]
    assert "72 photos of clothes" in card.text
    assert "58 in the split `train`, 14 in `test`" in card.text
    assert "drawn with seed 3" in card.text
    assert "stated as `cc0-1.0`" in card.text


def test_photos_that_look_alike_stay_on_one_side_and_broken_ones_are_left_out(hub, photos, tmp_path, capsys):
    folder = tmp_path / "red_shirt"
    folder.mkdir()
    for n in range(6):
        image = Image.open(photos / "red_shirt" / f"{n}.png")
        image.save(folder / f"{n}.png")
        image.save(folder / f"{n}.jpg", quality=60)
    (folder / "broken.png").write_bytes(b"no picture")
    prepare_data.main(["--data", str(tmp_path), "--push", REPO, "--test-share", "0.5"])
    assert "left out red_shirt/broken.png: " in capsys.readouterr().out
    loaded = datasets.load_dataset(REPO)
    sides = {name: {id_.split("/")[-1].split(".")[0] for id_ in split["id"]} for name, split in loaded.items()}
    assert sides["train"] | sides["test"] == {*"012345"}
    assert not sides["train"] & sides["test"]
    readme = head(hub)[1]["README.md"].decode()
    assert "1 photos could not be read" in readme
    assert "The licence of the photos was not stated" in readme


def test_large_datasets_are_several_shards_of_small_row_groups(hub, tmp_path, monkeypatch):
    files = {f"{n}.png": png(toy_photo("red", "shirt", n)) for n in range(10)}
    n_bytes = sum(map(len, files.values()))
    monkeypatch.setattr("train.data.parquet.SHARD_BYTES", n_bytes // 3)
    monkeypatch.setattr("train.data.parquet.GROUP_PHOTOS", 2)
    push_dataset(read_dataset(fill(tmp_path / "photos", files)), DatasetRepo(REPO, "ten", test_share=0.01))
    sha, names = head(hub)
    shards = sorted(name for name in names if name.startswith("data/"))
    assert shards == [f"data/train-{n:05d}-of-{len(shards):05d}.parquet" for n in range(len(shards))]
    assert len(shards) in (3, 4)
    assert json.loads(names["manifest.json"])["counts"] == {"train": 10, "test": 0}
    pulled = read_dataset(REPO, sha)
    assert [image["bytes"] for image in pulled["image"]] == [files[id] for id in pulled["id"]]


def test_a_dataset_never_replaces_something_else(hub, photos):
    repo = hub.repos["datasets", REPO] = Repo(private=False)
    repo.commit({"data.csv": b"a,b\n"})
    with pytest.raises(HubError, match=r"holds something else \(data.csv\)"):
        prepare_data.main(["--data", str(photos), "--push", REPO])


def test_a_dataset_without_a_readable_photo_is_refused(hub, tmp_path):
    with pytest.raises(DataError, match="none can be read"):
        push_dataset(read_dataset(fill(tmp_path, {"a.png": b"", "b.png": b"no photo"})), DatasetRepo(REPO, "broken"))
    assert hub.repos == {}


PUSH = """
import resource, sys
from train.data.dataset import read_dataset
from train.hub.dataset import DatasetRepo, push_dataset

peaks = []
for folder in sys.argv[1:]:
    push_dataset(read_dataset(folder), DatasetRepo("user/" + folder.rpartition("/")[2], "photos"))
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
print(peaks[1] - peaks[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_memory_does_not_grow_with_the_photos(hub, tmp_path):
    filler = os.urandom(400_000)  # behind the picture, where nothing reads it
    for name, n_photos in (("few", 50), ("many", 250)):
        pictures = ((n, png(toy_photo("red", "shirt", n % 50).resize((32, 32)))) for n in range(n_photos))
        fill(tmp_path / name, {f"{n}.png": data + filler + n.to_bytes(2, "big") for n, data in pictures})
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-W", "ignore", "-c", PUSH, str(tmp_path / "few"), str(tmp_path / "many")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    n_bytes = sum(len(data) for name, data in hub.repos["datasets", "user/many"].commits[-1][1].items())
    assert n_bytes > 100e6
    assert int(done.stdout.splitlines()[-1]) < n_bytes / 5

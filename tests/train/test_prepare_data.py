"""The command that reads photos, counts them and writes a dataset."""

import datasets
import pytest

from cbir.errors import DataError
from tests.photo_files import CLASSES, fill, photo
from train.data.dataset import photo_source
from train.prepare_data import main


def test_the_command_counts_and_writes(tmp_path, capsys):
    folder = fill(tmp_path / "data", {**CLASSES, "loose.png": photo(), "broken.png": b"no photo", "readme.txt": ""})
    out = tmp_path / "new" / "out"
    assert main(["--data", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-2:] == ["photos: 5; without label: 2; left out: 1", f"wrote {out}"]
    assert printed.splitlines()[:2] == [f"left out of {folder}:", "  1 not photos: readme.txt"]
    assert [line.split() for line in printed.splitlines()[2:-2]] == [
        ["unknown", "dress", "shirt", "total"],
        ["unknown", "2", "0", "0", "2"],
        ["blue", "0", "0", "1", "1"],
        ["red", "0", "2", "0", "2"],
        ["total", "2", "2", "1", "5"],
    ]
    assert [path.name for path in out.parent.iterdir()] == ["out"]  # nothing partial is left
    images = datasets.load_from_disk(str(out))["image"][:]
    assert b"no photo" in [photo_source(image) for image in images]  # whether it can be read is for others to say
    with pytest.raises(DataError, match="exists"):
        main(["--data", str(folder), "--out", str(out)])


@pytest.mark.parametrize(
    ("options", "message"),
    [([], "give --out FOLDER, --push user/name, or both"), (["--out", "x", "--test-share", "1"], "between 0 and 1")],
)
def test_options_that_do_not_fit_are_refused(options, message, capsys):
    with pytest.raises(SystemExit):
        main(["--data", "nowhere", *options])
    assert message in capsys.readouterr().err

"""Files are written whole or not at all."""

import pytest

from cbir.files import cache_root, replacing


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [lambda path: path.write_text("half"), lambda path: path.mkdir()])
def test_a_failed_write_leaves_the_old_file_alone(tmp_path, write):
    path = tmp_path / "file"
    path.write_text("old")

    def fail():
        with replacing(path) as aside:
            write(aside)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_moved_into_place_when_it_is_whole(tmp_path):
    with replacing(tmp_path / "folder") as aside:
        aside.mkdir()
        (aside / "file").write_text("new")
        assert not (tmp_path / "folder").exists()
    assert (tmp_path / "folder" / "file").read_text() == "new"


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("CBIR_CACHE", str(tmp_path / "cache"))
    assert cache_root() == tmp_path / "cache"
    monkeypatch.delenv("CBIR_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "apparel-cbir"

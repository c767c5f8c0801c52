"""Files are written whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cbir.bundle import check_out
from cbir.errors import CbirError
from cbir.files import _machine, cache_root, check_writable, recover, replacing


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


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "folder"
    for text in ("old", "new"):
        with replacing(path) as aside:
            aside.mkdir()
            (aside / "file").write_text(text)
    assert (path / "file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def without_exchange(monkeypatch):
    """As on systems that cannot put one folder into the place of another in one step."""
    monkeypatch.setattr("cbir.files.ctypes.CDLL", lambda *args, **kwargs: object())


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def write(folder, text):
    with replacing(folder) as aside:
        aside.mkdir()
        (aside / "file").write_text(text)


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_a_folder_whose_replacing_was_killed_is_the_old_or_the_new(tmp_path, monkeypatch, without_exchange, killed_at):
    class Killed(BaseException):
        pass

    path, steps, pid = tmp_path / "folder", [], dead_process()
    path.mkdir()
    (path / "file").write_text("old")

    def until_killed(step):
        def wrapped(*args):
            if len(steps) + 1 == killed_at:
                raise Killed
            steps.append(args)
            return step(*args)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr("cbir.files.os.getpid", lambda: pid)
        patch.setattr("cbir.files.Path.rename", until_killed(Path.rename))
        patch.setattr("cbir.files._remove", until_killed(lambda path: None))
        with pytest.raises(Killed):
            write(path, "new")
    recover(path)
    assert (path / "file").read_text() == ("old" if killed_at < 3 else "new")
    write(path, "newer")
    assert (path / "file").read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_processes_left_goes_at_the_next_writing_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    mine = tmp_path / f".file.{_machine()}-{os.getpid()}-01234567.part"
    dead = tmp_path / f".file.{_machine()}-{dead_process()}-01234567.part"
    elsewhere = tmp_path / ".file.othermachine-1-01234567.part"
    older = tmp_path / ".file.othermachine-1-89abcdef.part"
    others = tmp_path / ".file.notes.part"
    for one in (mine, dead, elsewhere, older, others):
        one.write_text("half")
    os.utime(older, (0, 0))
    with replacing(path) as aside:
        aside.write_text("whole")
    assert set(tmp_path.iterdir()) == {path, mine, elsewhere, others}


def test_a_name_may_be_as_long_as_names_may_be(tmp_path):
    path = tmp_path / ("é" * 127)
    with replacing(path) as aside:
        aside.write_text("whole")
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_told_before(tmp_path):
    check_writable(tmp_path / "new" / "newer")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(CbirError, match="file is not a folder"):
        check_writable(tmp_path / "file" / "new")
    with pytest.raises(CbirError, match="File name too long"):
        check_writable(tmp_path / ("x" * 300) / "new")
    with pytest.raises(CbirError, match="File name too long"):
        check_out(tmp_path / ("x" * 300))
    if Path("/proc/self").exists():  # no file system takes files there, even of root
        with pytest.raises(CbirError, match="cannot write to /proc/new"):
            check_out(Path("/proc/new/bundle"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    """No HOME, and no user of that number."""
    for name in ("CBIR_CACHE", "HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("cbir.files.tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("cbir.files._user", lambda: 4321)
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    return tmp_path / "apparel-cbir-4321"


def test_without_a_home_the_cache_is_in_the_temporary_folder(homeless):
    assert cache_root() == homeless


def test_a_folder_of_another_user_in_the_temporary_folder_is_not_taken(homeless):
    homeless.mkdir()
    with pytest.raises(CbirError, match="another user's: set CBIR_CACHE"):
        cache_root()


def test_a_cache_in_a_home_that_is_missing_is_one_line(monkeypatch):
    monkeypatch.setenv("CBIR_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(CbirError, match="set it to a whole path"):
        cache_root()

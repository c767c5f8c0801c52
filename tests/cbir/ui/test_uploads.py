"""Temporary files are bounded in total, and go with the app."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cbir.ui import limits
from cbir.ui.uploads import Uploads
from tests.conftest import ROOT


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "uploads"
    path.mkdir()
    return path


def upload(folder, name, size=100):
    """What Gradio writes and answers."""
    file = folder / name / "photo.jpg"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"x" * size)
    return str(file)


def there(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_oldest_of_whoever_holds_most_goes_first(folder, monkeypatch):
    monkeypatch.setattr(limits, "UPLOADS_TOTAL", 500)
    uploads = Uploads(folder)
    uploads.add("honest", [upload(folder, "h1")])
    for n in range(6):
        uploads.add("greedy", [upload(folder, f"g{n}")])
    assert there(folder) == ["g2", "g3", "g4", "g5", "h1"]
    uploads.add("greedy", [upload(folder, "g6", 300)])
    assert there(folder) == ["g5", "g6", "h1"]


def test_the_number_of_uploads_is_bounded_too(folder, monkeypatch):
    monkeypatch.setattr(limits, "UPLOADS_NUMBER", 2)
    uploads = Uploads(folder)
    for n in range(4):
        uploads.add("a", [upload(folder, f"{n}", 0)])
    assert there(folder) == ["2", "3"]


def test_thousands_of_tiny_uploads_push_out_no_photo_of_others(folder, monkeypatch):
    monkeypatch.setattr(limits, "UPLOADS_NUMBER", 3)
    uploads = Uploads(folder)
    uploads.add("honest", [upload(folder, "photo", 1000)])
    for n in range(5):
        uploads.add("greedy", [upload(folder, f"{n}", 1)])
    assert there(folder) == ["3", "4", "photo"]


def test_the_same_content_lies_under_few_names(folder, monkeypatch):
    monkeypatch.setattr(limits, "NAMES_PER_UPLOAD", 2)
    uploads = Uploads(folder)
    for n in range(4):
        file = Path(upload(folder, "same")).rename(folder / "same" / f"{n}.jpg")
        os.utime(file, (n, n))
        uploads.add("a", [str(file)])
    assert there(folder / "same") == ["2.jpg", "3.jpg"]


def test_the_same_content_counts_once_and_for_who_sent_it_last(folder, monkeypatch):
    monkeypatch.setattr(limits, "UPLOADS_TOTAL", 250)
    uploads = Uploads(folder)
    for client in "aab":
        uploads.add(client, [upload(folder, "same")])
    uploads.add("a", [upload(folder, "other")])
    assert there(folder) == ["other", "same"]


def test_what_is_old_or_was_cut_off_goes(folder, monkeypatch):
    uploads = Uploads(folder)
    uploads.add("a", [upload(folder, "old")])
    (folder / "tmpabc").write_bytes(b"cut off")
    (folder / "tmpnew").write_bytes(b"arriving")
    os.utime(folder / "tmpabc", (time.time() - 1000,) * 2)
    monkeypatch.setattr(limits, "UPLOADS_LOOKED_AT", 0.0)
    monkeypatch.setattr(limits, "UPLOADS_KEPT", 0.0)
    uploads.add("a", [])
    assert there(folder) == ["tmpnew"]


def test_what_lies_elsewhere_is_none_of_its_business(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "UPLOADS_TOTAL", 0)
    other = upload(tmp_path, "elsewhere")
    Uploads(folder).add("a", [other, "", "/", "\0"])
    assert Path(other).exists()


def test_nothing_is_left_behind_not_even_by_those_who_were_killed(tmp_path):
    (tmp_path / "apparel-cbir-999999999-killed").mkdir()
    (tmp_path / f"apparel-cbir-{os.getpid()}-alive").mkdir()
    script = (
        "import signal, tempfile, time; from cbir.temporary import temporary_folder; "
        "signal.signal(signal.SIGTERM, signal.default_int_handler); "
        "folder = temporary_folder(); (folder / 'gradio' / 'photo').write_text('x'); tempfile.mkdtemp(); "
        "print(folder, flush=True); time.sleep(30)"
    )
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    folder = Path(process.stdout.readline().strip())
    assert folder.parent == tmp_path
    assert there(tmp_path) == sorted([f"apparel-cbir-{os.getpid()}-alive", folder.name])
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    process.stdout.close()
    assert there(tmp_path) == [f"apparel-cbir-{os.getpid()}-alive"]

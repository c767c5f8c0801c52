"""Where nothing temporary can be written, one line says so."""

import os
import subprocess
import sys

import pytest

from cbir.errors import CbirError
from cbir.temporary import temporary_folder
from tests.conftest import ROOT


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300])
def test_a_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch, name):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / name))
    with pytest.raises(CbirError, match=r"cannot write temporary files to .* \(.*\): name another folder"):
        temporary_folder.__wrapped__()
    assert os.environ["GRADIO_TEMP_DIR"] == str(tmp_path / name)


def test_a_second_interrupt_does_not_stop_the_cleaning(tmp_path):
    code = """
import os, shutil, signal
from cbir import temporary
temporary.temporary_folder()
remove = shutil.rmtree
def slowly(*args, **options):
    os.kill(os.getpid(), signal.SIGINT)
    remove(*args, **options)
temporary.shutil.rmtree = slowly
temporary.end(3)
"""
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (3, b"")
    assert list(tmp_path.iterdir()) == []

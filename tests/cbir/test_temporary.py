"""Where nothing temporary can be written, one line says so."""

import os

import pytest

from cbir.errors import CbirError
from cbir.temporary import temporary_folder


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300])
def test_a_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch, name):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / name))
    with pytest.raises(CbirError, match=r"cannot write temporary files to .* \(.*\): name another folder"):
        temporary_folder.__wrapped__()
    assert os.environ["GRADIO_TEMP_DIR"] == str(tmp_path / name)

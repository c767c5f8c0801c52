"""How commands write into a file of somebody else."""

import pytest

from cbir.errors import CbirError
from train.cli import write_section


def test_a_section_is_replaced_and_the_rest_stays(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter é\n", encoding="utf-8")
    write_section(path, "a", "\nnew\n\n")
    assert path.read_text(encoding="utf-8") == "before\n<!-- a -->\nnew\n<!-- /a -->\nafter é\n"
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize("text", ["", "<!-- a -->", "<!-- /a --><!-- a -->"])
def test_a_file_without_the_section_is_refused_and_stays(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(CbirError, match="add them where the text should go"):
        write_section(path, "a", "new")
    assert path.read_text() == text

"""What every training command does with errors, and how it writes into a file of somebody else."""

import pytest

from cbir.errors import CbirError, DataError
from train.cli import run_main, write_section


def test_run_main_exits_with_the_status(capsys):
    with pytest.raises(SystemExit) as stopped:
        run_main(lambda argv: len(argv), ["a", "b", "c"])
    assert stopped.value.code == 3

    def fail(argv):
        raise DataError("expected one thing, got another: do a third")

    with pytest.raises(SystemExit) as stopped:
        run_main(fail)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: expected one thing, got another: do a third\n"

    def interrupt(argv):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        run_main(interrupt)
    assert stopped.value.code == 130

    def bug(argv):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_main(bug)


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

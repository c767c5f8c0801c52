import time

import pytest

from cbir import progress
from cbir.progress import in_parts


@pytest.mark.parametrize(("n", "step"), [(10, 3), (9, 3), (3, 3), (1, 3)])
def test_parts_cover_all_rows_once(n, step):
    assert [row for part in in_parts(n, step, "x") for row in range(n)[part]] == list(range(n))


def test_no_rows_are_one_part():
    assert len(list(in_parts(0, 3, "x"))) == 1


def test_only_long_work_shows_a_bar(capsys, monkeypatch):
    list(in_parts(10, 1, "quick"))
    assert "quick" not in capsys.readouterr().err
    monkeypatch.setattr(progress, "SHOWN_AFTER", 0.01)
    for _ in in_parts(10, 1, "slow"):
        time.sleep(0.02)
    assert "slow" in capsys.readouterr().err

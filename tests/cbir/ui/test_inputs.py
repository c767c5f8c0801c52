"""Reading what was typed; what is uploaded is tested over HTTP, in `test_handlers` and `test_api`."""

import pytest

from cbir.errors import CbirError
from cbir.ui.inputs import crop_of


def test_a_crop_is_four_percentages():
    assert crop_of(" ") is None
    assert crop_of("0, 25,50 ,100") == (0, 0.25, 0.5, 1)
    for text in ("1,2,3", "a,b,c,d", "1,2,3,4,5"):
        with pytest.raises(CbirError, match="four percentages"):
            crop_of(text)

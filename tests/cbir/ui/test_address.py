from dataclasses import fields, replace

import pytest

from cbir.errors import CbirError
from cbir.search import SearchOptions
from cbir.ui.address import FLAGS, Asked, crop_of

START = Asked()
ALL = Asked(
    "red shirt/ü&?.png", "cosine", "type", 7, ["shirt"], ["red", "blue"], 0.25, ["least_similar"], "0, 5, 90.5, 100"
)


def test_every_setting_survives_the_way_through_the_address():
    assert all(getattr(ALL, f.name) != getattr(START, f.name) for f in fields(Asked))
    assert Asked.from_query_string("?" + ALL.query_string(START), START) == ALL


def test_settings_as_at_the_start_are_left_out():
    assert START.query_string(START) == ""
    assert Asked(id="red_shirt/3.png").query_string(START) == "id=red_shirt/3.png"
    assert Asked.from_query_string("?__theme=dark&utm_source=x", START) == START


def test_options_are_those_of_a_search():
    assert START.options() == SearchOptions()
    asked = replace(ALL, match="both")
    assert asked.options() == SearchOptions("cosine", "both", 7, ("shirt",), ("red", "blue"), 0.25, least_similar=True)
    flagged = Asked(also=list(FLAGS)).options()
    assert all(getattr(flagged, name) for name in FLAGS)
    with pytest.raises(CbirError, match="unknown wish 'magic'"):
        Asked(also=["magic"]).options()


@pytest.mark.parametrize("text", ["k=0", "k=x", "k=1000", "weight=2", "weight=nan", "k=inf"])
def test_numbers_out_of_range_are_refused(text):
    with pytest.raises(CbirError, match="in the address"):
        Asked.from_query_string(text, START)


def test_a_crop_is_four_percentages():
    assert crop_of(" ") is None
    assert crop_of("0, 25,50 ,100") == (0, 0.25, 0.5, 1)
    for text in ("1,2,3", "a,b,c,d", "1,2,3,4,5"):
        with pytest.raises(CbirError, match="four percentages"):
            crop_of(text)

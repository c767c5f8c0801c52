import pytest

from cbir.errors import CbirError
from cbir.options import OPTIONS, SearchOptions
from cbir.ui.address import FLAGS, NAMES, SearchState, flags_of

START = SearchState()
OTHER = {"method": "cosine", "match": "type", "k": 7, "types": ["shirt"], "colors": ["red", "blue"], "weight": 0.25}
OTHER |= dict.fromkeys(FLAGS, True) | {"words": "pink shirt", "color": "#a04020"}
WANTED = "pink shirt", "#a04020"
ALL = SearchState("red shirt/ü&?.png", "0, 5, 90.5, 100", OTHER)


def test_every_setting_survives_the_way_through_the_address():
    assert set(OTHER) == {option.parameter for option in OPTIONS}
    assert all(value != START.values[name] for name, value in OTHER.items())
    address = ALL.query_string(START)
    assert list(dict.fromkeys(part.partition("=")[0] for part in address.split("&"))) == list(NAMES)
    assert SearchState.from_query_string("?" + address, START) == ALL


def test_addresses_stay_as_they_were():
    assert NAMES == ("id", "method", "match", "k", "types", "colors", "weight", "words", "color", "also", "crop")
    address = "id=red_shirt/3.png&method=cosine&k=24&types=shirt&colors=red&colors=blue&weight=0.25&also=least_similar"
    state = SearchState.from_query_string(f"?{address}#3", START)
    assert state.query_string(START) == address
    assert state.id == "red_shirt/3.png"
    asked = SearchOptions("cosine", "both", 24, ("shirt",), ("red", "blue"), 0.25, least_similar=True)
    assert state.options() == asked


def test_settings_as_at_the_start_are_left_out():
    assert START.query_string(START) == ""
    assert SearchState(id="red_shirt/3.png").query_string(START) == "id=red_shirt/3.png"
    assert SearchState.from_query_string("?__theme=dark&utm_source=x", START) == START


def test_options_are_those_of_a_search():
    assert START.options() == SearchOptions()
    asked = ALL.with_values(match="both", other_colors=False).options()
    assert asked == SearchOptions("cosine", "both", 7, ("shirt",), ("red", "blue"), 0.25, False, True, True, *WANTED)
    assert all(getattr(START.with_values(**flags_of(FLAGS)).options(), name) for name in FLAGS)


@pytest.mark.parametrize("text", ["k=0", "k=x", "k=1000", "weight=2", "weight=nan", "k=inf"])
def test_numbers_out_of_range_are_refused(text):
    with pytest.raises(CbirError, match="in the address"):
        SearchState.from_query_string(text, START)


def test_unknown_wishes_are_refused():
    for read in (lambda: flags_of(["magic"]), lambda: SearchState.from_query_string("?also=magic", START)):
        with pytest.raises(CbirError, match="unknown wish 'magic'"):
            read()

"""Words in English and Portuguese, and colors, say what is wanted."""

import numpy as np
import pytest

from cbir.errors import CbirError
from cbir.features.color_descriptor import rgb_to_lab
from cbir.words import read_color, read_words

TYPES = ("dress", "pants", "shirt", "shoes", "shorts")


@pytest.mark.parametrize(
    ("text", "types", "colors"),
    [
        ("pink shirt", ["shirt"], ["pink"]),
        ("vestido amarelo", ["dress"], ["yellow"]),
        ("Calça cor-de-rosa", ["pants"], ["pink"]),
        ("a RED and white dress", ["dress"], ["red", "white"]),
        ("sapatos azul-marinho", ["shoes"], ["navy"]),
        ("t-shirt off-white", ["shirt"], ["cream"]),
        ("light blue jeans", ["pants"], ["light blue"]),
        ("camisa azul clara", ["shirt"], ["light blue"]),
        ("bermuda verde-escura", ["shorts"], ["dark green"]),
        ("#A04020 shoes", ["shoes"], ["#a04020"]),
        ("shirt and dress", ["shirt", "dress"], []),
        ("grey", [], ["grey"]),
        ("", [], []),
    ],
)
def test_words_name_types_and_colors(text, types, colors):
    wanted = read_words(text, TYPES)
    assert list(wanted.types) == types
    assert [color.name for color in wanted.colors] == colors
    assert bool(wanted) == bool(text)


def test_a_bundle_calls_its_own_types_by_their_names():
    wanted = read_words("brown Polo Shirt, rain-coat", ("polo shirt", "rain coat"))
    assert wanted.types == ("polo shirt", "rain coat")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pink skirt", "got 'skirt'"),
        ("shorts", "types \\(dress\\), got 'shorts'"),
        ("dark dress", "a color beside 'dark'"),
        ("#12 dress", "got '#12'"),
        ("the", "got 'the'"),
        ("!!", "got '!!'"),
    ],
)
def test_words_that_name_nothing_here_are_refused(text, message):
    with pytest.raises(CbirError, match=message):
        read_words(text, ["dress"])


@pytest.mark.parametrize("text", ["#a04020", "#A04020", "rgb(160, 64, 32)", "rgba(160.2, 64, 31.9, 1)"])
def test_a_color_is_read_as_programs_and_browsers_write_it(text):
    assert read_color(text).name == "#a04020"
    assert np.allclose(read_color(text).shades, rgb_to_lab(np.uint8([[160, 64, 32]])))


def test_a_color_has_a_name_too():
    assert read_color("vermelho").name == read_color(" Red ").name == "red"
    assert read_color("#abc").name == "#aabbcc"
    light, dark, plain = (np.array(read_color(f"{how}green").shades)[:, 0] for how in ("light ", "dark ", ""))
    assert (light > plain).all()
    assert (dark < plain).all()


@pytest.mark.parametrize("text", ["", "shirt", "red and blue", "red shirt", "#12345", "rgb(1, 2, 300)", "reddish"])
def test_what_is_not_one_color_is_refused(text):
    with pytest.raises(CbirError, match="expected one color"):
        read_color(text)


def test_no_search_looks_for_hundreds_of_colors():
    assert len(read_words("#001 #002 #003 #004 #005 #006 #007 #008 #008", []).colors) == 8
    text = " ".join(f"#{n:03x}" for n in range(400))
    with pytest.raises(CbirError, match="expected at most 8 colors, got 400"):
        read_words(text, [])

"""Names of folders and classes, as people write them."""

import pytest

from cbir.class_names import ClassName, canonical, read_class


@pytest.mark.parametrize(
    ("name", "color", "type"),
    [
        ("red_dress", "red", "dress"),
        ("Red Dress", "red", "dress"),
        ("RED-DRESSES", "red", "dress"),
        ("dress_red", "red", "dress"),
        ("RedDress", "red", "dress"),
        ("reddress", "red", "dress"),
        ("blackPants", "black", "pants"),
        ("blue jeans", "blue", "pants"),
        ("Trousers", "", "pants"),
        ("T-Shirts", "", "shirt"),
        ("tshirt", "", "shirt"),
        ("light_blue_shirt", "blue", "shirt"),
        ("navy blue shirt", "navy", "shirt"),
        ("off-white", "cream", ""),
        ("GREY", "grey", ""),
        ("gray", "grey", ""),
        ("01_white_shoes", "white", "shoes"),
        ("women's brown boots (2)", "brown", "shoes"),
        ("calças pretas", "black", "pants"),
        ("Vestidos-Vermelhos", "red", "dress"),
        ("camisa azul-clara", "blue", "shirt"),
        ("t\u00eanis brancos", "white", "shoes"),
        ("te\u0302nis brancos", "white", "shoes"),
        ("saias", "", "skirt"),
    ],
)
def test_names_are_understood_as_people_write_them(name, color, type):
    assert read_class(name) == ClassName(color, type)


@pytest.mark.parametrize(
    "name", ["Brown family", "Top 10", "Gold", "day 1", "dark", "kimono", "redemption", "shirtless", "Orangerie", "üñí"]
)
def test_other_names_are_not(name):
    assert read_class(name) is None


@pytest.mark.parametrize("name", ["photos", "train", "2023", "01", "Women", "IMG_2023", "roupas", "---"])
def test_names_that_say_nothing_do_no_harm(name):
    assert read_class(name).is_neutral


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("black_white_dress", ClassName("", "dress", "it names 2 colors")),
        ("red dress shirt", ClassName("red", "", "it names 2 types")),
        ("black and white shirts and skirts", ClassName("", "", "it names 2 colors and 2 types")),
    ],
)
def test_names_that_say_several_things_are_doubted(name, expected):
    assert read_class(name) == expected


@pytest.mark.parametrize(
    ("label", "text", "expected"),
    [
        ("type", "vestidos", "dress"),
        ("type", "trousers", "pants"),
        ("type", "jeans", "jeans"),
        ("type", "t-shirt", "t-shirt"),
        ("type", "kimono", "kimono"),
        ("type", "red", "red"),
        ("color", "vermelha", "red"),
        ("color", "gray", "grey"),
        ("color", "dark blue", "dark blue"),
        ("color", "dress", "dress"),
    ],
)
def test_labels_of_tables_stay_what_they_are_except_for_other_words_for_the_same(label, text, expected):
    assert canonical(label, text) == expected

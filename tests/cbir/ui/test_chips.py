"""What the app saw in a photo, and what a click makes of it."""

from urllib.parse import parse_qs

import pytest

from cbir.class_names import class_values
from cbir.errors import CbirError
from cbir.guesses import Seen
from cbir.index import Query
from cbir.options import SearchOptions
from cbir.search import Retriever
from cbir.ui.chips import chips
from cbir.ui.texts import LANGUAGES, Words
from tests.conftest import toy_photo


@pytest.fixture
def query(retriever):
    return retriever.query(toy_photo("red", "shirt", 99))


def words_of(choice):
    return parse_qs(choice.settings, keep_blank_values=True)["words"][0]


def test_type_and_color_are_told_with_their_probabilities_and_every_class_is_a_choice(retriever, query):
    type_, color = chips(retriever, query, SearchOptions(), Words())
    seen = retriever.seen(query)
    assert type_.text == f"shirt ({100 * seen['type'].shares[0][1]:.0f} %)"
    assert [words_of(one) for one in type_.choices] == [name for name, _ in seen["type"].shares]
    assert {words_of(one) for one in color.choices} == set(retriever.bundle.attributes.classes("color"))
    for chip in (type_, color):
        shares = [share for _, share in seen[chip.label].shares]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1)


def test_what_is_not_sure_says_so_and_names_the_next(retriever, query, monkeypatch):
    unsure = {"type": Seen((("shirt", 0.9), ("pants", 0.1)), True)}
    unsure["color"] = Seen((("blue", 0.41), ("white", 0.3), ("red", 0.29)), False)
    monkeypatch.setattr(Retriever, "seen", lambda *_: unsure)
    type_, color = chips(retriever, query, SearchOptions(), Words())
    assert (type_.text, type_.perhaps) == ("shirt (90 %)", None)
    assert color.text == "color unsure: perhaps blue (41 %)"
    assert "pattern" in color.about
    assert color.perhaps.text == "perhaps white"
    assert words_of(color.perhaps) == "white"
    unsure["type"] = Seen((("shirt", 0.5), ("pants", 0.5)), False)
    assert [chip.text for chip in chips(retriever, query, SearchOptions(), Words())] == [
        "perhaps shirt (50 %)",
        "perhaps blue (41 %)",
    ]


def test_a_correction_keeps_the_other_one_and_can_be_taken_back(retriever, query):
    type_, color = chips(retriever, query, SearchOptions(words="pants"), Words("pt"))
    assert type_.is_corrected
    assert type_.text == "calça, como você disse"
    assert words_of(type_.choices[0]) == ""  # the way back
    assert type_.perhaps is None
    assert "calça vermelha" in [words_of(one) for one in color.choices]
    both = chips(retriever, query, SearchOptions(words="dark blue pants"), Words())
    assert both[1].text == "dark blue, as you said"
    assert words_of(both[1].choices[0]) == "pants"


def test_a_correction_finds_what_was_said(retriever, query):
    options = SearchOptions(words="blue", k=5)
    found = retriever.rank(query, options)
    assert {match.labels["color"] for match in found.matches} == {"blue"}
    assert {match.labels["type"] for match in found.matches} == {"shirt"}  # the photo still counts


def test_nothing_is_told_without_a_photo_or_without_a_model_that_can(retriever):
    assert chips(retriever, retriever.no_photo, SearchOptions(words="red shirt"), Words()) == []
    no_attributes = type("Blind", (), {"attributes": None})()
    blind = object.__new__(Retriever)
    blind.bundle = no_attributes
    assert blind.seen(Query(None, (None,), {}, 0.0)) == {}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_class_can_be_said_in_every_language(retriever, language):
    words = Words(language)
    for color in class_values("color"):
        for type_ in retriever.bundle.attributes.classes("type"):
            try:
                wanted = retriever.wanted(SearchOptions(words=words.described(color, type_)))
            except CbirError as error:
                raise AssertionError(words.described(color, type_)) from error
            assert wanted.types == (type_,)
            assert [one.name for one in wanted.colors] == [color]

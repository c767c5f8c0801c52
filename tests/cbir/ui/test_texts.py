import dataclasses
import re
from itertools import chain
from string import Formatter

import pytest

from cbir.bundle import load_bundle
from cbir.class_names import class_values
from cbir.guesses import UNSURE
from cbir.report_tables import Text, report_tables
from cbir.similarity import SIMILARITIES
from cbir.ui.texts import LANGUAGES, Words
from tests.cbir.test_report_tables import with_every_section
from tests.conftest import ROOT
from train.evaluation import baselines, familiarity, garments, report, seeds


def texts(part):
    """All texts within a part of a table."""
    if isinstance(part, Text):
        yield part
    elif dataclasses.is_dataclass(part):
        yield from texts(tuple(vars(part).values()))
    elif isinstance(part, tuple):
        for one in part:
            yield from texts(one)


NAMES = (
    *(f"noun.{name}" for name in (*class_values("color"), *class_values("type"), UNSURE)),
    f"bundle.{load_bundle().manifest.title}",
)
PAIR_METHODS = ("logistic_regression", "random_forest")
METHODS = [f"method.{name}{part}" for name in SIMILARITIES for part in ("", ".explanation")]
TABLE_TEXTS = {
    text.key: text for table in report_tables(with_every_section(load_bundle().report)) for text in texts(table)
}
# What reports say in words: notes as they are written now, and the names in the report of the embedded default.
OURS = load_bundle().report
NOTES = (*report.NOTES, report.COLOR_NETWORK_NOTE, seeds.SPLITS_NOTE, seeds.BUNDLES_NOTE)
NOTES += tuple(module.NOTE for module in (baselines, familiarity, garments))
STORED = {
    f"stored.{text}" for text in (*NOTES, *garments.EDITS, "mean", *OURS.baselines.n_evaluated, *OURS.order.traits)
}
TRANSLATIONS = sorted(set(LANGUAGES) - {"en"})


def placeholders(text):
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_language_has_every_key_and_no_other(language):
    shown_as_stored = ("message.", "word.", "source.")  # see test_messages; sources are what a report names
    apart = {key for key in LANGUAGES[language] if key.startswith(shown_as_stored)}
    expected = set(LANGUAGES["en"]) | set(NAMES) | set(METHODS) | set(TABLE_TEXTS) | STORED
    assert set(LANGUAGES[language]) - apart == expected


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_text_has_the_same_placeholders_in_every_language(language):
    for key, english in LANGUAGES["en"].items():
        assert placeholders(LANGUAGES[language][key]) == placeholders(english), key
    for key, text in TABLE_TEXTS.items():
        assert placeholders(LANGUAGES[language][key]) == placeholders(text.english) == set(text.values), key


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_text_is_empty(language):
    assert all(text.strip() for text in LANGUAGES[language].values())


def test_every_key_that_the_page_asks_for_exists():
    asked = set()
    for path in chain((ROOT / "cbir" / "ui").rglob("*.py"), (ROOT / "cbir" / "ui").rglob("*.html")):
        asked |= set(re.findall(r"(?:words|I18N|Words\(\))\(\s*['\"]([a-z_]+)['\"]", path.read_text(encoding="utf-8")))
    assert len(asked) > 50
    assert asked <= set(LANGUAGES["en"])


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_report_is_read_in_one_language(language):
    words = Words(language)
    for text in (*OURS.protocol.notes, OURS.familiarity.note):
        assert words.text(text) != text
    for table in report_tables(OURS):
        cells = [*table.notes, *(heading.text for heading in table.header), *(row[0] for row in table.rows)]
        for cell in cells:
            if isinstance(cell, str) and cell not in ("R@1", "R@10", "MRR", "nDCG@10"):
                assert words.text(cell) != cell, cell
        if table.title.key == "table.naive":
            assert [words.cell(row[0]) for row in table.rows] == [words.method(n, "") for n in PAIR_METHODS]


def test_the_title_of_a_bundle_is_translated_where_it_is_known():
    assert Words("pt").bundle("Drawn catalogue") == "Catálogo desenhado"
    assert Words("pt").bundle("My wardrobe") == "My wardrobe"
    assert Words("en").bundle("Drawn catalogue") == "Drawn catalogue"


@pytest.mark.parametrize(
    ("types", "colors", "english", "portuguese"),
    [
        (["dress"], ["brown"], "brown dresses", "vestidos marrons"),
        (["shirt"], ["red", "blue"], "red or blue shirts", "camisas vermelhas ou azuis"),
        (["shirt", "shoes"], [], "shirts or shoes", "camisas ou sapatos"),
        (["shirt", "shoes"], ["red"], "red shirts or shoes", "camisas ou sapatos vermelhos"),
        ([], ["white"], "white pictures", "imagens brancas"),
        (["dress", "shirt", "kilt"], [], "dresses, shirts or kilt", "vestidos, camisas ou kilt"),
    ],
)
def test_several_garments_are_said_as_one_says_them(types, colors, english, portuguese):
    assert Words("en").garments(types, colors) == english
    assert Words("pt").garments(types, colors) == portuguese

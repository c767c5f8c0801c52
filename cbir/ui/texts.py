"""Every word that a person reads in the app, in every language it speaks.

The words are in `locales/<language>.json`, by key. Gradio translates what stands on its own components (`I18N`); what
the server says follows the browser's first language (`Words.of`). English names of types, colors and bundles are the
names themselves, those of similarity methods live in their registry, texts of a report's tables in
`cbir.report_tables`, and errors and notices are written where they arise; another language has keys "noun.<name>",
"bundle.<title>", "method.<name>", "method.<name>.explanation", "table.<name>", "stored.<what a report says in words>",
"message.<template>" and, for words in lines, "word.<name>".
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from cbir.errors import Message, filled
from cbir.explain import Evidence
from cbir.guesses import UNSURE, Guess
from cbir.report import Estimate, Spread
from cbir.report_tables import Cell, Share, Text
from cbir.similarity import SIMILARITIES

LOCALES = Path(__file__).with_name("locales")
LANGUAGES: dict[str, dict[str, str]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(LOCALES.glob("*.json"))
}
I18N = gr.I18n(
    **{name: {key: text for key, text in texts.items() if "." not in key} for name, texts in LANGUAGES.items()}
)

# Portuguese colors agree with the garment in gender and number.
_GENDERS = {
    **{"dress": "m", "pants": "f", "shirt": "f", "shoes": "mp", "shorts": "mp", "skirt": "f", "jacket": "f"},
    **{"bag": "f"},
}
_ADJECTIVES = {"preto", "branco", "vermelho", "amarelo", "roxo", "dourado", "prateado"}
_PLURALS = {"azul": "azuis", "verde": "verdes", "marrom": "marrons"}


@dataclass(frozen=True)
class Words:
    """The words of one language."""

    language: str = "en"

    @staticmethod
    def of(request: gr.Request | None) -> "Words":
        """The language that the browser names first, as far as the app speaks it; else English."""
        header = request.headers.get("accept-language", "") if request else ""
        first = re.split(r"[-,;]", header.strip().lower())[0]
        return Words(first if first in LANGUAGES else "en")

    def __call__(self, key: str, **values: object) -> str:
        """The text of that key, with values filled in."""
        text = LANGUAGES[self.language][key]
        return text.format(**values) if values else text

    def number(self, n: int) -> str:
        """A whole number as one reads it, e.g. "4,803"."""
        return f"{n:,}".replace(",", "." if self.language == "pt" else ",")

    def decimal(self, value: float | None, digits: int = 3) -> str:
        """A number as one reads it, e.g. "0.721"; a dash for None."""
        return "–" if value is None else f"{value:.{digits}f}".replace(".", "," if self.language == "pt" else ".")

    def percent(self, share: float | None) -> str:
        """A share, e.g. "93 %"; a dash for None."""
        return "–" if share is None else f"{100 * share:.0f} %"

    def noun(self, name: str) -> str:
        """A type or a color."""
        return LANGUAGES[self.language].get(f"noun.{name}", name)

    def bundle(self, title: str) -> str:
        """The title of a bundle, where the language knows it."""
        return LANGUAGES[self.language].get(f"bundle.{title}", title)

    def source(self, text: str) -> str:
        """What a report calls the photos that it was measured on, where the language knows it."""
        return LANGUAGES[self.language].get(f"source.{text}", text)

    def message(self, english: str) -> str:
        """What the library says to people: an error or a notice, see `cbir.errors.Message`."""
        if not isinstance(english, Message):  # a reason that was stored
            return LANGUAGES[self.language].get(f"message.{english}", english)
        template = LANGUAGES[self.language].get(f"message.{english.template}", english.template)
        values = {name: self._value(name, value) for name, value in english.values.items()}
        return filled(template, values)

    def _value(self, name: str, value: object) -> object:
        """A value of a message; some are messages or words themselves."""
        if isinstance(value, Message):
            return self.message(value)
        if name == "method":
            return next((self.method(m.name, m.title) for m in SIMILARITIES.values() if m.title == value), value)
        return LANGUAGES[self.language].get(f"word.{value}", value) if name in ("kind", "label") else value

    def garment(self, labels: Mapping[str, str], guesses: Mapping[str, Guess] | None = None) -> str:
        """Labels as one says them, e.g. "blue shirt", "camisa azul"; guesses as such, e.g. "shirt, probably blue".

        Empty when there are neither.
        """
        guesses = guesses or {}
        known = self._said(labels.get("color", ""), labels.get("type", ""), labels.get("type", ""))
        sure = {name: guess.value for name, guess in guesses.items() if guess.is_sure}
        type_ = labels.get("type", "") or sure.get("type", "")
        guessed = self._said(sure.get("color", ""), sure.get("type", ""), type_)
        probably = self("probably", garment=guessed) if guessed else self.noun(UNSURE) if guesses else ""
        return ", ".join(filter(None, [known, probably]))

    def described(self, color: str, type_: str) -> str:
        """What one types to ask for a garment, e.g. "blue shirt", "camisa azul"; "" for what is not asked for."""
        return self._said(color, type_, type_)

    def _said(self, color: str, type_: str, agreeing_with: str) -> str:
        """Color and type in the order of the language, "" for one that is not said."""
        if self.language != "pt":
            return " ".join(filter(None, [color, type_]))
        return " ".join(filter(None, [self.noun(type_), _agreeing(self.noun(color), _GENDERS.get(agreeing_with, "m"))]))

    def guess(self, guess: Guess) -> str:
        """A guess with its probability, e.g. "shirt (93 %)", "unsure (blue 41 %)"."""
        name, percent = self.noun(guess.value), self.percent(guess.probability)
        return f"{name} ({percent})" if guess.is_sure else f"{self.noun(UNSURE)} ({name} {percent})"

    def count(self, name: str, n: int, n_guessed: int) -> str:
        """A type or a color with its number of pictures, e.g. "shirt (12)"; "shirt (~12)" where some are guesses."""
        return f"{self.noun(name)} ({'~' if n_guessed else ''}{self.number(n)})"

    def garments(self, types: Sequence[str], colors: Sequence[str]) -> str:
        """Several as one says them, e.g. "brown or green dresses", "vestidos marrons ou verdes"."""
        plural = {name: LANGUAGES[self.language].get(f"plural.{name}", self.noun(name)) for name in types}
        nouns = self._any([plural[name] for name in types]) or self("plural_pictures")
        if self.language != "pt":
            return " ".join(filter(None, [self._any(colors), nouns]))
        genders = {_GENDERS.get(type_, "m")[0] for type_ in types} or {"f"}  # "imagens"
        gender = "fp" if genders == {"f"} else "mp"
        return " ".join(filter(None, [nouns, self._any([_agreeing(self.noun(color), gender) for color in colors])]))

    def _any(self, names: Sequence[str]) -> str:
        return f" {self('or')} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))

    def method(self, name: str, english: str) -> str:
        """The name of a similarity method, which the registry has in English."""
        return LANGUAGES[self.language].get(f"method.{name}", english)

    def explanation(self, name: str, english: str) -> str:
        """The line that explains a similarity method."""
        return LANGUAGES[self.language].get(f"method.{name}.explanation", english)

    def text(self, text: Text | str) -> str:
        """A text of a report: of its tables, with its English, or one that it stores, which may stay in English."""
        if isinstance(text, str):
            return LANGUAGES[self.language].get(f"stored.{text}", text)
        values = {name: self.cell(value) for name, value in text.values.items()}
        return LANGUAGES[self.language].get(text.key, text.english).format(**values)

    def cell(self, value: Cell) -> str:
        """A cell of a report's table."""
        match value:
            case None:
                return self.decimal(None)
            case str() | Text():
                return self.text(value)
            case int():
                return self.number(value)
            case float():
                return self.decimal(value)
            case Share():
                return self.percent(value.value)
            case Estimate():
                return self.decimal(value.value)
            case Spread():
                deviation = "" if value.deviation is None else f" ± {self.decimal(value.deviation)}"
                return self.decimal(value.mean) + deviation
            case tuple():
                return " / ".join(map(self.cell, value))

    def because(self, label: str, evidence: Evidence) -> str:
        """Whether a query and an item agree, e.g. "Same type: almost certainly (97 %), both look like shirt."."""
        level = next(percent for percent in (95, 80, 60, 40, 20, 0) if 100 * evidence.agreement >= percent)
        names = {"query": self.noun(evidence.query), "item": self.noun(evidence.item)}
        return self(
            "because",
            same=self(f"same_{label}"),
            likely=self(f"likely_{level}"),
            percent=self.percent(evidence.agreement),
            shown=self("both_look" if evidence.query == evidence.item else "look_different", **names),
        )

    def duration(self, seconds: float) -> str:
        """A time, e.g. "0.4 ms", "41 ms" or "1.2 s"."""
        text = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"
        return text.replace(".", ",") if self.language == "pt" else text


def _agreeing(color: str, gender: str) -> str:
    """A Portuguese color beside a garment; one that is the name of a thing, as "salmão" is, stays as it is."""
    if color in _ADJECTIVES:
        return color[:-1] + ("a" if gender.startswith("f") else "o") + ("s" if gender.endswith("p") else "")
    return _PLURALS.get(color, color) if gender.endswith("p") else color

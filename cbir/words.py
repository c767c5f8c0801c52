"""What a search in words asks for: "pink shirt", "vestido amarelo", "#a04020 dress".

The words, in English and Portuguese, are in `vocabulary.json`, without accents. Each color has a few shades, and some
colors are kinds "of" another, as navy is of blue. Types that a bundle has beside those are called by their own names.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageColor

from cbir.errors import CbirError
from cbir.features.color_descriptor import rgb_to_lab

MAX_COLORS = 8  # that one search looks for; each goes over the whole gallery
MAX_TOKENS = 3  # in a name, e.g. "cor de rosa"
STEP = 18.0  # of L* that "light" and "dark" make
LIGHT, LIGHTEST = 65.0, 82.0  # between these is the L* of what is light: lighter still is nearly white
DARK, DARKEST = 35.0, 8.0  # and of what is dark
PALER = 0.85  # of the chroma that "light" leaves

Shades = tuple[tuple[float, float, float], ...]  # CIE L*a*b*

_FOUND = re.compile(r"#[0-9a-z]*|[^\W_]+", re.UNICODE)
_RGB = re.compile(r"rgba?\(\s*([\d.]+)\s*,\s*([\d.]+)\s*,\s*([\d.]+)\s*(?:,\s*[\d.]+\s*)?\)")


@dataclass(frozen=True)
class Color:
    """A color that is searched for.

    Attributes:
        name: as it was asked for, e.g. "pink", "dark blue", "#a04020".
        shades: CIE L*a*b* of each shade that counts as this color.
    """

    name: str
    shades: Shades

    def lighter(self) -> "Color":
        """The same, but light."""
        shades = ((min(max(light + STEP, LIGHT), LIGHTEST), a * PALER, b * PALER) for light, a, b in self.shades)
        return Color(f"light {self.name}", tuple(shades))

    def darker(self) -> "Color":
        """The same, but dark."""
        shades = ((max(min(light - STEP, DARK), DARKEST), a, b) for light, a, b in self.shades)
        return Color(f"dark {self.name}", tuple(shades))


@dataclass(frozen=True)
class Wanted:
    """What words ask for: a garment of one of these types, that has all of these colors; empty for any."""

    types: tuple[str, ...] = ()
    colors: tuple[Color, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.types or self.colors)


def read_color(text: str) -> Color:
    """Reads one color: `#rrggbb`, `#rgb`, `rgb(r, g, b)`, or a name with or without "light" or "dark".

    Raises:
        CbirError: it is none of these.
    """
    if plain := _plain_color(text.strip().lower()):
        return plain
    try:
        wanted = read_words(text, ())
    except CbirError:
        wanted = Wanted()
    if len(wanted.colors) != 1 or wanted.types:
        raise CbirError("expected one color as #rrggbb or by its name, e.g. pink, got {text!r}", text=text)
    return wanted.colors[0]


def read_words(text: str, types: Collection[str]) -> Wanted:
    """Reads words: names of types and colors in any order; articles and the like are passed over.

    Args:
        text: as it was typed; case and accents do not matter.
        types: that the bundle knows.

    Raises:
        CbirError: a word is no name of a type or a color, or of a type that the bundle does not know; or there are more
            than `MAX_COLORS` colors.
    """
    found = [word for word in _named(_tokens(text), types) if word.kind != "ignored"]
    if text.strip() and not found:
        raise _unknown(text, types)
    for place, word in enumerate(found):
        if word.kind in ("before", "after"):
            beside = place + 1 if word.kind == "before" else place - 1
            if not 0 <= beside < len(found) or found[beside].kind != "color":
                raise CbirError("expected a color beside {word!r}: name one, or leave it out", word=word.name)
            found[beside] = replace(found[beside], value=word.value(found[beside].value))
    types_named = dict.fromkeys(word.value for word in found if word.kind == "type")
    colors = {word.value.name: word.value for word in found if word.kind == "color"}
    if len(colors) > MAX_COLORS:
        raise CbirError("expected at most {limit} colors, got {n}: leave some out", limit=MAX_COLORS, n=len(colors))
    return Wanted(tuple(types_named), tuple(colors.values()))


@dataclass(frozen=True)
class _Word:
    """A name that was found.

    Attributes:
        kind: "type", "color", "ignored", or, for what makes the color before or after it another, "after" or "before".
        value: the type, the `Color`, or what makes a color another one.
        name: as it was typed.
    """

    kind: str
    value: Any
    name: str


def _named(tokens: Sequence[str], types: Collection[str]) -> list[_Word]:
    """What tokens name, the longest names first; raises what `read_words` raises."""
    names = {**_names(), **{tuple(_tokens(type_)): ("type", type_) for type_ in types}}
    found: list[_Word] = []
    at = 0
    while at < len(tokens):
        lengths = range(min(MAX_TOKENS, len(tokens) - at), 0, -1)
        name = next((part for part in (tuple(tokens[at : at + n]) for n in lengths) if part in names), (tokens[at],))
        kind, value = names.get(name, ("color", _plain_color(tokens[at])))
        if value is None or (kind == "type" and value not in types):
            raise _unknown(" ".join(name), types)
        found.append(_Word(kind, value, " ".join(name)))
        at += len(name)
    return found


def _tokens(text: str) -> list[str]:
    """Words without case, accents and hyphens, and colors such as "#a04020"."""
    plain = unicodedata.normalize("NFKD", text.lower())
    return _FOUND.findall("".join(letter for letter in plain if not unicodedata.combining(letter)))


@cache
def color_families() -> Mapping[str, Shades]:
    """The shades of each color that is not a kind of another, with those of its kinds."""
    families: dict[str, Shades] = {}
    for name, about in _vocabulary()["colors"].items():
        family = about.get("of", name)
        families[family] = families.get(family, ()) + _shades(about)
    return families


@cache
def _vocabulary() -> Mapping[str, Any]:
    return json.loads(Path(__file__).with_name("vocabulary.json").read_text(encoding="utf-8"))


def _shades(about: Mapping[str, Any]) -> Shades:
    return tuple(_lab(ImageColor.getrgb(shade)) for shade in about["shades"])


@cache
def _names() -> Mapping[tuple[str, ...], tuple[str, Any]]:
    """What each name of the vocabulary is, by its tokens."""
    vocabulary = _vocabulary()
    names: dict[tuple[str, ...], tuple[str, Any]] = {}
    for type_, words in vocabulary["types"].items():
        names |= {tuple(word.split()): ("type", type_) for word in words}
    for color, about in vocabulary["colors"].items():
        names |= {tuple(word.split()): ("color", Color(color, _shades(about))) for word in about["words"]}
    for key, shaded in (("lighter", Color.lighter), ("darker", Color.darker)):
        names |= {(word,): (place, shaded) for place, words in vocabulary[key].items() for word in words}
    return names | {(word,): ("ignored", "") for word in vocabulary["ignored"]}


def _plain_color(text: str) -> Color | None:
    """A color by its numbers; None for what is not one."""
    if numbers := _RGB.fullmatch(text):
        rgb = [round(float(number)) for number in numbers.groups()]
    elif re.fullmatch("#([0-9a-f]{3}|[0-9a-f]{6})", text):
        rgb = list(ImageColor.getrgb(text))
    else:
        return None
    if max(rgb) > 255:
        return None
    return Color("#{:02x}{:02x}{:02x}".format(*rgb), (_lab(rgb),))


def _lab(rgb: Sequence[int]) -> tuple[float, float, float]:
    light, a, b = rgb_to_lab(np.array(rgb, np.uint8)).tolist()
    return light, a, b


def _unknown(word: str, types: Collection[str]) -> CbirError:
    return CbirError(
        "expected colors, such as pink or #a04020, and types ({types}), got {word!r}: leave it out, or name another",
        word=word,
        types=", ".join(sorted(types)),
    )

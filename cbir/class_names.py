"""What the name of a folder or a class says of photos: "red_dress", "Blue Jeans", "calças-pretas", "T-Shirts".

A name is understood if every word of it is: types and colors, in English and Portuguese, singular or plural
(`vocabulary.json`), beside words that say neither, such as "women" or "photos", and numbers. So "Brown family" is no
color and "Top 10" no shirt.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

LONGEST = 3  # words in a name of the vocabulary, e.g. "cor de rosa"
# Words of the vocabulary that say something else as often, where they are names of folders.
_AMBIGUOUS = frozenset(["top", "tops", "short", "tan", "gold", "silver", "camel", "nude", "aqua"])
_NEUTRAL = frozenset(
    [
        *("photo", "photos", "picture", "pictures", "pic", "pics", "image", "images", "img", "imgs", "dataset", "data"),
        *("train", "training", "test", "testing", "val", "valid", "validation", "eval", "dev", "split", "all", "raw"),
        *("clothes", "clothing", "apparel", "garment", "garments", "fashion", "wear", "item", "items", "product"),
        *("products", "catalog", "catalogue", "collection", "class", "classes", "category", "color", "colour", "type"),
        *("women", "woman", "womens", "men", "man", "mens", "ladies", "lady", "kid", "kids", "girl", "girls", "boy"),
        *("boys", "baby", "unisex", "male", "female", "s", "new", "old", "n", "no", "part", "batch", "jpg", "png"),
        *("foto", "fotos", "imagem", "imagens", "roupa", "roupas", "moda", "peca", "pecas", "produto", "produtos"),
        *("treino", "teste", "validacao", "catalogo", "colecao", "classe", "categoria", "tipo", "mulher", "mulheres"),
        *("homem", "homens", "feminino", "feminina", "femininos", "femininas", "masculino", "masculina", "masculinos"),
        *("masculinas", "infantil", "menina", "meninas", "menino", "meninos", "novo", "nova", "parte"),
    ]
)


@dataclass(frozen=True)
class ClassName:
    """What a name says.

    Attributes:
        color: "" where it says none.
        type: "" where it says none.
        doubt: "" or why a part of it is not understood.
    """

    color: str = ""
    type: str = ""
    doubt: str = ""

    @property
    def is_neutral(self) -> bool:
        """Whether it says nothing of labels, and does not try to."""
        return not (self.color or self.type or self.doubt)


@lru_cache(maxsize=100_000)
def read_class(name: str) -> ClassName | None:
    """Reads a name; None where a word of it is not understood."""
    words = [word for word in words_of(name) if not word.isdigit()]
    found: dict[str, dict[str, None]] = {"type": {}, "color": {}, "shade": {}}
    at = 0
    while at < len(words):
        lengths = range(min(LONGEST, len(words) - at), 0, -1)
        known = next((tuple(words[at : at + n]) for n in lengths if tuple(words[at : at + n]) in _names()), None)
        named = [_names()[known]] if known else _glued(words[at])
        if not named and words[at] not in _NEUTRAL:
            return None
        for kind, value in named:
            found.setdefault(kind, {})[value] = None
        at += len(known) if known else 1
    types, colors = list(found["type"]), list(found["color"])
    if (found["shade"] and not colors) or (len(words) == 1 and words[0] in _AMBIGUOUS):
        return None
    doubts = [f"{len(many)} {what}" for what, many in (("colors", colors), ("types", types)) if len(many) > 1]
    return ClassName(
        colors[0] if len(colors) == 1 else "",
        types[0] if len(types) == 1 else "",
        f"it names {' and '.join(doubts)}" if doubts else "",
    )


def canonical(label: str, text: str) -> str:
    """A class as the vocabulary calls it, e.g. "dress" for "vestidos"; what is only a kind of it, e.g. "jeans", stays.

    Args:
        label: "type" or "color".
        text: in lower case.
    """
    words = tuple(words_of(text))
    kind, value = _names().get(words, ("", ""))
    return value if kind == label and " ".join(words) not in _kinds() else text


def class_values(label: str) -> list[str]:
    """The colors, or the types, that names can say."""
    return list(dict.fromkeys(value for kind, value in _names().values() if kind == label))


def words_of(name: str) -> list[str]:
    """Words without case and accents, split at what is no letter, at numbers, and at capitals inside."""
    plain = unicodedata.normalize("NFKD", re.sub(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Þ])", " ", unicodedata.normalize("NFC", name)))
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    return re.findall(r"[^\W\d_]+|\d+", letters.replace("'", ""))


def _glued(word: str) -> list[tuple[str, str]]:
    """The color and the type of a word such as "blackdress"."""
    for at in range(3, len(word) - 2):
        pair = [_names().get((part,), ("", "")) for part in (word[:at], word[at:])]
        if sorted(kind for kind, _ in pair) == ["color", "type"]:
            return pair
    return []


@cache
def _vocabulary() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("vocabulary.json").read_text(encoding="utf-8"))


@cache
def _kinds() -> frozenset[str]:
    return frozenset(_vocabulary()["kinds"])


@cache
def _names() -> Mapping[tuple[str, ...], tuple[str, str]]:
    """What each name of the vocabulary is, by its words: "type", "color", "shade" or "ignored", and which."""
    vocabulary = _vocabulary()
    names: dict[tuple[str, ...], tuple[str, str]] = {}
    for type_, words in vocabulary["types"].items():
        names |= _named(words, "type", type_)
    for color, about in vocabulary["colors"].items():
        names |= _named(about["words"], "color", color)
    for shade in ("lighter", "darker"):
        names |= _named([word for words in vocabulary[shade].values() for word in words], "shade", shade)
    return names | _named(vocabulary["ignored"], "ignored", "")


def _named(words: Sequence[str], kind: str, value: str) -> dict[tuple[str, ...], tuple[str, str]]:
    return {tuple(word.split()): (kind, value) for word in words}

"""What the app saw in a photo, as chips above the results. A click corrects it: see `templates/chips.html`.

A correction is words: what they name need not match the photo any more (`SearchOptions.words`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from cbir.errors import CbirError
from cbir.guesses import Seen
from cbir.labels import LABELS
from cbir.options import SearchOptions
from cbir.search import Query, Retriever
from cbir.ui.texts import Words

PERHAPS_FROM = 0.15  # least probability of a class that has a chip beside the most probable one


@dataclass(frozen=True)
class Choice:
    """A way to correct a label.

    Attributes:
        text: what people read.
        settings: what it changes of the search, as in `data-with` of the page.
    """

    text: str
    settings: str


@dataclass(frozen=True)
class Chip:
    """One label of the photo.

    Attributes:
        label: its name.
        text: what was seen, or what the visitor said instead.
        about: what a click does.
        choices: all classes, the most probable first; where it was corrected, the way back before them.
        perhaps: the next class, where it is probable too.
        is_sure: whether what was seen is sure.
        is_corrected: whether the visitor has said something else.
    """

    label: str
    text: str
    about: str
    choices: Sequence[Choice]
    perhaps: Choice | None
    is_sure: bool
    is_corrected: bool


def chips(retriever: Retriever, query: Query, options: SearchOptions, words: Words) -> list[Chip]:
    """What the app saw of each label; none without a photo, or where the bundle cannot tell."""
    wanted = retriever.wanted(options)
    said = {"type": wanted.types, "color": tuple(color.name for color in wanted.colors)}

    def choice(label: str, names: Sequence[str], text: str) -> Choice | None:
        changed = {**said, label: names}
        asked = words.described(" ".join(changed["color"]), " ".join(changed["type"]))
        try:
            retriever.wanted(replace(options, words=asked, color=""))
        except CbirError:  # a class that words have no name for
            return None
        return Choice(text, urlencode({"words": asked, "color": ""}))

    def chip(label: str, seen: Seen) -> Chip:
        (name, share), *others = seen.shares
        shown = words("seen", name=words.noun(name), share=words.percent(share))
        named = ", ".join(map(words.noun, said[label]))
        if named:
            text = words("seen_corrected", name=named)
        elif seen.is_sure:
            text = shown
        else:  # where all is unsure, that stands before the chips
            text = words(f"seen_unsure_{label}", seen=shown) if is_any_sure else words("seen_perhaps", name=shown)
        back = [choice(label, (), words("seen_back"))] if named else []
        classes = [
            choice(label, (other,), words("seen", name=words.noun(other), share=words.percent(part)))
            for other, part in seen.shares
        ]
        is_unknown = label == "color" and not seen.is_sure and not named
        about = words("seen_unknown_color" if is_unknown else f"seen_correct_{label}")
        second, its_share = others[0] if others else ("", 0.0)
        perhaps = None
        if its_share >= PERHAPS_FROM and not named:
            perhaps = choice(label, (second,), words("seen_perhaps", name=words.noun(second)))
        return Chip(
            label,
            text,
            about,
            [one for one in (*back, *classes) if one],
            perhaps,
            seen.is_sure,
            bool(named),
        )

    found = retriever.seen(query)
    is_any_sure = any(seen.is_sure or said[label] for label, seen in found.items())
    return [chip(label, found[label]) for label in LABELS if label in found]

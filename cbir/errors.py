"""What a user of the software can do wrong, as exceptions with one clear line.

    CbirError
    ├── ImageError        a photo cannot be read
    ├── NoPhotosError     none of several photos can be read
    ├── UnknownNameError  no method, task, backbone or id of that name
    ├── BackboneError     weights are missing or do not fit the network
    ├── BundleError       a bundle is missing, damaged or made for something else
    ├── DataError         a dataset is not laid out as expected
    └── HubError          the Hub refuses
        └── HubUnreachableError  the Hub does not answer

Each message says what was expected, what was given and what to do. Scripts print it and exit with 2, the app
shows it as `gr.Error`, in the visitor's language. Everything else that is raised is a bug and stays loud.
"""

import re
import string
from collections.abc import Iterable, Mapping
from reprlib import Repr

MAX_QUOTED = 60  # characters of what somebody gave, where a message quotes it
_MAX_VALUE = 1000  # characters of any value; lists of known names are the longest


class _Quoting(Repr):
    """Quotes a few words of a value, whatever it is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 2

    def repr_str(self, x: str, level: int) -> str:
        """The beginning of a text."""
        return repr(x if len(x) <= MAX_QUOTED else x[: MAX_QUOTED - 1] + "…")

    def repr_int(self, x: int, level: int) -> str:
        """A number, or its size: Python writes no number of thousands of digits."""
        return repr(x) if abs(x) < 10**20 else f"a number of {x.bit_length():,} bits"

    def repr_instance(self, x: object, level: int) -> str:
        """The beginning of what it calls itself."""
        text = repr(x)
        return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 1] + "…"


class _Filler(string.Formatter):
    """As `str.format`, but what `!r` quotes, and every value, is cut to a length that one can read."""

    def convert_field(self, value: object, conversion: str | None) -> object:
        if conversion == "r":
            return _QUOTING.repr(value)
        text = super().convert_field(value, conversion)
        return text if not isinstance(text, str) or len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 1] + "…"


_QUOTING, _FILLER = _Quoting(), _Filler()
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")  # breaks lines, or cannot be written


def filled(template: str, values: Mapping[str, object]) -> str:
    """A template with its values: one line, however long or odd the values are."""
    return _UNSEEN.sub(" ", _FILLER.vformat(template, (), values)) if values else template


class Message(str):
    """One line of English that keeps what it was made of, so that another language can say it (`cbir.ui.texts`).

    Args:
        template: the line, with the names of values in braces; taken literally where there are no values.
        values: what to fill in.
    """

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, /, **values: object) -> "Message":
        """Fills the template."""
        message = super().__new__(cls, filled(template, values))
        message.template, message.values = template, values
        return message


class CbirError(Exception):
    """Root of all errors that a user can mend; arguments as for `Message`, which `message` is."""

    def __init__(self, template: str, /, **values: object) -> None:
        self.message = Message(template, **values)
        super().__init__(str(self.message))


class ImageError(CbirError):
    """A photo cannot be read."""


class NoPhotosError(CbirError):
    """None of several photos can be read; `unreadable` has for the id of each why."""

    def __init__(self, unreadable: Mapping[str, str]) -> None:
        self.unreadable = unreadable
        reasons = "; ".join(f"{id}: {why}" for id, why in list(unreadable.items())[:3])
        super().__init__(
            "expected at least one readable photo, got {n} unreadable ones ({reasons})",
            n=len(unreadable),
            reasons=reasons,
        )


class UnknownNameError(CbirError):
    """A name is not in its registry.

    Args:
        kind: what was looked up, e.g. "method".
        name: what was given.
        known: the names that exist; the first few are listed where there are more than 20.
        n: how many there are; None where `known` are all.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str], n: int | None = None) -> None:
        names = list(known)
        n = len(names) if n is None else n
        if n <= 20:
            listed = ", ".join(names)
            super().__init__("unknown {kind} {name!r}: expected one of {names}", kind=kind, name=name, names=listed)
        else:
            listed = ", ".join(names[:3])
            super().__init__(
                "unknown {kind} {name!r}: expected one of {names}, … ({n} in all)",
                **{"kind": kind, "name": name, "names": listed, "n": n},
            )


class BackboneError(CbirError):
    """Weights are missing or do not fit the network."""


class BundleError(CbirError):
    """A bundle is missing, damaged or made for something else."""


class DataError(CbirError):
    """A dataset is not laid out as expected."""


class HubError(CbirError):
    """The Hub refuses."""


class HubUnreachableError(HubError):
    """The Hub does not answer."""

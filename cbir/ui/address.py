"""The address of a search: what stands behind the `?` restores it, also after a restart.

    ?id=red_shirt/3.png&method=cosine&match=type&k=24&types=shirt&colors=red&colors=blue&also=least_similar

Settings that are as at the start are left out. An upload has no id: its address restores the settings alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlencode

from cbir.errors import CbirError
from cbir.options import OPTIONS, Option, SearchOptions
from cbir.ui.inputs import checked_options

ALSO = "also"  # lists the options that are true
FLAGS = tuple(option.parameter for option in OPTIONS if option.is_flag)
NAMES = ("id", *(option.parameter for option in OPTIONS if not option.is_flag), ALSO, "crop")  # in the address


@dataclass(frozen=True)
class SearchState:
    """What the page is asked for, as its controls hold it, except for photos from outside.

    Attributes:
        id: gallery item that is the query; "" where there is no such item.
        crop: the part of the photo to search with, as `cbir.ui.inputs.crop_of` reads it; "" for all of it.
        values: of the options, by the names of their parameters.
    """

    id: str = ""
    crop: str = ""
    values: Mapping[str, Any] = field(default_factory=lambda: {o.parameter: o.at_rest for o in OPTIONS})

    def with_values(self, **values: object) -> "SearchState":
        """The same with other values for some options."""
        return replace(self, values={**self.values, **values})

    def options(self) -> SearchOptions:
        """The search; its checks raise `CbirError`. Where a control rests the option is not asked for."""
        asked = {o.parameter: self.values[o.parameter] for o in OPTIONS if self.values[o.parameter] != o.at_rest}
        return checked_options(SearchOptions.of(asked))

    def query_string(self, start: "SearchState") -> str:
        """The address behind the `?`, without what is as in `start`."""
        before = start._named()
        values = {name: value for name, value in self._named().items() if value != before[name]}
        return urlencode(values, doseq=True, safe="/,")

    def _named(self) -> dict[str, Any]:
        """The values by `NAMES`."""
        named = {option.parameter: self.values[option.parameter] for option in OPTIONS if not option.is_flag}
        return {"id": self.id, **named, ALSO: [name for name in FLAGS if self.values[name]], "crop": self.crop}

    @staticmethod
    def from_query_string(text: str, start: "SearchState") -> "SearchState":
        """Reads an address; names that it does not know are ignored, they may be somebody else's.

        Raises:
            CbirError: a number is not in its range, or `also` lists something unknown.
        """
        given = parse_qs(text.removeprefix("?").partition("#")[0])
        values = {o.parameter: _read(o, given[o.parameter]) for o in OPTIONS if not o.is_flag and o.parameter in given}
        if ALSO in given:
            values |= flags_of(given[ALSO])
        photo: dict[str, Any] = {name: given[name][-1] for name in ("id", "crop") if name in given}
        return replace(start.with_values(**values), **photo)


def flags_of(names: Sequence[str]) -> dict[str, bool]:
    """Which options are true, by the names of their parameters, where those that are were listed.

    Raises:
        CbirError: another name is listed.
    """
    for name in names:
        if name not in FLAGS:
            raise CbirError("unknown wish {name!r}: expected some of {names}", name=name, names=", ".join(FLAGS))
    return {name: name in names for name in FLAGS}


def _read(option: Option, texts: list[str]) -> str | float | list[str]:
    if option.is_list:
        return texts
    if option.slider is None:
        return texts[-1]
    low, high, _ = option.slider
    try:
        number = float(texts[-1])
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise CbirError(
            "expected {name} from {low} to {high} in the address, got {text!r}",
            **{"name": option.parameter, "low": low, "high": high, "text": texts[-1]},
        )
    return int(number) if option.type is int else number

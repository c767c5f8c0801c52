"""The address of a search: what stands behind the `?` restores it, also after a restart.

    ?id=red_shirt/3.png&method=cosine&match=type&k=24&type=shirt&color=red&color=blue

Settings that are as at the start are left out. An upload has no id: its address restores the settings alone.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import parse_qs, urlencode

from cbir.errors import CbirError
from cbir.search import DEFAULT_K, DEFAULT_TASK, SearchOptions

FLAGS = ("other_colors", "least_similar", "hide_near_duplicates")  # of `SearchOptions`
MAX_K = 60  # pictures on one page
EVEN = 0.5  # weight of the color where type and color count alike


@dataclass(frozen=True)
class Asked:
    """What the page asks for, as its controls hold it, but for photos from outside.

    Attributes:
        id: gallery item that is the query; "" for none.
        method: name of the similarity method.
        match: name of the task.
        k: number of results.
        type: types to show; none for any.
        color: colors to show; none for any.
        weight: of the color, from 0 to 1.
        also: names of `FLAGS` that are on.
        crop: the part of the photo to search with, as `crop_of` reads it; "" for all of it.
    """

    id: str = ""
    method: str = ""
    match: str = DEFAULT_TASK
    k: int = DEFAULT_K
    type: list[str] = field(default_factory=list)
    color: list[str] = field(default_factory=list)
    weight: float = EVEN
    also: list[str] = field(default_factory=list)
    crop: str = ""

    def options(self) -> SearchOptions:
        """The search; its checks raise `CbirError`. An even weight is no weight, which every method can."""
        unknown = [name for name in self.also if name not in FLAGS]
        if unknown:
            raise CbirError(f"unknown wish {unknown[0]!r}: expected some of {', '.join(FLAGS)}")
        flags = {name: name in self.also for name in FLAGS}
        weight = None if self.weight == EVEN else self.weight
        return SearchOptions(self.method, self.match, self.k, tuple(self.type), tuple(self.color), weight, **flags)

    def query_string(self, start: "Asked") -> str:
        """The address behind the `?`, without what is as in `start`."""
        values = {
            f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != getattr(start, f.name)
        }
        return urlencode(values, doseq=True, safe="/,")

    @staticmethod
    def from_query_string(text: str, start: "Asked") -> "Asked":
        """Reads an address; names it does not know are ignored, they may be somebody else's.

        Raises:
            CbirError: k or weight is no number in its range.
        """
        given = parse_qs(text.removeprefix("?").partition("#")[0])
        values: dict[str, Any] = {
            f.name: given[f.name] if isinstance(getattr(start, f.name), list) else given[f.name][-1]
            for f in fields(start)
            if f.name in given
        }
        if "k" in values:
            values["k"] = int(_number("k", values["k"], 1, MAX_K))
        if "weight" in values:
            values["weight"] = _number("weight", values["weight"], 0, 1)
        return replace(start, **values)


def crop_of(text: str) -> tuple[float, float, float, float] | None:
    """Reads "left, top, right, bottom" in percent of width and height, as fractions; None for the whole photo.

    Raises:
        CbirError: these are not four numbers. Whether they make a part is for `cbir.images.crop_image` to say.
    """
    if not text.strip():
        return None
    try:
        left, top, right, bottom = (float(number) / 100 for number in text.replace(";", ",").split(","))
    except ValueError:
        raise CbirError(
            f"expected a crop as four percentages left, top, right, bottom, e.g. 10, 0, 90, 50, got {text[:60]!r}"
        ) from None
    return left, top, right, bottom


def _number(name: str, text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise CbirError(f"expected {name} from {low} to {high} in the address, got {text[:60]!r}")
    return number

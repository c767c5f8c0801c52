"""What a search can be asked for. Every option is one field of `SearchOptions`.

The command line, the endpoints, the address of a search and the controls of the page are made from `OPTIONS`. A new
option is one more field here, its texts in `cbir/ui/locales/`, and what it does, in `cbir.ranking`.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, get_type_hints

from cbir.errors import CbirError, UnknownNameError
from cbir.labels import TASKS, Task
from cbir.similarity import SIMILARITIES
from cbir.words import read_color

DEFAULT_TASK = "both"
DEFAULT_K = 12


def _option(default: object, help: str, **more: object) -> Any:  # noqa: ANN401 - fields have many types
    """A field of `SearchOptions`; arguments as the attributes of `Option`."""
    return field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True)
class SearchOptions:
    """What a search should do; all of it can be combined.

    Attributes:
        method: a name in `SIMILARITIES` that the bundle has a model for; "" for the bundle's default.
        task: a name in `TASKS`.
        k: number of matches, at least 1; more than there are gives all.
        types: only items with one of these types; empty for any. Applied before ranking: k matches come if k exist.
        colors: only items with one of these colors; empty for any.
        weight: how much the color counts against the type, from 0 (type alone) to 1 (color alone); None is a half.
            For learned methods, and the task "both"; for all, where a color is searched for. The score is
            type^(2 (1 - weight)) * color^(2 weight): a probability at a half only, and the square of the type's score
            at 0.
        other_colors: same type, other colors. Scores the task "type" in place of `task` and leaves out items of the
            query's color. Where a color is unknown, the one that the photo most probably shows counts.
        least_similar: the other end of the ranking first; items of equal score are still in order of id.
        hide_near_duplicates: leave out photos that show the same picture as the query or as a better-ranked match.
        words: names of types and colors, e.g. "pink shirt", see `cbir.words`; "" for none. What they name need not
            match a photo: its score is multiplied by how well items fit the words. Without a photo, that alone ranks.
        color: a color as `cbir.words.read_color` takes it, likewise; "" for none.

    Raises:
        CbirError: a value makes no sense, alone or with the others.
        UnknownNameError: no such method or task.
    """

    method: str = _option(
        "", "name of the similarity method, by default the bundle's first choice", choices=tuple(SIMILARITIES)
    )
    task: str = _option(DEFAULT_TASK, "what should match", parameter="match", choices=tuple(TASKS))
    k: int = _option(DEFAULT_K, "number of results, at least 1; more than there are gives all", slider=(1, 60, 1))
    types: tuple[str, ...] = _option((), "only pictures with one of these types", label="type")
    colors: tuple[str, ...] = _option((), "only pictures with one of these colors", label="color")
    weight: float | None = _option(
        None,
        "how much the color counts against the type, from 0 (type alone) to 1 (color alone); evenly by default",
        slider=(0, 1, 0.05),
        rest=0.5,
    )
    other_colors: bool = _option(False, "the same type in other colors than the query's")
    least_similar: bool = _option(False, "the least similar first")
    hide_near_duplicates: bool = _option(
        False, "leave out pictures that show the same as the query or as a better match"
    )
    words: str = _option("", "type and color to look for in words, e.g. pink shirt, or vestido amarelo")
    color: str = _option(
        "", "color to look for, #rrggbb or its name: how much of the garment has it counts", is_swatch=True
    )

    def __post_init__(self) -> None:
        """Checks what can be checked without a bundle."""
        for option in OPTIONS:
            value = getattr(self, option.name)
            if option.choices and value != option.default and value not in option.choices:
                raise UnknownNameError(option.name, value, option.choices)
            if option.is_flag and not isinstance(value, bool):
                raise CbirError("expected true or false for {name}, got {value!r}", name=option.name, value=value)
            if option.type is str and not isinstance(value, str):
                raise CbirError("expected {name} as text, got {value!r}", name=option.name, value=value)
            if option.is_list:
                if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
                    raise CbirError("expected {name} as a list of names, got {value!r}", name=option.name, value=value)
                object.__setattr__(self, option.name, tuple(value))
        if self.color.strip():
            read_color(self.color)
        if type(self.k) is not int or self.k < 1:
            raise CbirError("expected a whole number of results of at least 1, got {value!r}", value=self.k)
        if self.other_colors and self.task == "color":
            raise CbirError("other colors cannot be asked for where the color should match: choose another match")
        if self.weight is not None:
            if type(self.weight) not in (int, float) or not 0 <= self.weight <= 1:
                raise CbirError("expected a weight of the color from 0 to 1, got {value!r}", value=self.weight)
            if not self.description and (len(self.scored_task.labels) == 1 or self.scored_task.is_blind):
                raise CbirError("a weight needs two labels that should match: match both, or give no weight")

    @staticmethod
    def of(values: Mapping[str, Any]) -> "SearchOptions":
        """Options given by the names of their parameters; None, or none of that name, stands for the default."""
        given = {option.name: values.get(option.parameter) for option in OPTIONS}
        return SearchOptions(**{name: value for name, value in given.items() if value is not None})

    def parameters(self) -> dict[str, Any]:
        """The values by the names of their parameters, as `json.dumps` takes them."""
        values = {option.parameter: getattr(self, option.name) for option in OPTIONS}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @property
    def description(self) -> str:
        """Words and color as they were given; "" where a photo alone is to search."""
        return " ".join(filter(None, [self.words.strip(), self.color.strip()]))

    @property
    def scored_task(self) -> Task:
        """The task that items are scored for, if words name nothing that should match."""
        return TASKS["type" if self.other_colors else self.task]


@dataclass(frozen=True)
class Option:
    """A field of `SearchOptions`, as those who ask for it see it.

    Attributes:
        name: of the field.
        type: of the field.
        default: of the field.
        help: one line for programs and the command line.
        parameter: its name everywhere else: in the endpoints, in JSON, as `--parameter` on the command line, in the
            address, in the locales and among the page's controls.
        choices: what it may be; empty for what depends on the gallery, and for numbers.
        label: it takes values of this label that the gallery has; "" for no label.
        slider: least, largest and step of the page's control and of the address; the library may take more.
        rest: what the page's control shows for None.
        is_swatch: whether it is a color, to be picked by eye.
    """

    name: str
    type: Any
    default: Any
    help: str
    parameter: str
    choices: tuple[str, ...] = ()
    label: str = ""
    slider: tuple[float, float, float] | None = None
    rest: float | None = None
    is_swatch: bool = False

    @property
    def is_list(self) -> bool:
        """Whether it takes several names."""
        return self.type == tuple[str, ...]

    @property
    def is_flag(self) -> bool:
        """Whether it is true or false."""
        return self.type is bool

    @property
    def is_text(self) -> bool:
        """Whether it is typed."""
        return self.type is str and not self.choices and not self.is_swatch

    @property
    def at_rest(self) -> str | float | list[str] | None:
        """What the page's control holds where the option is not asked for."""
        return list(self.default) if self.is_list else self.rest if self.default is None else self.default


def _read(field: Field, type: object) -> Option:
    more = dict(field.metadata)
    parameter = more.pop("parameter", field.name)
    return Option(field.name, type, field.default, more.pop("help"), parameter, **more)


_TYPES = get_type_hints(SearchOptions)
OPTIONS = tuple(_read(field, _TYPES[field.name]) for field in fields(SearchOptions))
DEFAULT_OPTIONS = SearchOptions()

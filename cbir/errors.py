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

from collections.abc import Iterable, Mapping


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
        message = super().__new__(cls, template.format(**values) if values else template)
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
        known: the names that exist; at most the first 20 are listed.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        names = list(known)
        first = ", ".join(names[:20])
        if len(names) <= 20:
            super().__init__("unknown {kind} {name!r}: expected one of {names}", kind=kind, name=name, names=first)
        else:
            super().__init__(
                "unknown {kind} {name!r}: expected one of {names}, … ({n} in all)",
                **{"kind": kind, "name": name, "names": first, "n": len(names)},
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

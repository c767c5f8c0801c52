"""What a user of the software can do wrong, as exceptions with one clear line.

    CbirError
    ├── ImageError        a photo cannot be read
    ├── UnknownNameError  no method, task, backbone or id of that name
    ├── BackboneError     weights are missing or do not fit the network
    ├── BundleError       a bundle is missing, damaged or made for something else
    ├── DataError         a dataset is not laid out as expected
    └── HubError          the Hub refuses
        └── HubUnreachableError  the Hub does not answer

Each message says what was expected, what came and what to do. Scripts print it and exit with 2, the app
shows it as `gr.Error`. Everything else that is raised is a bug and stays loud.
"""

from collections.abc import Iterable


class CbirError(Exception):
    """Root of all errors that a user can mend."""


class ImageError(CbirError):
    """A photo cannot be read."""


class UnknownNameError(CbirError):
    """A name is not in its registry.

    Args:
        kind: what was looked up, e.g. "method".
        name: what came.
        known: the names that exist; at most the first 20 are listed.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        names = list(known)
        shown = ", ".join(names[:20]) + (f", … ({len(names)} in all)" if len(names) > 20 else "")
        super().__init__(f"unknown {kind} {name!r}: expected one of {shown}")


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

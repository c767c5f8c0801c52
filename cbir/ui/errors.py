"""The one place where an exception becomes something that a user reads."""

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gradio as gr

from cbir.errors import CbirError
from cbir.ui.texts import Words

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)


def clear_errors(handler: Callable[P, R]) -> Callable[P, R]:
    """Show what the user can mend as one clear line; log a bug in full and show that it is ours."""

    @functools.wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except CbirError as error:
            raise gr.Error(str(error), print_exception=False) from error
        except Exception as error:
            log.exception("bug in %s", handler.__qualname__)
            raise gr.Error(Words()("bug"), print_exception=False) from error

    return wrapped

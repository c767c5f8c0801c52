"""The one place where an exception becomes something that a user reads."""

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gradio as gr

from cbir.errors import CbirError
from cbir.ui.log import call
from cbir.ui.texts import Words
from cbir.ui.turns import AbandonedError

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)


def show_errors(handler: Callable[P, R]) -> Callable[P, R]:
    """Shows what the user can mend as one clear line; logs a bug in full and shows that it is ours.

    Visitors of the page, whose handlers take a `gr.Request`, read it in their language, programs in English.
    """

    @functools.wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        words = Words.of(next((value for value in args if isinstance(value, gr.Request)), None))
        # Endpoints go by their names; events of the page have names that change.
        place = f"/{handler.__name__}" if handler.__qualname__.startswith("Endpoints.") else "page"
        try:
            with call(place):
                return handler(*args, **kwargs)
        except AbandonedError:
            raise
        except CbirError as error:
            raise gr.Error(words.message(error.message), print_exception=False) from error
        except Exception as error:
            log.exception("bug in %s", handler.__qualname__)
            raise bug(words) from error

    return wrapped


def bug(words: Words) -> gr.Error:
    """What people read of a mistake of ours."""
    return gr.Error(words("bug"), print_exception=False)

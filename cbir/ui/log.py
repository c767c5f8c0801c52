"""The log of the app: what serves, and a line for each search, without anything of the person who searches."""

import contextvars
import logging
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

from cbir.compare import Comparison
from cbir.errors import CbirError
from cbir.features.backbone import Backbone
from cbir.ranking import SearchResult
from cbir.search import Retriever
from cbir.ui.zero_gpu import device_of
from cbir.version import API_VERSION, __version__

LIBRARIES = ("gradio", "torch", "timm")  # named, so that a log says which they are

log = logging.getLogger(__name__)
_call: contextvars.ContextVar[tuple[str, float]] = contextvars.ContextVar("call", default=("", 0.0))


def started(retriever: Retriever, backbone: Backbone) -> None:
    """Logs what serves."""
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    log.info(
        "apparel-cbir %s, endpoints %s, Python %s, %s", __version__, API_VERSION, platform.python_version(), libraries
    )
    bundle, made = retriever.bundle, retriever.bundle.manifest
    source = f"{made.dataset.repo}@{made.dataset.revision}" if made.dataset.repo else made.dataset.name
    log.info(
        "bundle %s, revision %s: %d photos of %s, licence %s, made by apparel-cbir %s",
        *(bundle.repo or made.title, bundle.revision, len(retriever.index), source),
        *(made.dataset.licence or "not stated", made.version),
    )
    weights = backbone.describe().weights
    log.info(
        "backbone %s on %s in %s: weights %s, licence %s",
        *(backbone.name, device_of(backbone), backbone.precision, weights.origin, weights.licence or "not stated"),
    )
    if bundle.notice:
        log.warning("%s", bundle.notice)


@contextmanager
def call(name: str) -> Iterator[None]:
    """Names a call and takes its time, for the lines logged meanwhile.

    Args:
        name: of the endpoint, e.g. "/search", or "page".
    """
    token = _call.set((name, time.perf_counter()))
    try:
        yield
    except CbirError as error:
        log.info("refused at=%s error=%s all=%.3fs", name, type(error).__name__, _seconds())
        raise
    finally:
        _call.reset(token)


def searched(result: SearchResult) -> None:
    """Logs a search: neither what was searched with nor what was found."""
    log.info(
        "search at=%s by=%s method=%s match=%s k=%d found=%d confident=%s search=%.3fs all=%.3fs",
        *(_call.get()[0], _by(result), result.method or "-", result.task or "-", result.options.k),
        *(len(result.matches), "yes" if result.is_confident else "no", result.seconds, _seconds()),
    )


def compared(comparison: Comparison) -> None:
    """Logs a search by every method."""
    results = [matches.result for matches in comparison.by_method.values()]
    first = results[0]
    log.info(
        "compare at=%s by=%s methods=%d match=%s k=%d search=%.3fs all=%.3fs",
        *(_call.get()[0], _by(first), len(results), first.task, first.options.k),
        *(sum(result.seconds for result in results), _seconds()),
    )


def _by(result: SearchResult) -> str:
    return "id" if result.query_id else "photo" if result.method else "words"


def _seconds() -> float:
    return time.perf_counter() - _call.get()[1]

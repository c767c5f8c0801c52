"""Content-based image retrieval over photos of clothes.

from cbir import Retriever, SearchOptions, load_bundle

result = Retriever(load_bundle()).search("photo.jpg", SearchOptions(k=5, colors=("red",)))
"""

from cbir import starting  # noqa: F401 - first: Ctrl-C ends what is still being imported
from cbir.bundle import Bundle, load_bundle, save_bundle
from cbir.errors import CbirError
from cbir.gallery import Gallery
from cbir.options import SearchOptions
from cbir.ranking import Match, SearchResult
from cbir.search import Retriever
from cbir.version import __version__

__all__ = [
    "Bundle",
    "CbirError",
    "Gallery",
    "Match",
    "Retriever",
    "SearchOptions",
    "SearchResult",
    "__version__",
    "load_bundle",
    "save_bundle",
]

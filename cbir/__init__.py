"""Content-based image retrieval over photos of clothes.

from cbir import Retriever, load_bundle

result = Retriever(load_bundle()).search("photo.jpg", k=5)
"""

from cbir.bundle import Bundle, load_bundle, save_bundle
from cbir.errors import CbirError
from cbir.gallery import Gallery
from cbir.search import Match, Retriever, SearchResult

__all__ = ["Bundle", "CbirError", "Gallery", "Match", "Retriever", "SearchResult", "load_bundle", "save_bundle"]

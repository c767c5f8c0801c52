"""The app: what a person sees and what a program calls, on top of a `Retriever`.

texts       every word that a person reads
errors      what a user did wrong -> one clear line
thumbnails  the gallery's pictures as files that the browser can fetch
address     a search as the part of the address behind the "?"
views       the parts of the page that are plain HTML
report      the page "How good is it?"
handlers    what happens in the page
page.js     what the page does by itself: history, links, the crop's frame, keys
api         what happens for programs: /search, /search_by_id, /random, /methods
layout      the page, and which handler each control calls
"""

from cbir.ui.layout import build_demo, launch

__all__ = ["build_demo", "launch"]

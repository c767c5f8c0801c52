"""The app: what a person sees and what a program calls, on top of a `Retriever`.

layout      the page: its controls, and which handler each control calls
theme       the look of Gradio's own components; style.css has the rest
page.js     what the page does by itself: history, links, the sheet of options, the crop's frame, keys
preload     scripts that the browser should ask for at once
examples    photos to try the search with
handlers    what happens in the page
address     a search as the part of the address behind the "?"
inputs      reading what browsers and programs send
api         what happens for programs: /search, /search_by_id, /search_together, /search_many, /facets, /compare,
            /explain, /random, /methods
views       the parts of the page that are plain HTML, and `report`, the page "How good is it?"
templating  HTML from templates/
texts       every word that a person reads, from locales/
errors      what a user did wrong -> one clear line
log         what serves, and a line for each search
routes      what the server answers beside Gradio: /health, /version, the catalogue's pictures
tools       the endpoints as tools for agents (MCP)
zero_gpu    embedding on GPUs that the Hub lends to a Space
thumbnails  the gallery's pictures as files that the browser can fetch
heat        heat maps as pictures
fetch       photos from addresses that strangers gave
"""

from cbir.ui.layout import build_demo, launch

__all__ = ["build_demo", "launch"]

"""Every word that a person reads in the app, so that they are easy to mend and to translate."""

from html import escape

from cbir.bundle import Bundle
from cbir.gallery import Gallery
from cbir.pairs import TASKS
from cbir.search import SearchResult
from cbir.similarity import SIMILARITIES, Similarity

TITLE = "Apparel CBIR"
TAGLINE = "Find clothes that look alike: start from a photo of yours, or from one of the catalogue."

PHOTO = "Your photo"
PHOTO_PLACEHOLDER = "Drop a photo of a garment here\nor click to upload"
PHOTO_ALT = "the photo that is searched with"
RANDOM = "Random photo"
SEED = "Seed"
MATCH = "What should match"
METHOD = "Method"
K = "Number of results"
SEARCH = "Search"
RESULTS = "Results"

BUG = "Something went wrong on our side. The log has the details; please try again or report it."
NO_PHOTO = "no photo: upload one, paste one, or press “Random photo” first"
NOT_UPLOADED = "image must be an uploaded file: pass gradio_client.handle_file(path)"

DRAWN_SHORT = "These garments are drawings, shipped so that the app works at once."
DRAWN_HOW = "Search your own photos"
DRAWN_PHOTOS = "Index a folder of photos and search it (labels are optional):"
DRAWN_TRAIN = "Or train on labelled photos, one folder per <code>color_type</code>, and serve the result:"


def heading(bundle: Bundle) -> str:
    """Title, tagline and what is searched, as HTML."""
    backbone = bundle.manifest.get("backbone", {}).get("name", "")
    facts = " · ".join(filter(None, [bundle.manifest.get("title", ""), f"{len(bundle.gallery):,} pictures", backbone]))
    return f"<h1>{TITLE}</h1><p>{TAGLINE}</p><p class='facts'>{escape(facts)}</p>"


def notices(bundle: Bundle) -> str:
    """What a visitor should know about this bundle, as HTML; empty when there is nothing to say."""
    parts = []
    if bundle.notice:
        parts.append(f"<div class='notice' role='status'>{escape(bundle.notice)}</div>")
    if bundle.manifest.get("dataset", {}).get("is_drawn"):
        parts.append(
            f"<details class='notice'><summary>{DRAWN_SHORT} <b>{DRAWN_HOW}</b></summary>"
            f"<p>{DRAWN_PHOTOS}</p><pre>python app.py --photos DIR</pre>"
            f"<p>{DRAWN_TRAIN}</p>"
            "<pre>python -m train.run --data DIR --out BUNDLE\npython app.py --bundle BUNDLE</pre></details>"
        )
    return "".join(parts)


def method_choice(method: Similarity) -> str:
    """Name of a method, and below it the line that explains it."""
    return f"{method.label}\n{method.explanation}"


def garment(labels: dict[str, str]) -> str:
    """Labels as one says them, e.g. "blue shirt"; empty when unknown."""
    return " ".join(filter(None, [labels.get("color"), labels.get("type")]))


def captions(result: SearchResult) -> list[str]:
    """A caption for each match, e.g. "1 · 0.93 · blue shirt"; small scores show more digits, alike for all."""
    best = result.matches[0].score if result.matches else 0
    digits = 2 if best >= 0.5 else 3 if best >= 0.05 else 4
    return [
        " · ".join(filter(None, [str(match.rank), f"{match.score:.{digits}f}", garment(match.labels)]))
        for match in result.matches
    ]


def duration(seconds: float) -> str:
    """A time as one reads it, e.g. "0.4 ms", "41 ms" or "1.2 s"."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"


def found(result: SearchResult, gallery: Gallery, picture: str) -> str:
    """The line above the results, with the query's picture (an address), as HTML."""
    query = ""
    if result.query_id is not None:
        labels = garment(gallery.labels_of(gallery.row(result.query_id)))
        query = f" to “{labels}”" if labels else " to this picture"
    facts = [
        SIMILARITIES[result.method].label,
        TASKS[result.task].label.lower(),
        f"{len(gallery):,} pictures in {duration(result.seconds)}",
    ]
    return _line(f"The {len(result.matches)} closest{query}", " · ".join(facts), picture)


def catalogue(gallery: Gallery) -> str:
    """The line above the pictures while there is no query, as HTML."""
    return _line("From the catalogue", f"{len(gallery):,} pictures · click one to search with it")


def _line(title: str, facts: str, picture: str = "") -> str:
    image = f"<img src='{escape(picture)}' alt=''>" if picture else ""
    return f"{image}<div><h2>{escape(title)}</h2><p>{escape(facts)}</p></div>"

"""The parts of the page that are plain HTML. Whatever comes from a bundle or a user is escaped here.

Links: an `<a data-search href="?…">` restores the search of that address, also in a new tab; what has a `data-id` makes
that picture the query (`page.js`).
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from urllib.parse import quote, urlencode

import numpy as np

from cbir.bundle import Bundle
from cbir.compare import Comparison
from cbir.explain import Explanation
from cbir.gallery import Gallery
from cbir.labels import LABELS
from cbir.search import SearchResult
from cbir.similarity import SIMILARITIES
from cbir.ui.heat import data_uri, overlay
from cbir.ui.texts import Words
from cbir.version import __version__

MAP_SIDE = 1000  # units of the drawing
# Points are in the color they stand for; one that is not named here is drawn in grey.
POINTS = {
    **{"black": "#1c1917", "blue": "#2563eb", "brown": "#92400e", "green": "#15803d", "red": "#dc2626"},
    **{"white": "#ffffff", "yellow": "#facc15", "pink": "#f472b6", "orange": "#f97316", "purple": "#7e22ce"},
}


def heading(bundle: Bundle, words: Words) -> str:
    """Title, tagline and what is searched."""
    pictures = words("pictures", n=words.number(len(bundle.gallery)))
    facts = " · ".join(
        filter(None, [words.bundle(bundle.manifest.title), pictures, bundle.manifest.backbone.name, f"v{__version__}"])
    )
    return f"<h1>{words('title')}</h1><p>{words('tagline')}</p><p class='facts'>{escape(facts)}</p>"


def notices(bundle: Bundle, words: Words) -> str:
    """What a visitor should know about this bundle; empty when there is nothing to say."""
    parts = []
    if bundle.notice:
        parts.append(f"<div class='notice' role='status'>{escape(bundle.notice)}</div>")
    if bundle.manifest.dataset.is_drawn:
        parts.append(
            f"<details class='notice'><summary>{words('drawn')} <b>{words('drawn_how')}</b></summary>"
            f"<p>{words('drawn_photos')}</p><pre tabindex='0'>python app.py --photos DIR</pre>"
            f"<p>{words('drawn_train')}</p><pre tabindex='0'>python -m train.run --data DIR --out BUNDLE\n"
            "python app.py --bundle BUNDLE</pre></details>"
        )
    return "".join(parts)


def captions(result: SearchResult, words: Words) -> list[str]:
    """A caption for each match, e.g. "1 · 0.93 · blue shirt"; small scores show more digits, alike for all."""
    best = max((match.score for match in result.matches), default=0)
    digits = 2 if best >= 0.5 else 3 if best >= 0.05 else 4
    return [
        " · ".join(filter(None, [str(match.rank), f"{match.score:.{digits}f}", words.garment(match.labels)]))
        for match in result.matches
    ]


def found(result: SearchResult, gallery: Gallery, picture: str, files: dict[str, str], words: Words) -> str:
    """The line above the results.

    Args:
        result: what was found.
        gallery: what was searched.
        picture: address of the query's picture.
        files: name of a file -> its text, for links that save it.
        words: the language.
    """
    title = words("found_far" if result.options.least_similar else "found", n=len(result.matches))
    if not result.matches:
        title = words("nothing")
    elif result.query_id is not None:
        garment = words.garment(gallery.labels_of(gallery.row(result.query_id)))
        title = words("found_to", found=title, garment=garment) if garment else words("found_to_picture", found=title)
    if not result.is_confident:
        title = words("unsure")
    method = SIMILARITIES[result.method]
    facts = [
        words.method(method.name, method.title),
        words(f"match_{result.task}").lower(),
        words("searched", n=words.number(len(gallery)), time=words.duration(result.seconds)),
    ]
    if not result.is_confident:
        facts.insert(0, words("unsure_facts", n=len(result.matches)))
    actions = []
    if result.query_id is not None:  # an upload has no address
        actions.append(f"<button data-copy='{words('copied')}'>{words('copy_link')}</button>")
    for name, text in files.items():
        kind = name.rpartition(".")[2]
        data = f"data:text/{'csv' if kind == 'csv' else 'plain'};charset=utf-8,{quote(text)}"
        actions.append(f"<a class='button' download='{escape(name)}' href='{data}'>{words(kind)}</a>")
    return _line(title, " · ".join(facts), picture, "".join(actions), "" if result.is_confident else "unsure")


def details(item_id: str, labels: Mapping[str, str], found: Explanation, settings: str, words: Words) -> str:
    """A result that was clicked on, and why it was found.

    Args:
        item_id: which.
        labels: what it shows.
        found: why.
        settings: address, behind the id, of the search that found it.
        words: the language.
    """
    garment = words.garment(labels) or item_id
    rows = "".join(
        f"<li><span>{escape(words.because(label, evidence))}</span>"
        f"<div class='meter' aria-hidden='true'><div style='width: {100 * evidence.agreement:.0f}%'></div></div></li>"
        for label, evidence in found.evidence.items()
    )
    likeness = words("likeness", value=words.decimal(found.likeness, 2))
    figures, facts = "", [likeness]
    if found.query_map and found.item_map:
        figures = "".join(
            f"<figure><img src='{data_uri(overlay(heat))}' alt='{words(caption)}'>"
            f"<figcaption>{words(caption)}</figcaption></figure>"
            for caption, heat in (("heat_query", found.query_map), ("heat_item", found.item_map))
        )
        facts += [words("heat_facts" if found.is_exact else "heat_roughly"), words("heat_thumbnail")]
    return (
        f"<div class='explanation'><div class='pictures'>{figures}</div>"
        f"<div class='why'><h3>{escape(garment)}</h3><p class='facts'>{escape(item_id)}</p><ul>{rows}</ul>"
        f"<p class='facts'>{' '.join(f'{fact.removesuffix(chr(46))}.' for fact in facts)}</p>"
        f"<div class='actions'><a class='button' data-search href='{escape(address(item_id, settings))}'>"
        f"{words('search_with')}</a><button data-close>{words('close')}</button></div></div></div>"
    )


def catalogue(gallery: Gallery, words: Words) -> str:
    """The line above the pictures while there is no query."""
    return _line(words("catalogue"), words("catalogue_facts", n=words.number(len(gallery))))


def _line(title: str, facts: str, picture: str = "", actions: str = "", class_: str = "") -> str:
    image = f"<img src='{escape(picture)}' alt=''>" if picture else ""
    actions = f"<div class='actions'>{actions}</div>" if actions else ""
    return f"{image}<div role='status' class='{class_}'><h2>{escape(title)}</h2><p>{escape(facts)}</p></div>{actions}"


def nothing_yet(words: Words) -> str:
    """What the comparison shows while there is no query."""
    return f"<p class='facts'>{words('nothing_to_compare')}</p>"


def comparison(found: Comparison, picture_of: Callable[[str], str], settings: Mapping[str, str], words: Words) -> str:
    """All methods side by side, then how far they agree.

    Args:
        found: from `cbir.compare.compare`.
        picture_of: address of an item's picture.
        settings: for each method the address, behind the id, of a search with it.
        words: the language.
    """
    shown = [
        words.garment({name: values[name] for name in found.judged_by})
        for values in ({name: found.labels.values[name][i] for name in LABELS} for i in range(found.n_photos))
    ]
    garments = ", ".join(dict.fromkeys(filter(None, shown)))
    intro = escape(words("compare_by" if found.is_certain else "compare_guess", garments=garments)) if garments else ""
    parts = []
    for name, matches in found.by_method.items():
        result = matches.result
        facts = words("no_score")
        if matches.precision is not None:
            n_agree = words.decimal(matches.precision * matches.n_judged, 1).removesuffix(",0").removesuffix(".0")
            facts = words("agrees_count", n=n_agree, of=matches.n_judged)
        items = "".join(
            f"<li class='{'agrees' if agrees else ''}'>"
            + picture_link(
                match.id,
                settings[name],
                picture_of(match.id),
                f"{caption} ✓" if agrees else caption,
            )
            + "</li>"
            for match, caption, agrees in zip(result.matches, captions(result, words), matches.agrees, strict=True)
        )
        label = escape(words.method(name, SIMILARITIES[name].title))
        parts.append(f"<section><h3>{label}</h3><p class='facts'>{facts}</p><ol>{items}</ol></section>")
    header = "".join(f"<th scope='col'>{escape(words.method(n, SIMILARITIES[n].title))}</th>" for n in found.by_method)
    both = {frozenset(a.methods): f"{words.percent(a.overlap)} / {words.decimal(a.rbo, 2)}" for a in found.agreements}
    rows = "".join(
        f"<tr><th scope='row'>{escape(words.method(a, SIMILARITIES[a].title))}</th>"
        + "".join(f"<td>{both.get(frozenset((a, b)), '–')}</td>" for b in found.by_method)
        + "</tr>"
        for a in found.by_method
    )
    return (
        f"<p class='facts'>{intro}</p>"
        f"<div class='methods' role='region' tabindex='0' aria-label='{words('compare')}'>{''.join(parts)}</div>"
        f"<h3>{words('agreement')}</h3><p class='facts'>{words('agreement_facts')}</p>"
        f"<div class='wide' role='region' tabindex='0' aria-label='{words('agreement')}'>"
        f"<table><thead><tr><td></td>{header}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def collection_map(
    gallery: Gallery, places: np.ndarray, query: np.ndarray | None, matches: Sequence[int], words: Words
) -> str:
    """The map: a point for each picture.

    Args:
        gallery: what is on the map.
        places: (g, 2), from `cbir.map.map_positions`.
        query: (2,), the place of the query; None for none.
        matches: rows of the results.
        words: the language.
    """
    low, high = places.min(axis=0), places.max(axis=0)
    if query is not None:
        low, high = np.minimum(low, query), np.maximum(high, query)
    margin = 0.02 * MAP_SIDE
    scale = (MAP_SIDE - 2 * margin) / np.maximum(high - low, 1e-9)

    def at(place: np.ndarray) -> str:
        x, y = margin + (place - low) * scale
        return f"cx='{x:.0f}' cy='{MAP_SIDE - y:.0f}'"

    garments = [words.garment(gallery.labels_of(row)) for row in range(len(gallery))]
    points = "".join(
        f"<circle {at(places[row])} r='7' fill='{POINTS.get(gallery.labels['color'][row], '#a8a29e')}' "
        f"data-id='{escape(str(gallery.ids[row]))}'><title>{escape(garments[row])}</title></circle>"
        for row in range(len(gallery))
    )
    marks = "".join(f"<circle class='match' {at(places[row])} r='13'/>" for row in matches)
    legend = ""
    if query is not None:
        marks += f"<circle class='query' {at(query)} r='20'/>"
        legend = (
            f"<span class='key query'>{words('map_query')}</span><span class='key match'>{words('map_results')}</span>"
        )
    facts = words("map_facts", n=words.number(len(gallery)))
    return (
        f"<p class='facts'>{facts} {legend}</p>"
        f"<svg viewBox='0 0 {MAP_SIDE} {MAP_SIDE}' role='img' aria-label='{words('map_label')}'>{points}{marks}</svg>"
    )


def picture_link(item_id: str, settings: str, picture: str, caption: str) -> str:
    """A picture with its caption; following it searches with that picture under the same settings."""
    return (
        f"<a data-search href='{escape(address(item_id, settings))}'>"
        f"<img src='{escape(picture)}' alt='{escape(caption)}' loading='lazy'><span>{escape(caption)}</span></a>"
    )


def address(item_id: str, settings: str) -> str:
    """Where the search with that picture is."""
    return "?" + "&".join(filter(None, [urlencode({"id": item_id}, safe="/"), settings]))

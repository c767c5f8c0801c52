"""The parts of the page that are plain HTML: what `templates/` are filled with.

What `page.js` makes of their attributes: an `<a data-search href="?…">` restores the search of that address, also in a
new tab; `data-id` makes that picture the query; `data-with="words=&types="` searches again with these lists and texts
changed.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote, urlencode

import numpy as np

from cbir.bundle import Bundle
from cbir.compare import Comparison, MethodMatches
from cbir.explain import Explanation
from cbir.gallery import Gallery
from cbir.guesses import UNSURE, Guess
from cbir.index import Index
from cbir.labels import LABELS
from cbir.photos import N_NAMED
from cbir.ranking import Match, SearchResult
from cbir.similarity import SIMILARITIES
from cbir.ui.chips import Chip
from cbir.ui.examples import Example
from cbir.ui.heat import data_uri, overlay
from cbir.ui.limits import MAX_UPLOAD, UPLOADS_KEPT
from cbir.ui.templating import render
from cbir.ui.texts import Words
from cbir.ui.thumbnails import Thumbnails
from cbir.version import __version__

PICTURE_SIZE = 1200, 630  # of what shared links show
MAP_SIDE = 1000  # units of the drawing
LEAST_NAMED = 3  # points that a group needs for a name on the map
UNKNOWN_COLOR = "#a8a29e"  # of points
# Points are in the color they stand for; one that is not named here is drawn in grey.
POINTS = {
    **{"black": "#1c1917", "blue": "#2563eb", "brown": "#92400e", "green": "#15803d", "red": "#dc2626"},
    **{"white": "#ffffff", "yellow": "#facc15", "pink": "#f472b6", "orange": "#f97316", "purple": "#7e22ce"},
}


def head(bundle: Bundle, address: str, words: Words) -> str:
    """What browsers and shared links show of the page, for its <head>.

    Args:
        bundle: what is searched.
        address: of the app, absolute.
        words: the language.
    """
    width, height = PICTURE_SIZE
    title = words.bundle(bundle.manifest.title)
    return render("head.html", words=words, bundle=title, address=address, width=width, height=height)


def heading(words: Words) -> str:
    """What the page is for."""
    return render("heading.html", words=words)


def foot(bundle: Bundle, index: Index, words: Words) -> str:
    """What is searched and with what, and how to search photos of one's own.

    Args:
        bundle: what is searched.
        index: what is searched of it.
        words: the language.
    """
    manifest = bundle.manifest
    pictures = words("pictures", n=words.number(len(index)))
    facts = [words.bundle(manifest.title), pictures, manifest.backbone.name, f"Apparel CBIR {__version__}"]
    if manifest.dataset.is_drawn:
        facts.append(words("drawn"))
    if index.has_guesses:
        facts.append(words("guesses_shown"))
    return render("foot.html", words=words, facts=filter(None, facts)) + about(bundle, words)


def about(bundle: Bundle, words: Words) -> str:
    """In one line who made it, where the photos are from, their licence, and how long uploads are kept; the rest of
    where everything is from unfolds below.
    """
    made = bundle.manifest
    dataset = made.dataset
    makers = bundle.repo.partition("/")[0] if bundle.repo else words("about_us") if dataset.is_drawn else ""
    facts = [
        words("about_by", who=makers) if makers else "",
        f"{words('about_photos')}: {dataset.repo or words.bundle(dataset.name)}",
        words("about_licence", licence=dataset.licence) if dataset.licence else words("about_no_licence"),
        words("about_uploads", hours=round(UPLOADS_KEPT / 3600)),
    ]
    origin: dict[str, object] = {
        "dataset": dataset,
        "repo": bundle.repo,
        "revision": bundle.revision,
        "version": made.version,
    }
    origin |= {"created": made.created, "backbone": made.backbone}
    return render("about.html", words=words, facts=filter(None, facts), **origin)


def notices(bundle: Bundle, words: Words) -> str:
    """What a visitor should know about this bundle; empty when there is nothing to say."""
    notice = words.message(bundle.notice) if bundle.notice else ""
    dataset = bundle.manifest.dataset
    left_out = {words.message(why): (found.count, found.names) for why, found in dataset.left_out.items()}
    if dataset.unreadable:
        named = tuple(f"{id} ({why})" for id, why in list(dataset.unreadable.items())[:N_NAMED])
        left_out = {words("unreadable"): (len(dataset.unreadable), named), **left_out}
    lists = [
        (words(key, n=words.number(sum(count for count, _ in found.values()))), found)
        for key, found in (
            ("left_out", left_out),
            ("not_understood", {words.message(w): (r.count, r.names) for w, r in dataset.remarks.items()}),
        )
        if found
    ]
    return render("notices.html", words=words, notice=notice, lists=lists)


def examples(examples: Sequence[Example], words: Words) -> str:
    """A row of photos to try the search with."""
    shown = [{"name": one.name, "picture": one.picture, "about": words(f"example_{one.name}")} for one in examples]
    return render("examples.html", words=words, examples=shown)


def tiles(result: SearchResult, thumbnails: Thumbnails, files: Mapping[str, str], words: Words) -> str:
    """The pictures that were found.

    Args:
        result: what was found.
        thumbnails: of the gallery.
        files: name of a file -> its text, for links that save it.
        words: the language.
    """
    n = len(result.matches)
    thumbnails.fetch([match.id for match in result.matches])
    shown = []
    for match in result.matches:
        garment, (alike, share) = words.garment(match.labels, match.guesses), _alike(match, words)
        name = words("tile", garment=garment or words("picture"), rank=match.rank, n=n, alike=alike)
        tile = {"id": match.id, "url": thumbnails.url(match.id), "garment": garment, "name": name}
        tile |= {"title": garment or words("picture"), "place": f"{match.rank} / {n}"}
        shown.append(tile | {"alike": alike, "percent": f"{100 * share:.0f}"})
    saved = [_file(*file) for file in files.items()] if shown else []
    has_link = result.query_id is not None or not result.method  # photos from outside are not kept
    return render("tiles.html", words=words, tiles=shown, browse=None, files=saved, has_link=has_link)


def catalogue_tiles(items: Gallery, thumbnails: Thumbnails, browsed: tuple[int, int, int], n: int, words: Words) -> str:
    """Pictures to search with.

    Args:
        items: which.
        thumbnails: of all.
        browsed: seed of their order, how many were asked for, and how many to add for "more".
        n: how many there are.
        words: the language.
    """
    seed, asked, step = browsed
    thumbnails.fetch(items.ids.tolist())
    shown = []
    for row, id in enumerate(items.ids.tolist()):
        garment = words.garment(items.labels_of(row), items.guesses_of(row))
        name = words("catalogue_tile", garment=garment or words("picture"))
        shown.append({"id": id, "url": thumbnails.url(id), "garment": garment, "name": name, "alike": "", "place": ""})
    browse = {"others": f"{seed + 1}:{step}", "more": f"{seed}:{asked + step}" if asked < n else ""}
    return render("tiles.html", words=words, tiles=shown, browse=browse if n > step else None, files=[])


def swatch(words: Words) -> str:
    """Where a color is picked by eye; `page.js` puts it into the words."""
    return render("swatch.html", words=words)


def dialogs(words: Words) -> str:
    """What opens over the page, empty: scripts of the page fill it."""
    return render("dialogs.html", words=words, max_upload=MAX_UPLOAD)


def captions(result: SearchResult, words: Words) -> list[str]:
    """A caption for each match, e.g. "blue shirt · 83 % alike"."""
    return [
        " · ".join(filter(None, [words.garment(match.labels, match.guesses), _alike(match, words)[0]]))
        for match in result.matches
    ]


def _alike(match: Match, words: Words) -> tuple[str, float]:
    """What a match has in common with the query, in words and as a share."""
    in_color = "" if match.color_share is None else words("caption_color", share=words.percent(match.color_share))
    if match.likeness is None:  # words alone were searched with
        share = match.color_share if in_color else match.probability
        return in_color or words("fits", share=words.percent(share)), share or 0.0
    alike = words("same_picture") if match.is_same_picture else words("alike", share=words.percent(match.likeness))
    return " · ".join(filter(None, [alike, in_color])), 1.0 if match.is_same_picture else match.likeness


def found(result: SearchResult, index: Index, picture: str, chips: Sequence[Chip], n_changed: int, words: Words) -> str:
    """The line above the results.

    Args:
        result: what was found.
        index: what was searched.
        picture: address of the query's picture; "" for a search without a photo.
        chips: what the app saw in it.
        n_changed: how many options are not as at the start.
        words: the language.
    """
    facts = [_method(result.method, words), words(f"match_{result.task}").lower()] if result.method else []
    facts.append(words("searched", n=words.number(len(index)), time=words.duration(result.seconds)))
    if result.is_shortlist:
        facts.append(words("shortlist"))
    if result.n_hidden:
        facts.append(words("hidden_duplicates", n=words.number(result.n_hidden)))
    options = result.options
    return render(
        "line.html",
        words=words,
        title=_title(result, index, words),
        why=words(f"doubt_{result.doubt}", n=len(result.matches)) if result.doubt else "",
        facts=facts,
        picture=picture,
        chips=chips,
        n_changed=n_changed,
        is_filtered=not result.matches and bool(options.types or options.colors),
    )


def catalogue(n: int, filters: tuple[list[str], list[str]], n_changed: int, words: Words) -> str:
    """The line above the pictures while there is no query.

    Args:
        n: how many the filters leave.
        filters: types and colors that were asked for.
        n_changed: how many options are not as at the start.
        words: the language.
    """
    return render(
        "line.html",
        words=words,
        title=words("catalogue") if n else _nothing(filters[0], filters[1], words),
        why="",
        facts=[words("catalogue_facts", n=words.number(n))] if n else [],
        picture="",
        chips=[],
        n_changed=n_changed,
        is_filtered=not n,
    )


def details(
    item_id: str,
    guesses: Mapping[str, Guess],
    found: Explanation | None,
    words: Words,
) -> str:
    """Why a result was found.

    Args:
        item_id: which.
        guesses: of what is not known of it.
        found: why; None where words alone were searched with.
        words: the language.
    """
    facts = [words("guessed", guesses=", ".join(map(words.guess, guesses.values())))] if guesses else []
    evidence, maps, heat_facts = [], [], []
    if found is not None:
        if found.probability is not None:
            facts.append(words("agree", share=words.percent(found.probability)))
        facts.append(words("likeness", share=words.percent(found.likeness)))
        evidence = [(words.because(label, e), f"{100 * e.agreement:.0f}") for label, e in found.evidence.items()]
        if found.query_map and found.item_map:
            pictures = (("query", "heat_query", found.query_map), ("item", "heat_item", found.item_map))
            maps = [(name, f"{words('heat_map')}: {words(of)}", data_uri(overlay(heat))) for name, of, heat in pictures]
            color = words.percent(found.query_map.color)
            exact = words("heat_facts", color=color) if found.is_exact else words("heat_roughly")
            heat_facts = [exact, words("heat_thumbnail")]
    shown = {"evidence": evidence, "maps": maps, "facts": facts, "heat_facts": heat_facts}
    return render("details.html", words=words, item_id=item_id, **shown)


def nothing_yet(words: Words) -> str:
    """What the comparison shows while there is no query."""
    return render("nothing_to_compare.html", words=words)


def comparison(found: Comparison, picture_of: Callable[[str], str], settings: Mapping[str, str], words: Words) -> str:
    """All methods side by side, then how far they agree.

    Args:
        found: from `cbir.compare.compare`.
        picture_of: address of an item's picture.
        settings: for each method the address, behind the id, of a search with it.
        words: the language.
    """
    garments = [
        words.garment({name: str(found.labels.values[name][photo]) for name in found.judged_by})
        for photo in range(found.n_photos)
    ]
    named = ", ".join(dict.fromkeys(filter(None, garments)))
    both = {frozenset(a.methods): f"{words.percent(a.overlap)} / {words.decimal(a.rbo, 2)}" for a in found.agreements}
    methods = [
        {
            "title": _method(name, words),
            "facts": _agreeing(matches, words),
            "matches": [
                {
                    "agrees": agrees,
                    "caption": f"{caption} ✓" if agrees else caption,
                    "picture": picture_of(match.id),
                    "address": address(match.id, settings[name]),
                }
                for match, caption, agrees in zip(
                    matches.result.matches, captions(matches.result, words), matches.agrees, strict=True
                )
            ],
            "agreements": [both.get(frozenset((name, other)), "–") for other in found.by_method],
        }
        for name, matches in found.by_method.items()
    ]
    introduction = words("compare_by" if found.is_certain else "compare_guess", garments=named) if named else ""
    return render("comparison.html", words=words, introduction=introduction, methods=methods)


def collection_map(
    items: Gallery,
    n_all: int,
    places: np.ndarray,
    query: np.ndarray | None,
    matches: Sequence[int],
    thumbnails: Thumbnails,
    words: Words,
) -> str:
    """The map: a point for each picture, or for some of many.

    Args:
        items: what is on the map, n pictures.
        n_all: how many there are in all.
        places: (n, 2), from `GalleryMap.positions`.
        query: (2,), the place of the query; None where there is no query.
        matches: rows of the results among the items.
        thumbnails: of all.
        words: the language.
    """
    all_places = places if query is None else np.vstack([places, query])
    low, high = all_places.min(axis=0), all_places.max(axis=0)
    # Whole numbers from 0 to 1000, across and down.
    across, up = (MAP_SIDE * (all_places - low) / np.maximum(high - low, 1e-9)).round().astype(int).T
    spots = np.column_stack([across, MAP_SIDE - up]).tolist()
    colors = list(POINTS)
    points: list[list[object]] = []
    types, shown_colors = (items.shown[name].tolist() for name in LABELS)
    thumbnails.fetch(items.ids.tolist())
    for row, id in enumerate(items.ids.tolist()):
        labels, guesses, (x, y) = items.labels_of(row), items.guesses_of(row), spots[row]
        color = colors.index(shown_colors[row]) if shown_colors[row] in POINTS else len(colors)
        points.append([x, y, color, id, words.garment(labels, guesses) or words("picture"), thumbnails.url(id)])
    drawing = {
        "points": points,
        "colors": [*POINTS.values(), UNKNOWN_COLOR],
        "groups": _groups(np.array(spots[: len(points)]), types, shown_colors, words),
        "matches": list(matches),
        "query": None if query is None else spots[-1],
    }
    n, of = words.number(len(items)), words.number(n_all)
    return render(
        "map.html",
        words=words,
        n=n if n == of else words("map_some", n=n, of=of),
        has_guesses=bool(items.is_guessed("color").any()),
        has_query=query is not None,
        has_matches=bool(matches),
        map=json.dumps(drawing, ensure_ascii=False, separators=(",", ":")),
    )


def _groups(spots: np.ndarray, types: Sequence[str], colors: Sequence[str], words: Words) -> list[dict[str, object]]:
    """Names of types, then of types in one color, each with where most of it is; the largest first.

    Args:
        spots: (n, 2) int, of points.
        types: n, "" where unknown.
        colors: likewise.
        words: the language.
    """
    groups = []
    for level, pairs in enumerate(([(type_, "") for type_ in types], list(zip(types, colors, strict=True)))):
        for (type_, color), n in Counter(pairs).most_common():
            if type_ in ("", UNSURE) or n < LEAST_NAMED or (level and color in ("", UNSURE)):
                continue
            at = _densest(spots[[pair == (type_, color) for pair in pairs]])
            name = words.garments([type_], [color] if color else [])
            groups.append({"name": name, "at": at, "level": level})
    return groups


def _densest(spots: np.ndarray) -> list[int]:
    """The middle of the points in the fullest field of a grid."""
    fields = (spots // (MAP_SIDE // 8)) @ [10, 1]
    return spots[fields == np.bincount(fields).argmax()].mean(axis=0).round().astype(int).tolist()


def address(item_id: str, settings: str) -> str:
    """Where the search with that picture is."""
    return "?" + "&".join(filter(None, [urlencode({"id": item_id}, safe="/"), settings]))


def _title(result: SearchResult, index: Index, words: Words) -> str:
    options = result.options
    if not result.matches:
        return _nothing(options.types, options.colors, words)
    if not result.is_confident:
        return words("unsure")
    title = words("found_far" if options.least_similar else "found", n=len(result.matches))
    if not result.method:
        return words("found_to", found=title, garment=options.description)
    if result.query_id is None:
        return title
    item = index.items([result.query_id])
    garment = words.garment(item.labels_of(0), item.guesses_of(0))
    return words("found_to", found=title, garment=garment) if garment else words("found_to_picture", found=title)


def _nothing(types: Sequence[str], colors: Sequence[str], words: Words) -> str:
    return words("none_of_these", garments=words.garments(types, colors)) if types or colors else words("nothing")


def _file(name: str, text: str) -> dict[str, str]:
    kind = name.rpartition(".")[2]
    media = "csv" if kind == "csv" else "plain"
    return {"name": name, "kind": kind, "data": f"data:text/{media};charset=utf-8,{quote(text)}"}


def _agreeing(matches: MethodMatches, words: Words) -> str:
    if matches.precision is None:
        return words("no_score")
    n = words.decimal(matches.precision * matches.n_judged, 1).removesuffix(",0").removesuffix(".0")
    return words("agrees_count", n=n, of=matches.n_judged)


def _method(name: str, words: Words) -> str:
    return words.method(name, SIMILARITIES[name].title)

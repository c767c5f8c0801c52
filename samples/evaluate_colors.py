"""Evaluates searching by color and by words, on drawings in known colors.

    python -m samples.evaluate_colors [--seed 1] [--readme docs/evaluation.md]

draws garments in the shades of `PALETTE` and in colors at random, and searches them with the embedded default's models,
without labels: by each garment's exact color, by names of colors, by words such as "pink shirt", and by a picture
together with the name of another color. It prints tables, and writes them into the section "colors" of a Markdown file.
The constants of `cbir.features.color_share` were chosen on the drawings of seed 100. Needs `requirements-dev.txt`.
"""

import argparse
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from cbir.bundle import Bundle, load_bundle, load_bundle_backbone
from cbir.features import extract
from cbir.features.backbone import Backbone
from cbir.features.color_descriptor import pixel_moments, rgb_to_lab
from cbir.features.color_share import color_nearness, color_share
from cbir.gallery import Gallery
from cbir.labels import LABELS
from cbir.ranking import Ranker
from cbir.search import Retriever, SearchOptions
from cbir.starting import run_main
from cbir.words import read_color
from samples.drawing.draw import MAKERS, draw_garment
from train.cli import write_section
from train.evaluation.markdown import cell, markdown_table

# Shades of each name, chosen by eye before those of `cbir/vocabulary.json`, and other ones.
PALETTE = {
    "red": ("#c1121f", "#8d1220", "#e03a34", "#a8283a"),
    "orange": ("#f28c28", "#e0671d", "#ff9f4a", "#c96a2b"),
    "yellow": ("#f5d327", "#e8c23a", "#fbe36b", "#d9b310"),
    "green": ("#2e7d32", "#6b8e4e", "#1f5c3a", "#7cb342"),
    "turquoise": ("#26a6a4", "#3fc1c0", "#168080", "#6fd0cf"),
    "blue": ("#2962c4", "#4b86d6", "#1f3f8f", "#7fb2e5"),
    "navy": ("#1b2745", "#22305c", "#162038", "#2a3558"),
    "purple": ("#6a3d9a", "#8e5bb8", "#4d2673", "#a47fc9"),
    "pink": ("#f2a7c3", "#e75d93", "#f7c6d4", "#d4709c"),
    "brown": ("#6b4226", "#8a5a36", "#52301c", "#7a4b2d"),
    "beige": ("#d9c3a0", "#e6d6b8", "#c8b08a", "#efe2cc"),
    "grey": ("#8b8d90", "#a9abae", "#6c6e72", "#c3c5c8"),
    "black": ("#17171a", "#26262a", "#0f0f12", "#2d2d31"),
    "white": ("#f4f4f2", "#fbfaf5", "#ececec", "#f1f3f6"),
}
PORTUGUESE = {
    **{"red": "vermelho", "orange": "laranja", "yellow": "amarelo", "green": "verde", "turquoise": "turquesa"},
    **{"blue": "azul", "navy": "azul-marinho", "purple": "roxo", "pink": "rosa", "brown": "marrom", "beige": "bege"},
    **{"grey": "cinza", "black": "preto", "white": "branco"},
}
KINDS_OF = {"blue": ("blue", "navy")}  # garments that answer a name beside those drawn for it
N_ANY = 240  # garments in colors at random
FIRST = 10  # results that are judged
GAIN_WIDTH = 15.0  # CIELAB distance at which a result gains .61


@dataclass(frozen=True)
class Drawings:
    """n drawn garments.

    Attributes:
        names: (n,) str, of `PALETTE`; "" for a color at random.
        kinds: (n,) str, of `MAKERS`.
        colors: n colors, "#rrggbb".
        lab: (n, 3), these in CIE L*a*b*.
        images: n pictures.
    """

    names: np.ndarray
    kinds: np.ndarray
    colors: list[str]
    lab: np.ndarray
    images: list[Image.Image]

    def gallery(self, backbone: Backbone) -> Gallery:
        """The pictures, without labels."""
        n = len(self.colors)
        unknown = {name: np.full(n, "") for name in LABELS}
        ids = np.array([f"{number:04d}" for number in range(n)])
        return Gallery(ids, unknown, extract(self.images, backbone), [b""] * n, np.full(n, ""))


def draw_all(seed: int) -> Drawings:
    """Draws every kind in every shade of the palette, and garments in colors at random, a third of them nearly grey."""
    rng = np.random.default_rng(seed)
    rows = [(name, kind, shade) for name, shades in PALETTE.items() for kind in MAKERS for shade in shades]
    for number in range(N_ANY):
        rgb = rng.integers(0, 256, 3)
        if number % 3 == 0:
            rgb = np.clip(rng.integers(10, 245) + rng.integers(-25, 26, 3), 0, 255)
        rows.append(("", list(MAKERS)[number % len(MAKERS)], "#{:02x}{:02x}{:02x}".format(*rgb.tolist())))
    images = [
        Image.open(io.BytesIO(draw_garment(color, kind, number, seed).jpeg()))
        for number, (_, kind, color) in enumerate(tqdm(rows, unit="picture"))
    ]
    names, kinds, colors = zip(*rows, strict=True)
    lab = np.array([read_color(color).shades[0] for color in colors])
    return Drawings(np.array(names), np.array(kinds), list(colors), lab, images)


def evaluate(drawings: Drawings, bundle: Bundle, backbone: Backbone) -> str:
    """The section: how well the drawings are found by color and by words."""
    gallery = drawings.gallery(backbone)
    is_named = drawings.names != ""
    retriever, named = (
        Retriever(replace(bundle, gallery=part, loaded_revision=None), backbone)
        for part in (gallery, gallery.take(is_named))
    )
    n_shades = len(next(iter(PALETTE.values())))
    return "\n\n".join(
        [
            f"Printed by `python -m samples.evaluate_colors`. {len(drawings.colors)} drawn garments without labels: "
            f"{is_named.sum()} in {len(PALETTE)} named colors of {n_shades} shades, the others in colors at "
            "random. What a garment was painted with is known; light, folds, patterns and trims change it.",
            f"Each of the {len(set(drawings.colors))} colors searches all garments. Distance: mean CIELAB distance of "
            f"the first {FIRST} results' paint. nDCG: a result gains exp(-distance² / (2 · {GAIN_WIDTH:.0f}²)).",
            _by_color(drawings, gallery, retriever),
            f"Names search the garments in named colors. P@{FIRST}: of the first {FIRST}, those drawn for that name "
            f"({n_shades * len(MAKERS)} are; navy answers blue too). The others: of the first {n_shades}, those of "
            f"both type and color ({n_shades} are), for words such as “pink shirt”, and for a picture of another color "
            "with the name of a color; types are guessed from the pictures.",
            _by_name(drawings.names[is_named], drawings.kinds[is_named], named),
        ]
    )


def _by_color(drawings: Drawings, gallery: Gallery, retriever: Retriever) -> str:
    """A table: each color asks, ranked in several ways."""
    colors = list(dict.fromkeys(drawings.colors))
    asked = np.array([read_color(color).shades[0] for color in colors])
    distances = np.linalg.norm(asked[:, None] - drawings.lab[None], axis=2)
    pictures = np.array([rgb_to_lab(np.asarray(image)).mean(axis=(0, 1)) for image in drawings.images])
    garments, _ = pixel_moments(gallery.features.color, "garment")
    shades, descriptors = [read_color(color).shades for color in colors], gallery.features.color
    ranker, nothing = Ranker(retriever.bundle, gallery), retriever.no_photo
    scores = [ranker.scores(nothing, retriever.plan(nothing, SearchOptions(color=color))) for color in colors]
    ways = {
        "search by color": np.array(scores),
        "share of the garment alone": np.array([color_share(descriptors, one) for one in shades]),
        "nearness alone": np.array([color_nearness(descriptors, one) for one in shades]),
        "nearest mean of the garment region": -np.linalg.norm(asked[:, None] - garments[None], axis=2),
        "nearest mean of the picture": -np.linalg.norm(asked[:, None] - pictures[None], axis=2),
        "best possible": -distances,
        "at random": np.random.default_rng(0).random(distances.shape),
    }
    rows = []
    for title, by_item in ways.items():
        first = np.take_along_axis(distances, np.argsort(-by_item, axis=1, kind="stable")[:, :FIRST], axis=1)
        best = np.sort(distances, axis=1)[:, :FIRST]
        ndcg = np.mean(_gain(first) / _gain(best))
        rows.append([title, f"{first.mean():.1f}", cell(float(ndcg)), cell(float((first == 0).any(axis=1).mean()))])
    return markdown_table(["ranked by", "distance", f"nDCG@{FIRST}", f"a garment of just that color in {FIRST}"], rows)


def _gain(distances: np.ndarray) -> np.ndarray:
    """Discounted cumulative gain of results in order of rank: (q, k) -> (q,)."""
    gains = np.exp(-(distances**2) / (2 * GAIN_WIDTH**2))
    return gains @ (1 / np.log2(np.arange(2, gains.shape[1] + 2)))


def _by_name(names: np.ndarray, kinds: np.ndarray, retriever: Retriever) -> str:
    """A table: each name asks, alone, with a type, and beside a picture."""
    rows = []
    for name, shades in PALETTE.items():
        has_color = np.isin(names, KINDS_OF.get(name, (name,)))

        def found(options: SearchOptions, relevant: np.ndarray, *ids: str) -> float:
            result = retriever.search([], options, ids=ids)
            return float(np.mean([relevant[retriever.index.gallery.row(match.id)] for match in result.matches]))

        figures = [found(SearchOptions(words=word, k=FIRST), has_color) for word in (name, PORTUGUESE[name])]
        with_type, beside = [], []
        for kind in MAKERS:
            relevant = has_color & (kinds == kind)
            with_type.append(found(SearchOptions(words=f"{name} {kind}", k=len(shades)), relevant))
            other = np.flatnonzero((kinds == kind) & ~has_color)[0]
            item = str(retriever.index.gallery.ids[other])
            beside.append(found(SearchOptions(words=name, k=len(shades)), relevant, item))
        rows.append([f"{name}, {PORTUGUESE[name]}", *figures, float(np.mean(with_type)), float(np.mean(beside))])
    means = ["mean", *(float(np.mean([row[column] for row in rows])) for column in range(1, 5))]
    header = ["name", f"English: P@{FIRST}", f"Portuguese: P@{FIRST}", "with a type", "beside a picture"]
    return markdown_table(header, [[row[0], *map(cell, row[1:])] for row in [*rows, means]])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the drawings (default: %(default)s)")
    parser.add_argument("--readme", type=Path, help="write the tables into this file too")
    args = parser.parse_args(argv)
    bundle = load_bundle()
    section = evaluate(draw_all(args.seed), bundle, load_bundle_backbone(bundle))
    print(section)
    if args.readme:
        write_section(args.readme, "colors", section)
    return 0


if __name__ == "__main__":
    run_main(main)

"""Measures the shipped methods on real photos that they were not fitted on.

    python -m samples.measure --queries QUERIES --photos PHOTOS [--readme README.md]

QUERIES is a folder of CC0 phone photos, `<type>/*.jpg`, whose colours `queries_colors.csv` tells as seen by eye (photos
of other colours than the six, or of several, judge the type alone). PHOTOS is a folder of labelled photos (see
`train.prepare_data`). The queries search two galleries: the drawn catalogue, and PHOTOS indexed as
`python app.py --photos` does. Labels only judge. Prints a table of precision@10, and writes it into the section
"shipped" of a Markdown file.
"""

import argparse
import tempfile
from pathlib import Path

from cbir.backbones import load_backbone
from cbir.bundle import Bundle, load_bundle
from cbir.gallery import Gallery
from cbir.metrics import retrieval_metrics
from cbir.pairs import LABELS, TASKS
from cbir.similarity import SIMILARITIES, Model
from samples.build import with_seen_colors
from train.cli import run_main, write_section
from train.embed import embed_dataset
from train.photos import index_folder
from train.prepare_data import read_dataset
from train.tables import markdown

COLORS_SEEN = Path(__file__).parent / "queries_colors.csv"


def precision_at_10(queries: Gallery, bundle: Bundle, method: str, label: str) -> str:
    """Precision@10 of the queries whose label is known, as text; "-" where the gallery does not have the label."""
    known = queries.labels[label] != ""
    if not known.any() or not (bundle.gallery.labels[label] != "").any():
        return "-"
    similarity, model, task = SIMILARITIES[method], bundle.models.get(method, Model()), TASKS[label]
    scores = similarity.score(queries.features.take(known), bundle.gallery.features, model, task)
    labels = {name: column[known] for name, column in queries.labels.items()}
    metrics = retrieval_metrics(scores, task.relevance(labels, bundle.gallery.labels))
    return f"{metrics['precision@10']:.3f} ({metrics['n_queries']} queries)"


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", help="folder of the bundle (default: the embedded one)")
    parser.add_argument("--queries", type=Path, required=True, help="labelled photos that ask")
    parser.add_argument("--photos", type=Path, required=True, help="labelled photos that are searched")
    parser.add_argument("--readme", type=Path, help="write the table into this file too")
    args = parser.parse_args(argv)
    shipped = load_bundle(args.bundle)
    backbone = load_backbone(shipped.manifest["backbone"]["name"])
    with tempfile.TemporaryDirectory() as folder:
        labelled = with_seen_colors(args.queries, COLORS_SEEN, Path(folder))
        queries, _ = embed_dataset(read_dataset(labelled), backbone)
    galleries = {"drawn catalogue": shipped, "photos": index_folder(args.photos, shipped, backbone)}
    header = ["method", *(f"{name} ({len(b.gallery):,}): {label}" for name, b in galleries.items() for label in LABELS)]
    rows = [
        [
            method.label,
            *(precision_at_10(queries, b, method.name, label) for b in galleries.values() for label in LABELS),
        ]
        for method in SIMILARITIES.values()
    ]
    table = markdown(f"Precision@10 of {len(queries)} phone photos that no method was fitted on", header, rows)
    print(table)
    if args.readme:
        write_section(args.readme, "shipped", f"Measured by `python -m samples.measure`. {table}")
    return 0


if __name__ == "__main__":
    run_main(main)

"""Measures the shipped methods on real photos that they were not fitted on.

    python -m samples.measure --queries QUERIES [--photos PHOTOS] [--bundle BUNDLE] [--readme README.md] [--save]

QUERIES is a folder of CC0 phone photos, `<type>/*.jpg`, whose colors `queries_colors.csv` tells as seen by eye (photos
of other colors than the six, or of several, judge the type alone). PHOTOS is a folder of labelled photos (see
`train.prepare_data`). The queries search the bundle's own gallery (by default the drawn catalogue), and PHOTOS indexed
as `python app.py --photos` does. Labels only judge. Prints a table of precision@10, and writes it into a section of a
Markdown file; --save puts the figures into the bundle's report, as its section "elsewhere".
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from cbir.bundle import EMBEDDED, load_bundle, load_bundle_backbone, save_bundle
from cbir.errors import BundleError
from cbir.labels import TASKS
from cbir.own_photos import index_folder
from cbir.similarity import SIMILARITIES
from samples.build import with_seen_colors
from train.cli import run_main, write_section
from train.data.dataset import read_dataset
from train.data.embed import embed_dataset
from train.evaluate import evaluate_elsewhere
from train.evaluation.markdown import figure, markdown, percent

COLORS_SEEN = Path(__file__).parent / "queries_colors.csv"


def table(found: list[dict[str, Any]]) -> str:
    """Precision@10 of each gallery and task, as Markdown.

    Args:
        found: sections "elsewhere" of a report.
    """
    columns = [(part, task) for part in found for task in TASKS if part["n_queries"][task]]
    header = ["method", *(f"{p['gallery']}: {TASKS[t].title.lower()} ({p['n_queries'][t]})" for p, t in columns)]
    rows = [
        [SIMILARITIES[name].title, *(figure(p["retrieval"][name][t]["precision@10"]) for p, t in columns)]
        for name in found[0]["retrieval"]
    ]
    familiar = ", ".join(f"{percent(part['familiar'])} ({part['gallery']})" for part in found)
    title = f"Precision@10 of {found[0]['n_photos']} phone photos that no method was fitted on (queries in brackets)"
    return f"{markdown(title, header, rows)}\n\nOf these photos so many are familiar, i.e. may get a match: {familiar}."


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="folder of the bundle (default: the embedded one)")
    parser.add_argument("--queries", type=Path, required=True, help="labelled photos that ask")
    parser.add_argument("--photos", type=Path, help="labelled photos that are searched too")
    parser.add_argument("--readme", type=Path, help="write the table into this file too")
    parser.add_argument("--section", default="shipped", help="of that file (default: %(default)s)")
    parser.add_argument("--save", action="store_true", help="put the figures into the bundle's report")
    args = parser.parse_args(argv)
    shipped = load_bundle(args.bundle)
    if args.save and shipped.report is None:
        raise BundleError(f"{args.bundle or EMBEDDED} has no report to put figures into: build it again")
    backbone = load_bundle_backbone(shipped)
    with tempfile.TemporaryDirectory() as folder:
        labelled = with_seen_colors(args.queries, COLORS_SEEN, Path(folder))
        queries, _ = embed_dataset(read_dataset(labelled), backbone)
    galleries = {shipped.manifest.title: shipped}
    if args.photos:
        galleries["labelled photos"] = index_folder(args.photos, shipped, backbone)
    found = [
        {"queries": "CC0 phone photos", "gallery": f"{name} ({len(b.gallery):,})", **evaluate_elsewhere(queries, b)}
        for name, b in galleries.items()
    ]
    text = table(found)
    print(text)
    if args.save:
        report = {**shipped.report, "elsewhere": found}
        save_bundle(replace(shipped, report=report), args.bundle or EMBEDDED)
    if args.readme:
        write_section(args.readme, args.section, f"Measured by `python -m samples.measure`. {text}")
    return 0


if __name__ == "__main__":
    run_main(main)

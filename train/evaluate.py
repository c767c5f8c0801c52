"""Evaluates a bundle on its test photos, or on photos of another source.

    python -m train.evaluate --bundle BUNDLE [--out report.json] [--readme README.md] [--seeds 0 1 2 | --others B C]

scores pairs of test photos, and searches the train photos with each test photo. It prints tables, and writes them into
a section of a Markdown file (--section, by default "evaluation"), and the whole report into a file. For means and
standard deviations, --seeds fits and evaluates the methods on fresh splits too. A color network takes too long to tune
for that: there --others gives bundles that were trained on the same photos with other seeds.

    python -m train.evaluate --queries QUERIES [--colors COLORS.csv] [--photos PHOTOS] [--readme README.md]

searches the bundle's whole gallery with the labelled photos of a folder, which no method was fitted on; and the photos
of PHOTOS, indexed as `python app.py --photos` does. COLORS.csv gives the colors of QUERIES (file_name, color).

    python -m train.evaluate --guesses --queries QUERIES [--colors COLORS.csv] [--photos PHOTOS] [--readme README.md]

guesses the labels of these photos instead, and says how often that is right.

With --save, the bundle keeps the new figures in its report. With --stored, nothing is evaluated: the report that the
bundle holds is printed and written.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cbir.bundle import EMBEDDED, Bundle, load_bundle, load_bundle_backbone, save_bundle
from cbir.errors import BundleError
from cbir.features import Features
from cbir.features.backbone import Backbone
from cbir.files import replacing
from cbir.own_photos import index_folder
from cbir.report import Report, rounded
from cbir.report_tables import out_of_domain_table
from cbir.similarity import SIMILARITIES
from cbir.starting import run_main
from train.cli import write_section
from train.evaluation.familiarity import not_clothes_features
from train.evaluation.garments import extract_copies
from train.evaluation.goals import goals_table
from train.evaluation.guesses import guesses_section
from train.evaluation.markdown import provenance, summary_section, table, tables
from train.evaluation.order import Traits, read_traits
from train.evaluation.out_of_domain import evaluate_out_of_domain, with_colors
from train.evaluation.report import build_report
from train.evaluation.scoring import score_all, split_gallery
from train.evaluation.seeds import check_alike, over_bundles, over_fresh_splits

REPLICATES = 1000


def evaluate(
    bundle: Bundle,
    backbone: Backbone | None = None,
    not_clothes: Mapping[str, Mapping[str, Features]] | None = None,
    traits: Traits | None = None,
    seeds: Sequence[int] = (),
    replicates: int | None = None,
    n_copied: int | None = None,
) -> Report:
    """Evaluates methods on the photos of the split "test".

    Args:
        bundle: with both splits; its seed samples the test pairs.
        backbone: of the bundle, to embed edited copies of test photos; None to leave the section "garments" out.
        not_clothes: from `not_clothes_features`; None to leave the section "familiarity" out.
        traits: of the gallery's photos, from `read_traits`; None to leave the section "order" out.
        seeds: of fresh splits, on which methods are fitted and evaluated anew; they need the backbone.
        replicates: of the bootstrap; None for `REPLICATES`.
        n_copied: number of test photos that copies are made of; None for the usual number.

    Raises:
        DataError: a split has no photos, or there are no pairs; or fresh splits are asked of a bundle with a color
            network.
    """
    over_seeds = over_fresh_splits(bundle, backbone, seeds) if seeds and backbone else None
    seed = bundle.manifest.seed or 0
    split = split_gallery(bundle.gallery, seed)
    scores = score_all(bundle.models, split)
    copies = extract_copies(bundle.gallery, backbone, seed, n_copied) if backbone else None
    return build_report(bundle, split, scores, not_clothes, copies, traits, over_seeds, replicates or REPLICATES)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    args = _parse_args(argv)
    bundle = load_bundle(args.bundle)
    if args.save and bundle.repo:
        raise BundleError(f"expected a folder to save figures in, got {args.bundle} on the Hub: give a local bundle")
    evaluated = _evaluate_guesses if args.guesses else _evaluate_queries if args.queries else _evaluate_test_photos
    report, text, section = evaluated(bundle, args)
    print(text)
    if args.short and report:
        section = summary_section(report)
    if args.out and report:
        with replacing(args.out) as new:
            new.write_text(json.dumps(report.to_json(), ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    if args.save and report:
        # The report of photos of another source stands beside the figures that were there before.
        manifest = bundle.manifest if args.queries else replace(bundle.manifest, edits=None)
        save_bundle(replace(bundle, report=report, manifest=manifest), args.bundle or EMBEDDED)
    if args.readme:
        write_section(args.readme, args.section, section)
    return 0


def _evaluate_test_photos(bundle: Bundle, args: argparse.Namespace) -> tuple[Report | None, str, str]:
    """The report, the text to print and the section of a Markdown file."""
    others = [load_bundle(source) for source in args.others]
    reports = [_report_of(other, source) for other, source in zip(others, args.others, strict=True)]
    check_alike([bundle, *others])
    report = _report_of(bundle, args.bundle) if args.stored else _evaluate_anew(bundle, args)
    if reports:
        report = replace(report, seeds=rounded(over_bundles([report, *reports])))
    goals = goals_table(report)
    return report, f"{goals}\n\n{tables(report)}", f"{provenance(report)}\n\n{goals}\n\n{tables(report)}"


def _evaluate_anew(bundle: Bundle, args: argparse.Namespace) -> Report:
    traits = read_traits(args.traits, bundle.gallery.ids) if args.traits else None
    backbone = load_bundle_backbone(bundle, args.weights)
    pictures = not_clothes_features(backbone, bundle.manifest.seed or 0) if bundle.familiarity else None
    report = evaluate(bundle, backbone, pictures, traits, args.seeds, n_copied=args.copied)
    if bundle.report is None:
        return report
    # What is told by other photos, or by what is known of these, stays as it was found.
    return replace(report, out_of_domain=bundle.report.out_of_domain, order=report.order or bundle.report.order)


def _evaluate_queries(bundle: Bundle, args: argparse.Namespace) -> tuple[Report | None, str, str]:
    """The bundle's report with the new figures, if it has a report, the text to print and the section."""
    if args.save:
        _report_of(bundle, args.bundle)  # before minutes of work rather than after
    backbone = load_bundle_backbone(bundle, args.weights)
    queries = index_folder(args.queries, bundle, backbone).gallery
    if args.colors:
        queries = with_colors(queries, args.colors)
    searched = {bundle.manifest.title: bundle}
    if args.photos:
        searched["labelled photos"] = index_folder(args.photos, bundle, backbone)
    name = args.name or args.queries.resolve().name
    parts = tuple(
        evaluate_out_of_domain(queries, other, REPLICATES, name, f"{title} ({len(other.gallery):,})")
        for title, other in searched.items()
    )
    titles = {method.name: method.title for method in SIMILARITIES.values()}
    text = "\n\n".join(table(out_of_domain_table(part, titles)) for part in parts)
    report = replace(bundle.report, out_of_domain=parts) if bundle.report else None
    return report, text, f"Printed by `python -m train.evaluate --queries`.\n\n{text}"


def _evaluate_guesses(bundle: Bundle, args: argparse.Namespace) -> tuple[None, str, str]:
    """No report, the text to print and the section."""
    backbone = load_bundle_backbone(bundle, args.weights)
    queries = index_folder(args.queries, bundle, backbone).gallery
    photos = {args.name or args.queries.resolve().name: with_colors(queries, args.colors) if args.colors else queries}
    if args.photos:
        photos[args.photos.resolve().name] = index_folder(args.photos, bundle, backbone).gallery
    section = guesses_section(photos, bundle, REPLICATES)
    return None, section, section


def _report_of(bundle: Bundle, source: str | None) -> Report:
    if bundle.report is None:
        raise BundleError(f"expected a bundle with a report, {source or EMBEDDED} has none: train it again")
    return bundle.report


def _parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", help="folder of the bundle; default: the embedded one")
    parser.add_argument("--out", type=Path, help="write the report into this file")
    parser.add_argument("--save", action="store_true", help="put the report into the bundle")
    parser.add_argument("--readme", type=Path, help="write the tables into this file too")
    parser.add_argument("--section", default="evaluation", help="of the Markdown file (default: %(default)s)")
    parser.add_argument("--short", action="store_true", help="write one short table into that section")
    parser.add_argument("--weights", type=Path, help="local safetensors file with the backbone's weights")
    parser.add_argument("--copied", type=int, help="number of test photos that edited copies are made of")
    parser.add_argument(
        "--traits", type=Path, help="csv file with traits of the photos, to evaluate order in a class by"
    )
    parser.add_argument("--stored", action="store_true", help="take the report that the bundle holds")
    spread = parser.add_mutually_exclusive_group()
    spread.add_argument("--seeds", type=int, nargs="+", default=(), help="evaluate on fresh splits of these seeds too")
    spread.add_argument("--others", nargs="+", default=(), help="bundles with other seeds, for means and deviations")
    spread.add_argument("--queries", type=Path, help="folder of labelled photos of another source that search")
    parser.add_argument("--colors", type=Path, help="csv file with the colors of --queries")
    parser.add_argument("--name", help="what the report calls --queries; default: the folder's name")
    parser.add_argument("--photos", type=Path, help="folder of labelled photos that --queries search too")
    parser.add_argument("--guesses", action="store_true", help="guess the labels of --queries and --photos instead")
    args = parser.parse_args(argv)
    if (args.colors or args.name or args.photos or args.guesses) and not args.queries:
        parser.error("--colors, --name, --photos and --guesses need --queries")
    if args.guesses and (args.save or args.out):
        parser.error("--guesses makes no report to --save or write to --out")
    if args.stored and (args.seeds or args.queries or args.traits or args.copied):
        parser.error("--stored evaluates nothing: leave out --seeds, --queries, --traits and --copied")
    return args


if __name__ == "__main__":
    run_main(main)

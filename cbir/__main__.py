"""The command line of the library.

    python -m cbir search PHOTO [--bundle DIR_OR_REPO] [--method METHOD] [--json | --csv]

finds the garments of a bundle that look most like a photo, or like several together, and prints them.

    python -m cbir search [PHOTO] --words "pink shirt" [--color "#a04020"]

finds garments by words and by a color, alone or beside a photo.

    python -m cbir label PHOTOS --csv FILE [--bundle DIR_OR_REPO]

guesses type and color of the photos of a folder or zip, each with a probability, and writes them into a table.

    python -m cbir doctor [--bundle DIR_OR_REPO] [--weights FILE] [--host HOST] [--port PORT]

checks whether everything that the app needs works here; the exit status is 0 where it can start, else 1.

    python -m cbir add BUNDLE PHOTOS... [--replace] [--weights FILE]
    python -m cbir remove BUNDLE IDS...

add photos (files, folders or zips) to a bundle on this machine, embedding only what is new, and remove some by id.

    python -m cbir search | add | remove ... --index milvus:URI

searches a collection in Milvus by the models of the bundle, adds photos to it and removes some: see docs/scale.md.
"""

import argparse
import os
import sys
from pathlib import Path

from cbir.bundle import load_bundle_backbone, open_bundle
from cbir.doctor import PROBLEM, examine, report
from cbir.editing import add_photos, remove_photos
from cbir.errors import CbirError
from cbir.export import labels_csv, to_csv, to_json, write_result
from cbir.files import replacing
from cbir.gallery import report_unreadable
from cbir.guesses import Guess
from cbir.index import with_guesses
from cbir.labels import LABELS
from cbir.milvus import MilvusIndex
from cbir.options import OPTIONS, Option, SearchOptions
from cbir.own_photos import index_folder
from cbir.ranking import SearchResult
from cbir.search import Retriever
from cbir.starting import run_main
from cbir.version import __version__


def main(argv: list[str] | None = None) -> int:
    """Runs a command: 0 when it went well, 1 when the doctor found problems, 2 when the user has to mend something."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except CbirError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cbir", description=__doc__.partition("\n")[0])
    parser.add_argument("--version", action="version", version=f"apparel-cbir {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    search = commands.add_parser("search", help="find the garments that look most like a photo")
    doctor = commands.add_parser("doctor", help="check whether everything that the app needs works here")
    label = commands.add_parser("label", help="guess type and color of the photos of a folder")
    for command, run in ((search, _search), (label, _label), (doctor, _doctor)):
        command.add_argument("--bundle", metavar="DIR_OR_REPO", default=os.environ.get("CBIR_BUNDLE") or None)
        command.add_argument("--weights", metavar="FILE", type=Path, help="safetensors file of the bundle's backbone")
        command.set_defaults(run=run)
    add = commands.add_parser("add", help="add photos to a bundle on this machine, embedding only what is new")
    remove = commands.add_parser("remove", help="remove photos from a bundle on this machine")
    for command, run in ((add, _add), (remove, _remove)):
        command.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")
        command.set_defaults(run=run)
    photos_help = "photos, folders or zips of photos; with --index, none for the bundle's own"
    add.add_argument("photos", metavar="PHOTOS", nargs="*", type=Path, help=photos_help)
    add.add_argument("--replace", action="store_true", help="put photos in place of others with the same ids")
    add.add_argument("--weights", metavar="FILE", type=Path, help="safetensors file of the bundle's backbone")
    for command in (search, add, remove):
        command.add_argument(
            "--index", metavar="milvus:URI", default="", help="a collection in Milvus, not the gallery"
        )
    remove.add_argument("ids", metavar="IDS", nargs="+", help="of photos, as matches of a search have them")
    search.add_argument("photos", metavar="PHOTO", nargs="*", help="several are one query")
    search.add_argument("--id", dest="ids", metavar="ID", action="append", default=[], help="search with this item too")
    search.add_argument("--crop", type=float, nargs=4, metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"), help="fractions")
    for option in OPTIONS:
        _add_option(search, option)
    doctor.add_argument("--host", help="address that the app is to listen on")
    doctor.add_argument("--port", type=int, help="port that the app is to listen on")
    label.add_argument("photos", metavar="PHOTOS", type=Path, help="a folder or a zip")
    label.add_argument("--csv", metavar="FILE", type=Path, required=True, help="the table to write")
    form = search.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV")
    form.add_argument("--out", type=Path, metavar="FILE", help="write to FILE.json or FILE.csv")
    return parser


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    """Its value goes under the name of its parameter; None where it is not given."""
    name = option.parameter
    flag = f"--{name.replace('_', '-')}"
    if option.is_flag:
        parser.add_argument(flag, dest=name, action="store_true", default=None, help=option.help)
    elif option.is_list:
        help = f"{option.help}; may be repeated"
        parser.add_argument(flag, dest=name, action="append", metavar=option.label.upper() or name.upper(), help=help)
    else:
        choices = f": {', '.join(option.choices)}" if option.choices else ""
        default = f" (default: {option.default})" if option.default else ""
        kind = int if option.type is int else str if option.type is str else float
        parser.add_argument(flag, dest=name, type=kind, metavar=flag[2:].upper(), help=option.help + choices + default)


def _search(args: argparse.Namespace) -> int:
    options = SearchOptions.of(vars(args))
    bundle = open_bundle(args.bundle)
    if bundle.notice:
        print(bundle.notice, file=sys.stderr)
    backbone = load_bundle_backbone(bundle, args.weights) if args.photos else None
    crop = tuple(args.crop) if args.crop else None
    index = MilvusIndex(args.index, bundle) if args.index else None
    result = Retriever(bundle, backbone, index=index).search(args.photos, options, ids=args.ids, crop=crop)
    name = ", ".join(filter(None, [*args.photos, *args.ids, options.description]))
    if args.out:
        print(f"wrote {write_result(result, bundle, args.out, name)}")
    else:
        text = to_json if args.json else to_csv if args.csv else None
        print(text(result, bundle, name) if text else _table(result), end="")
    return 0


def _label(args: argparse.Namespace) -> int:
    bundle = open_bundle(args.bundle)
    if bundle.notice:
        print(bundle.notice, file=sys.stderr)
    if bundle.attributes is None:
        raise CbirError("this bundle has no learned method to guess labels with: give --bundle one that has")
    backbone = load_bundle_backbone(bundle, args.weights)
    photos = index_folder(args.photos, bundle, backbone)
    gallery = with_guesses(photos, photos.gallery)
    with replacing(args.csv) as new:
        new.write_text(labels_csv(gallery), encoding="utf-8", newline="")
    counts, guessed = gallery.counts(), gallery.counts(guessed=True)
    for name in LABELS:
        found = ", ".join(f"{value} {n}" + f" ({guessed[name][value]} guessed)" for value, n in counts[name].items())
        print(f"{name}: {found}")
    print(f"wrote {args.csv}")
    return 0


def _table(result: SearchResult) -> str:
    width = max((len(match.id) for match in result.matches), default=0)
    lines = []
    for match in result.matches:
        shown = [match.labels[name] or _guess(match.guesses.get(name)) for name in ("color", "type")]
        probability = "    -" if match.probability is None else f"{match.probability:5.0%}"
        likeness = "   -" if match.likeness is None else f"{match.likeness:.2f}"
        figures = f"{match.score:7.4f}  {probability}  {likeness}"
        lines.append(f"{match.rank:>4}  {figures}  {match.id:<{width}}  {' '.join(shown)}".rstrip())
    if not result.is_confident:
        lines.insert(0, "no confident match; the nearest are:")
    if result.is_shortlist:
        lines.append("best of a shortlist: others may have been missed")
    return "".join(f"{line}\n" for line in lines)


def _add(args: argparse.Namespace) -> int:
    if not (args.photos or args.index):
        raise CbirError("expected photos to add, got none: name files, folders or zips")
    found = add_photos(args.bundle, args.photos, weights=args.weights, overwrite=args.replace, index=args.index)
    report_unreadable(found.unreadable, ", ".join(map(str, args.photos)))
    counts = {"added": found.added, "replaced": found.replaced, "there already": found.known}
    print(", ".join(f"{what}: {len(ids)}" for what, ids in counts.items()) + f", ignored files: {found.n_ignored}")
    return 0


def _remove(args: argparse.Namespace) -> int:
    print(f"removed: {remove_photos(args.bundle, args.ids, args.index)}")
    return 0


def _guess(guess: Guess | None) -> str:
    return f"{guess.shown}? ({guess.probability:.2f})" if guess else ""


def _doctor(args: argparse.Namespace) -> int:
    findings = examine(args.bundle, args.weights, args.host, args.port)
    print(report(findings))
    return int(any(finding.state == PROBLEM for finding in findings))


if __name__ == "__main__":
    run_main(main)

"""Draws the pictures of the embedded default.

    python -m samples.drawing [--out samples/catalogue] [--per-class 24] [--seed 0]

Writes `<out>/<color>_<type>/<color>_<type>_<nn>.jpg`. Needs `requirements-dev.txt`.

    python -m samples.drawing --traits FILE.csv

writes how these garments are made instead, for `train.evaluate --traits`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cbir.starting import run_main
from samples import CATALOGUE
from samples.drawing.draw import PER_CLASS, write_catalogue, write_traits


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m samples.drawing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=CATALOGUE, help="a new folder (default: %(default)s)")
    parser.add_argument("--per-class", type=int, default=PER_CLASS, help="pictures per class (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives another catalogue")
    parser.add_argument(
        "--traits", type=Path, metavar="FILE", help="write cut, pattern, sleeve and heel into this file"
    )
    args = parser.parse_args(argv)
    if args.traits:
        write_traits(args.traits, args.per_class, args.seed)
    else:
        write_catalogue(args.out, args.per_class, args.seed)
    print(f"wrote {args.traits or args.out}")
    return 0


if __name__ == "__main__":
    run_main(main)

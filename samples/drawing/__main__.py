"""Draws the pictures of the embedded default.

    python -m samples.drawing [--out samples/catalogue] [--per-class 24] [--seed 0]

Writes `<out>/<color>_<type>/<color>_<type>_<nn>.jpg`. Needs `requirements-dev.txt`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from samples import CATALOGUE
from samples.drawing.draw import PER_CLASS, write_catalogue
from train.cli import run_main


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m samples.drawing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=CATALOGUE, help="a new folder (default: %(default)s)")
    parser.add_argument("--per-class", type=int, default=PER_CLASS, help="pictures per class (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives another catalogue")
    args = parser.parse_args(argv)
    write_catalogue(args.out, args.per_class, args.seed)
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    run_main(main)

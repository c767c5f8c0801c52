"""Builds the embedded default's bundle from drawings and CC0 photos.

    python -m samples.build --photos DIR --out samples/bundle

The gallery holds the drawings: those in `samples/catalogue` if they are there, else drawn into a temporary folder. The
methods are fitted on the drawings and on the photos of DIR, folders `<type>/` of CC0 phone photos, so that they work on
real photos too. The photos are neither in the bundle nor in the repository (see `samples/README.md`); without --photos,
the methods are fitted on the drawings alone.
"""

import argparse
import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cbir.starting import run_main
from samples import CATALOGUE
from train import run
from train.evaluation.markdown import tables

COLORS_SEEN = Path(__file__).parent / "cc0_colors.csv"
OTHER = "other"  # in these files: a color outside the vocabulary, or several


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of CC0 photos, <type>/*.jpg")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        config = run.Config(
            data=str(drawings(Path(folder))),
            out=args.out,
            backbone="efficientnet-lite0",
            also_fit=str(with_seen_colors(args.photos, COLORS_SEEN, Path(folder) / "photos")) if args.photos else None,
            title="Drawn catalogue",
            is_drawn=True,
            traits=drawn_traits(Path(folder)),
            licence="mit",  # our own drawings, under the licence of the code
        )
        bundle = run.train(config)
    print(tables(bundle.report))
    return 0


def drawings(folder: Path) -> Path:
    """The folder of drawings: `samples/catalogue` if it is there, else drawn into one of that name in `folder`."""
    if CATALOGUE.is_dir():
        return CATALOGUE
    from samples.drawing.draw import write_catalogue

    out = folder / CATALOGUE.name
    write_catalogue(out)
    return out


def drawn_traits(folder: Path) -> Path:
    """A file in `folder` that tells how the drawn garments are made."""
    from samples.drawing.draw import write_traits

    out = folder / "traits.csv"
    write_traits(out)
    return out


def with_seen_colors(photos: Path, colors: Path, folder: Path) -> Path:
    """Fills a folder with links to photos and a labels file that adds the colors seen by eye.

    Args:
        photos: folder of `<type>/*.jpg`.
        colors: csv with `file_name,color`; photos that it does not list, or lists as "other", get no color.
        folder: a new or empty folder for the links.

    Returns:
        `folder`, an image folder with a labels csv as `cbir.photos` reads it.
    """
    with colors.open(encoding="utf-8", newline="") as file:
        seen = {row["file_name"]: row["color"] for row in csv.DictReader(file)}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "color", "type"])
        for path in sorted(photos.glob("*/*.jpg")):
            name = path.relative_to(photos).as_posix()
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).symlink_to(path.resolve())
            color = seen.get(name, OTHER)
            writer.writerow([name, "" if color == OTHER else color, path.parent.name])
    return folder


if __name__ == "__main__":
    run_main(main)

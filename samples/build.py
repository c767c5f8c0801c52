"""Builds the embedded default's bundle from the drawn catalogue.

    python -m samples.build --photos DIR

Draws nothing: `samples.drawing.draw` does. The methods are fitted on the drawings and on the photos of `DIR`, folders
`<type>/` of CC0 phone photos, so that they are good on real photos too; the photos themselves go nowhere.
`cc0_colors.csv` tells their colors, as seen by eye; "other" stands for a color outside the vocabulary.
"""

import argparse
import csv
import tempfile
from pathlib import Path

from cbir.bundle import EMBEDDED
from cbir.photos import COLORS
from train import run
from train.cli import run_main
from train.evaluation.markdown import tables

CATALOGUE = Path(__file__).parent / "catalogue"
COLORS_SEEN = Path(__file__).parent / "cc0_colors.csv"


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder of CC0 photos, <type>/*.jpg")
    parser.add_argument("--out", type=Path, default=EMBEDDED, help="folder of the bundle (default: the embedded one)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        labelled = with_seen_colors(args.photos, COLORS_SEEN, Path(folder))
        config = run.Config(
            data=str(CATALOGUE),
            out=args.out,
            backbone="efficientnet-lite0",
            also_fit=str(labelled),
            title="Drawn catalogue",
            is_drawn=True,
        )
        bundle = run.train(config)
    print(tables(bundle.report))
    return 0


def with_seen_colors(photos: Path, colors: Path, folder: Path) -> Path:
    """Fills an empty folder with links to photos and a labels file that adds the colors seen by eye.

    Args:
        photos: folder of `<type>/*.jpg`.
        colors: csv with `file_name,color`; photos that it does not list, or lists as "other", get no color.
        folder: where the links go.

    Returns:
        The folder, an image folder for `train.prepare_data`.
    """
    with colors.open(encoding="utf-8", newline="") as file:
        seen = {row["file_name"]: row["color"] for row in csv.DictReader(file)}
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "color", "type"])
        for path in sorted(photos.glob("*/*.jpg")):
            name = path.relative_to(photos).as_posix()
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).symlink_to(path.resolve())
            color = seen.get(name, "")
            writer.writerow([name, color if color in COLORS else "", path.parent.name])
    return folder


if __name__ == "__main__":
    run_main(main)

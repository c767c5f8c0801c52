"""Trains a bundle from photos, all steps in one.

    python -m train.run --data PHOTOS --backbone efficientnet-lite0 --out BUNDLE [--push user/repo]

PHOTOS is a folder of `<color>_<type>/` folders, a zip of one, an image folder with a labels csv, a folder saved by
`datasets`, or a Hub dataset id (see `train.prepare_data`). Writes the bundle and prints how good its methods are. Every
photo is embedded once: a run that was killed continues where it stopped.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from cbir.backbones import BACKBONES, Backbone, load_backbone
from cbir.bundle import Bundle, save_bundle
from cbir.errors import CbirError
from cbir.features import Features
from cbir.gallery import Gallery
from cbir.map import fit_map
from cbir.pairs import LABELS, near_duplicate_groups, split_by_group
from cbir.similarity import DEFAULT_METHOD
from train.cli import run_main
from train.embed import embed_dataset, report_unreadable
from train.evaluate import evaluate, pair_table, retrieval_table
from train.fit import fit_methods
from train.prepare_data import counts, read_dataset
from train.publish import print_published, publish
from train.upload import check_access


@dataclass(frozen=True)
class Config:
    """Settings of a training run.

    Attributes:
        data: photos of the gallery, as in the module's docstring.
        out: folder of the bundle.
        backbone: a name in `BACKBONES` or a timm model id.
        weights: a local safetensors file for the backbone; None for its default weights.
        revision: of the dataset on the Hub.
        also_fit: more photos to fit on, that are not put into the gallery; either label may be missing.
        test_share: share of the gallery's photos kept for judging.
        seed: of the split, the pairs and the fits.
        title: what the app calls the collection; None for the name of the data.
        is_drawn: whether the pictures are drawings.
        push: model repository on the Hub, `user/repo`, to publish the bundle to; None to publish nothing.
        public: whether a new repository is public.
    """

    data: str
    out: Path
    backbone: str = "vgg16"
    weights: Path | None = None
    revision: str | None = None
    also_fit: str | None = None
    test_share: float = 0.2
    seed: int = 0
    title: str | None = None
    is_drawn: bool = False
    push: str | None = None
    public: bool = False


def train(config: Config) -> tuple[Bundle, dict[str, Any]]:
    """Runs all steps and writes the bundle.

    Returns:
        The bundle, and the report of `train.evaluate.evaluate`.

    Raises:
        CbirError: the data, the weights or the output folder are not as expected.
    """
    if not 0 < config.test_share < 1:
        raise CbirError(f"expected a test share between 0 and 1, got {config.test_share}")
    if config.push:
        check_access(config.push)  # before hours of work rather than after
    dataset = read_dataset(config.data, config.revision)
    more = read_dataset(config.also_fit) if config.also_fit else None
    backbone = load_backbone(config.backbone, config.weights)

    gallery, unreadable = embed_dataset(dataset, backbone)
    report_unreadable(unreadable, config.data)
    fit_features, fit_labels = gallery.features, dict(gallery.labels)
    if more is not None:
        extra, extra_unreadable = embed_dataset(more, backbone)
        report_unreadable(extra_unreadable, str(config.also_fit))
        fit_features = Features.concatenate([fit_features, extra.features])
        fit_labels = {name: np.concatenate([fit_labels[name], extra.labels[name]]) for name in LABELS}

    # Grouped with the photos of `also_fit`, so that none of them shows a test photo either.
    is_test = split_by_group(near_duplicate_groups(fit_features.embedding), config.test_share, config.seed)
    gallery = replace(gallery, splits=np.where(is_test[: len(gallery)], "test", "train"))
    models = fit_methods(
        fit_features.take(~is_test), {name: column[~is_test] for name, column in fit_labels.items()}, config.seed
    )
    report = evaluate(gallery, models, config.seed)
    manifest = _manifest(config, backbone, dataset, gallery, unreadable, len(fit_features) - len(gallery), report)
    manifest["map"] = fit_map(gallery.features.take(gallery.splits == "train"), models[DEFAULT_METHOD])
    bundle = Bundle(gallery, models, manifest)
    save_bundle(bundle, config.out)
    return bundle, report


def _manifest(
    config: Config,
    backbone: Backbone,
    dataset: datasets.Dataset,
    gallery: Gallery,
    unreadable: dict[str, str],
    n_also_fit: int,
    report: dict[str, Any],
) -> dict[str, Any]:
    name = Path(config.data).name or config.data
    return {
        "title": config.title or name,
        "backbone": backbone.describe(),
        "dataset": {
            "name": name,
            "revision": config.revision,
            "is_drawn": config.is_drawn,
            "n_photos": len(gallery),
            "counts": counts(dataset),
            "unreadable": unreadable,
            "n_also_fit": n_also_fit,
        },
        "seed": config.seed,
        "split": {"by": "image, near duplicates on one side", "test_share": config.test_share},
        "metrics": report,
    }


def parse_args(argv: list[str] | None = None) -> Config:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="photos: see above")
    parser.add_argument("--out", required=True, type=Path, help="folder of the bundle; an older bundle is replaced")
    parser.add_argument(
        "--backbone", default=Config.backbone, help=f"{', '.join(BACKBONES)} or a timm model id (default: %(default)s)"
    )
    parser.add_argument("--weights", type=Path, help="local safetensors file with the backbone's weights")
    parser.add_argument("--revision", help="revision of a Hub dataset")
    parser.add_argument("--also-fit", metavar="DATA", help="more photos to fit on, outside the gallery")
    parser.add_argument("--test-share", type=float, default=Config.test_share, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=Config.seed, help="default: %(default)s")
    parser.add_argument("--push", metavar="user/repo", help="publish the bundle to this model repository on the Hub")
    parser.add_argument("--public", action="store_true", help="make a new repository public")
    parser.add_argument("--title", help="what the app calls the collection; default: the name of the data")
    return Config(**vars(parser.parse_args(argv)))


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    config = parse_args(argv)
    bundle, report = train(config)
    print(pair_table(report), retrieval_table(report), sep="\n\n")
    print(f"\nwrote {config.out}: {len(bundle.gallery):,} photos; see it with: python app.py --bundle {config.out}")
    if config.push:
        print_published(publish(config.out, config.push, config.public))
    return 0


if __name__ == "__main__":
    run_main(main)

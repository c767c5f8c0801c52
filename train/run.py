"""Trains a bundle from photos, all steps in one.

    python -m train.run --data PHOTOS --backbone efficientnet-lite0 --out BUNDLE [--push user/repo]

PHOTOS is a folder of `<color>_<type>/` folders, a zip of one, an image folder with a labels csv, a folder saved by
`datasets`, a Hub dataset id (see `train.prepare_data`), or a folder that `train.embed` wrote. Writes the bundle and
prints how good its methods are. Every photo is embedded once, and a color network is tuned once: a run that was killed
continues where it stopped.
"""

import argparse
import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress, islice
from pathlib import Path
from typing import cast

import numpy as np
from tqdm import tqdm

from cbir import hub
from cbir.bundle import FORMAT, Bundle, DatasetInfo, Manifest, TuningInfo, check_out, save_bundle
from cbir.embedded import is_embedded, read_gallery, read_info
from cbir.errors import CbirError
from cbir.features import Features, extract_learned
from cbir.features.backbone import BACKBONES, BATCH_SIZE, load_backbone
from cbir.features.color_network import ColorNetwork
from cbir.files import CacheFolder
from cbir.gallery import Gallery, report_unreadable
from cbir.labels import LABELS
from cbir.photos import Remark, count_labels
from cbir.report import Report
from cbir.similarity.attributes import AttributeModel
from cbir.starting import run_main
from train.data.dataset import Dataset, read, read_dataset
from train.data.embed import embed_dataset, read_photos
from train.data.split import check_labels, check_pairs, near_duplicate_groups, split_by_group
from train.evaluate import evaluate
from train.evaluation.familiarity import not_clothes_features
from train.evaluation.markdown import tables
from train.evaluation.order import read_traits
from train.fit import fit_methods
from train.fit.color_network import TUNING_VERSION, tune_color_network
from train.fit.familiarity import fit_familiarity
from train.fit.map import fit_map
from train.fit.views import extract_views
from train.hub.upload import check_licence, check_upload, owned_by_manifest
from train.publish import print_published, publish

# Of the train photos' groups of near duplicates: kept from the color network, for methods on pairs and temperatures.
UNTUNED_SHARE = 0.15
BACKBONE = "vgg16"  # as in the article


@dataclass(frozen=True)
class Config:
    """Settings of a training run.

    Attributes:
        data: photos of the gallery, as in the module's docstring.
        out: folder of the bundle.
        backbone: a name in `BACKBONES` or a timm model id; None for `BACKBONE`, or what embedded the photos.
        weights: a local safetensors file for the backbone; None for its default weights.
        revision: of the dataset on the Hub.
        also_fit: more photos to fit on, that are not put into the gallery; either label may be missing.
        test_share: share of the gallery's photos kept for evaluation.
        seed: of the split, the pairs and the fits.
        title: what the app calls the collection; None for the name of the data.
        is_drawn: whether the pictures are drawings.
        push: model repository on the Hub, `user/repo`, to publish the bundle to; None to publish nothing.
        public: whether a new repository is public.
        licence: of the photos; None for what the card of a dataset on the Hub states.
        seeds: of fresh splits to evaluate on too, for means and standard deviations.
        tune_color: fine-tune a color network on the train photos, see `train.fit.color_network`.
        traits: csv file with traits of the photos, see `train.evaluation.order`; None to evaluate no order in classes.
    """

    data: str
    out: Path
    backbone: str | None = None
    weights: Path | None = None
    revision: str | None = None
    also_fit: str | None = None
    test_share: float = 0.2
    seed: int = 0
    title: str | None = None
    is_drawn: bool = False
    push: str | None = None
    public: bool = False
    licence: str | None = None
    seeds: tuple[int, ...] = ()
    tune_color: bool = False
    traits: Path | None = None


def train(config: Config) -> Bundle:
    """Runs all steps and writes the bundle.

    Returns:
        The bundle, with the report of `train.evaluate.evaluate`.

    Raises:
        CbirError: the data, the weights, the output folder or the repository are not as expected; told before the work
            as far as that can be known.
    """
    if not 0 < config.test_share < 1:
        raise CbirError(f"expected a test share between 0 and 1, got {config.test_share}")
    if config.tune_color and config.seeds:
        raise CbirError(
            "expected --tune-color or --seeds, got both: a color network is not tuned for each fresh split; train with "
            "other values of --seed, then evaluate these bundles together by train.evaluate --others"
        )
    if (lowest := min([config.seed, *config.seeds])) < 0:
        raise CbirError(f"expected seeds from 0, got {lowest}")
    # Whatever can be wrong, before hours of work rather than after.
    check_out(config.out)
    if config.push:
        check_upload(config.push, "model", owned_by_manifest(FORMAT))
    embedded = read_info(Path(config.data)) if is_embedded(Path(config.data)) else None
    if embedded and config.tune_color:
        raise CbirError("expected photos to tune a color network on, got embedded ones: leave --tune-color out")
    backbone = load_backbone(config.backbone or (embedded.backbone.name if embedded else BACKBONE), config.weights)
    if embedded and embedded.backbone.fingerprint != backbone.fingerprint:
        raise CbirError(
            f"expected photos embedded by {backbone.name} with these weights, got {config.data}, which "
            f"{embedded.backbone.name} embedded: give the same --weights, and no color network"
        )
    reading = None if embedded else read(config.data, config.revision)
    licence = config.licence or (reading.licence if reading else None)
    if config.push:
        check_licence(licence, config.public)
    more = read_dataset(config.also_fit) if config.also_fit else None
    if reading is not None:
        _check_labels(reading.dataset, more)
    if config.traits and reading:
        read_traits(config.traits, np.array(reading.dataset["id"]))  # what is wrong shows before hours of work

    gallery, unreadable = embed_dataset(reading.dataset, backbone) if reading else read_gallery(Path(config.data))
    report_unreadable(unreadable, config.data)
    traits = read_traits(config.traits, gallery.ids) if config.traits else None
    fit_features, fit_labels = gallery.features, dict(gallery.labels)
    sources = [(reading.dataset, gallery)] if reading else []
    if more is not None:
        extra, extra_unreadable = embed_dataset(more, backbone)
        report_unreadable(extra_unreadable, str(config.also_fit))
        sources.append((more, extra))
        fit_features = Features.concatenate([fit_features, extra.features])
        fit_labels = {name: np.concatenate([fit_labels[name], extra.labels[name]]) for name in LABELS}

    # Grouped with the photos of `also_fit`, so that none of them shows a test photo either.
    groups = near_duplicate_groups(fit_features.embedding)
    is_test = split_by_group(groups, config.test_share, config.seed)
    in_gallery = np.arange(len(is_test)) < len(gallery)
    tuned = np.zeros(len(is_test), bool)
    if config.tune_color:
        tuned[~is_test] = ~split_by_group(groups[~is_test], UNTUNED_SHARE, config.seed)
    # Here, and not only where pairs are sampled: before minutes of tuning rather than after.
    check_pairs(fit_labels, is_test & in_gallery, "test photos")
    check_pairs(fit_labels, ~is_test & ~tuned, "photos to fit on")
    color_network = None
    if config.tune_color:
        check_pairs(fit_labels, tuned, "photos to tune the color network on")
        color_network = _tuned_color_network(sources, fit_features, fit_labels, tuned, config.seed)
        backbone = backbone.with_color_network(color_network)
        learned = _learned(sources, color_network)
        fit_features = replace(fit_features, learned=learned)
    gallery = replace(
        gallery,
        splits=np.where(is_test[in_gallery], "test", "train"),
        features=fit_features.take(in_gallery),
    )
    fit_on = fit_features.take(~is_test)
    labels = {name: column[~is_test] for name, column in fit_labels.items()}
    thumbnails = [*gallery.thumbnails, *(extra.thumbnails if more is not None else ())]
    views = extract_views(list(compress(thumbnails, ~is_test)), backbone, config.seed)
    models = fit_methods(fit_on, labels, views, config.seed, tuned[~is_test])
    pictures = not_clothes_features(backbone, config.seed)
    familiarity = fit_familiarity(fit_on, Features.concatenate(list(pictures["fit"].values())), config.seed)
    from_hub = (reading.repo, reading.revision) if reading else embedded and hub.parse_repo(embedded.source)
    repo, revision = from_hub or (None, None)
    dataset = DatasetInfo(
        name=Path(config.data).name or config.data,
        n_photos=len(gallery),
        is_drawn=config.is_drawn,
        repo=repo,
        revision=revision,
        licence=licence,
        counts=count_labels(gallery.labels["color"].tolist(), gallery.labels["type"].tolist()),
        unreadable=unreadable,
        # Published with the bundle: what other files are called stays here.
        left_out={why: Remark(found.count, ()) for why, found in reading.left_out.items()} if reading else {},
        remarks=reading.remarks if reading else {},
        n_also_fit=int((~is_test & ~in_gallery).sum()),
    )
    manifest = Manifest(config.title or dataset.name, backbone.describe(), dataset, config.seed, config.test_share)
    if config.tune_color:
        manifest = replace(manifest, tuning=TuningInfo(int(tuned.sum()), int((~is_test & ~tuned).sum())))
    gallery_map = fit_map(gallery.features.take(gallery.splits == "train"), cast("AttributeModel", models.attributes))
    bundle = Bundle(gallery, models, manifest, familiarity, gallery_map, color_network=color_network)
    bundle = replace(bundle, report=evaluate(bundle, backbone, pictures, traits, config.seeds))
    save_bundle(bundle, config.out)
    return bundle


def _check_labels(dataset: Dataset, more: Dataset | None) -> None:
    labels = {name: np.array(dataset[name][:], dtype=str) for name in LABELS}
    check_pairs(labels, np.ones(len(dataset), bool), "photos")
    if more is not None:
        labels = {name: np.concatenate([labels[name], np.array(more[name][:], dtype=str)]) for name in LABELS}
    check_labels(labels)


def _tuned_color_network(
    sources: Sequence[tuple[Dataset, Gallery]],
    features: Features,
    labels: Mapping[str, np.ndarray],
    tuned: np.ndarray,
    seed: int,
) -> ColorNetwork:
    """The network that was tuned on the same photos, labels and seed before, from the cache; else one tuned now.

    In the cache it is named by the hash of its content, too: one that is damaged is not taken.
    """
    columns = {name: column[tuned] for name, column in labels.items()}
    key = hashlib.sha256(f"{TUNING_VERSION} {seed} {[column.tolist() for column in columns.values()]}".encode())
    for part in (features.embedding, features.color):
        key.update(np.ascontiguousarray(part[tuned]).data)
    folder = CacheFolder("color_networks")
    for path in folder.files(f"{key.hexdigest()}-*.onnx"):
        with contextlib.suppress(OSError):
            graph = path.read_bytes()
            if path.stem.endswith(hashlib.sha256(graph).hexdigest()):
                return ColorNetwork(graph)
    images = chain.from_iterable(read_photos(*source) for source in sources)
    network = tune_color_network(compress(images, tuned), columns, seed)
    name = f"{key.hexdigest()}-{hashlib.sha256(network.graph).hexdigest()}.onnx"
    try:
        folder.write(name, lambda path: path.write_bytes(network.graph))
    except CbirError as error:  # the work goes on
        print(f"the color network is not kept: {error}")
    return network


def _learned(sources: Sequence[tuple[Dataset, Gallery]], color_network: ColorNetwork) -> np.ndarray:
    """What the network gives for the photos of all sources, in order: (n, l) float32."""
    n = sum(len(gallery) for _, gallery in sources)
    images = chain.from_iterable(read_photos(*source) for source in sources)
    bar = iter(tqdm(images, desc="describing colors", total=n, unit="photo"))
    parts = []
    while batch := list(islice(bar, BATCH_SIZE)):
        parts.append(extract_learned(batch, color_network))
    return np.concatenate(parts)


def parse_args(argv: list[str] | None = None) -> Config:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="photos: see above")
    parser.add_argument("--out", required=True, type=Path, help="folder of the bundle; an older bundle is replaced")
    parser.add_argument("--backbone", help=f"{', '.join(BACKBONES)} or a timm model id (default: {BACKBONE})")
    parser.add_argument("--weights", type=Path, help="local safetensors file with the backbone's weights")
    parser.add_argument("--revision", help="revision of a Hub dataset")
    parser.add_argument("--also-fit", metavar="DATA", help="more photos to fit on, outside the gallery")
    parser.add_argument("--test-share", type=float, default=Config.test_share, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=Config.seed, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=(), help="evaluate on fresh splits of these seeds too")
    parser.add_argument("--tune-color", action="store_true", help="fine-tune a color network: takes minutes, or more")
    parser.add_argument(
        "--traits", type=Path, help="csv file with traits of the photos, to evaluate order in a class by"
    )
    parser.add_argument("--push", metavar="user/repo", help="publish the bundle to this model repository on the Hub")
    parser.add_argument("--public", action="store_true", help="make a new repository public")
    parser.add_argument("--license", dest="licence", help="of the photos, as the Hub names it, e.g. cc-by-4.0")
    parser.add_argument("--title", help="what the app calls the collection; default: the name of the data")
    args = vars(parser.parse_args(argv))
    return Config(**{**args, "seeds": tuple(args["seeds"])})


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    config = parse_args(argv)
    bundle = train(config)
    print(tables(cast("Report", bundle.report)))
    print(f"\nwrote {config.out}: {len(bundle.gallery):,} photos; see it with: python app.py --bundle {config.out}")
    if config.push:
        print_published(publish(config.out, config.push, config.public))
    return 0


if __name__ == "__main__":
    run_main(main)

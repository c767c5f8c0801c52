"""Makes a person's own photos searchable, for `python app.py --photos DIR`.

The photos become a gallery; the fitted methods come from a bundle of the same backbone, so that no labels are needed.
"""

from pathlib import Path

from cbir.bundle import Bundle, DatasetInfo, Manifest
from cbir.errors import BundleError
from cbir.features.backbone import Backbone
from train.data.embed import embed_dataset, report_unreadable
from train.prepare_data import counts, read_dataset


def index_folder(folder: Path, base: Bundle, backbone: Backbone) -> Bundle:
    """Indexes a folder of photos, with a progress bar; photos that were indexed before are not embedded again.

    Args:
        folder: photos in any folders, or in one of the layouts of `train.prepare_data`, whose labels are then shown.
        base: the bundle whose fitted methods to use.
        backbone: the one that made `base`.

    Returns:
        A bundle in memory; its photos are in no split.

    Raises:
        DataError: there are no photos, or their labels file is not as expected.
        BundleError: the backbone is not the one that made `base`.
    """
    if backbone.fingerprint != base.manifest.backbone.fingerprint:
        raise BundleError(f"the bundle's methods need its own backbone, got other weights of {backbone.name}")
    dataset = read_dataset(folder, any_folders=True)
    gallery, unreadable = embed_dataset(dataset, backbone)
    report_unreadable(unreadable, str(folder))
    dataset_info = DatasetInfo(folder.resolve().name, len(gallery), counts=counts(dataset), unreadable=unreadable)
    manifest = Manifest(
        folder.resolve().name, backbone.describe(), dataset_info, models_from=base.manifest.title, created=None
    )
    return Bundle(gallery, base.models, manifest, base.familiarity, base.map, color_network=base.color_network)

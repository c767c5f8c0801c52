"""A person's own photos, made searchable for `python app.py --photos DIR`.

The photos become a gallery; the fitted methods come from a bundle of the same backbone, so that no labels are needed.
"""

from pathlib import Path

from cbir.bundle import Bundle, DatasetInfo, Manifest
from cbir.errors import BundleError
from cbir.features.backbone import Backbone
from cbir.gallery import index_gallery, report_unreadable
from cbir.photos import count_labels, list_photos


def index_folder(folder: Path, base: Bundle, backbone: Backbone) -> Bundle:
    """Indexes a folder or zip of photos, with a progress bar; photos that were indexed before are not embedded again.

    Args:
        folder: photos in any folders, or in one of the layouts of `cbir.photos`, whose labels are then shown.
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
    records = list_photos(folder, any_folders=True).records
    colors, types = [record.color for record in records], [record.type for record in records]
    ids, paths = [record.id for record in records], [record.path for record in records]
    gallery, unreadable = index_gallery(ids, paths, {"color": colors, "type": types}, backbone)
    report_unreadable(unreadable, str(folder))
    name = folder.resolve().name
    dataset = DatasetInfo(name, len(gallery), counts=count_labels(colors, types), unreadable=unreadable)
    manifest = Manifest(name, backbone.describe(), dataset, models_from=base.manifest.title)
    return Bundle(gallery, base.models, manifest, base.familiarity, base.map, color_network=base.color_network)

"""A person's own photos, made searchable for `python app.py --photos DIR`.

The photos become a gallery; the fitted methods come from a bundle of the same backbone, so that no labels are needed.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cbir.bundle import Bundle, DatasetInfo, Manifest
from cbir.errors import BundleError, CbirError, NoPhotosError
from cbir.features.backbone import Backbone
from cbir.gallery import Gallery, index_gallery, report_unreadable
from cbir.labels import LABELS
from cbir.photos import PhotoListing, PhotoRecord, count_labels, list_photos, report_listing

Stamp = tuple[str, int, int]  # of a file: path, size in bytes, time of its last change in nanoseconds


@dataclass(frozen=True)
class Changes:
    """What an update found, as ids of photos.

    Attributes:
        added: new ones.
        changed: with another picture or other labels than before.
        removed: gone, or no longer readable.
        unreadable: for every photo that is left out its id and why.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether the gallery is another one."""
        return bool(self.added or self.changed or self.removed)


class OwnPhotos:
    """The photos of a folder or zip as a bundle that follows them.

    Attributes:
        bundle: in memory; its photos are in no split. An update puts a new one in its place.
        backbone: embeds them.
    """

    def __init__(self, folder: Path, base: Bundle, backbone: Backbone) -> None:
        """Indexes the photos, with a progress bar; those that were indexed before are not embedded again.

        Args:
            folder: photos in any folders, or in one of the layouts of `cbir.photos`, whose labels are then shown.
            base: the bundle whose fitted methods to use.
            backbone: the one that made `base`.

        Raises:
            DataError: there are no photos, or their labels file is not as expected.
            NoPhotosError: none can be read.
            BundleError: the backbone is not the one that made `base`.
        """
        if backbone.fingerprint != base.manifest.backbone.fingerprint:
            raise BundleError(f"the bundle's methods need its own backbone, got other weights of {backbone.name}")
        self.backbone = backbone
        self._folder, self._base = folder, base
        self._updating = threading.Lock()
        self._stamps: dict[str, Stamp] = {}
        listing = list_photos(folder, any_folders=True)
        report_listing(listing, str(folder))
        stamps = _stamps(listing.records)
        gallery, unreadable = _index(listing.records, backbone)
        report_unreadable(unreadable, str(folder))
        self.bundle = self._bundle_of(listing, gallery, unreadable)
        self._stamps = stamps

    def update(self) -> Changes:
        """Reads what is new or changed since, by size and time of each file, and drops what is gone.

        Returns:
            What changed; `bundle` is another object only where something did.

        Raises:
            DataError, NoPhotosError: as at the start. Then `bundle` stays as it was.
            CbirError: another update is going on.
        """
        if not self._updating.acquire(blocking=False):
            raise CbirError("the photos are being read already: wait until that is done")
        try:
            return self._update()
        finally:
            self._updating.release()

    def _update(self) -> Changes:
        before = self.bundle.gallery
        listing = list_photos(self._folder, any_folders=True)
        records = listing.records
        stamps = _stamps(records)
        same = {id for id, stamp in stamps.items() if stamp == self._stamps.get(id)}
        known = self.bundle.manifest.dataset.unreadable
        unreadable = {id: why for id, why in known.items() if id in same}
        kept = [record for record in records if record.id in same and record.id in before]
        parts = []
        if kept:
            part = before.take(np.array([before.row(record.id) for record in kept]))
            parts.append(Gallery(part.ids, _labels(kept), part.features, part.thumbnails, part.splits))
        if others := [record for record in records if record.id not in same]:
            try:
                gallery, failed = _index(others, self.backbone)
                parts.append(gallery)
            except NoPhotosError as error:
                failed = dict(error.unreadable)
            report_unreadable(failed, str(self._folder))
            unreadable |= failed
        if not parts:
            raise NoPhotosError(unreadable)
        gallery = Gallery.concatenate(parts)
        gallery = gallery.take(np.argsort(gallery.ids))
        changes = _compare(before, gallery, unreadable)
        dataset = self.bundle.manifest.dataset
        others_changed = (listing.left_out, listing.remarks) != (dataset.left_out, dataset.remarks)
        if others_changed:
            report_listing(listing, str(self._folder))
        if changes or unreadable != known or others_changed:
            self.bundle = self._bundle_of(listing, gallery, unreadable)
        self._stamps = stamps
        return changes

    def _bundle_of(self, listing: PhotoListing, gallery: Gallery, unreadable: dict[str, str]) -> Bundle:
        base, name = self._base, self._folder.resolve().name
        dataset = DatasetInfo(
            name,
            len(gallery),
            counts=count_labels([r.color for r in listing.records], [r.type for r in listing.records]),
            unreadable=unreadable,
            left_out=listing.left_out,
            remarks=listing.remarks,
        )
        manifest = Manifest(name, self.backbone.describe(), dataset, models_from=base.manifest.title)
        return Bundle(gallery, base.models, manifest, base.familiarity, base.map, color_network=base.color_network)


def index_folder(folder: Path, base: Bundle, backbone: Backbone) -> Bundle:
    """The photos of a folder or zip as a bundle: arguments and errors as of `OwnPhotos`."""
    return OwnPhotos(folder, base, backbone).bundle


def _index(records: Sequence[PhotoRecord], backbone: Backbone) -> tuple[Gallery, dict[str, str]]:
    columns = {name: [getattr(record, name) for record in records] for name in LABELS}
    return index_gallery([record.id for record in records], [record.path for record in records], columns, backbone)


def _labels(records: Sequence[PhotoRecord]) -> dict[str, np.ndarray]:
    return {name: np.array([getattr(record, name) for record in records], dtype=str) for name in LABELS}


def _stamps(records: Sequence[PhotoRecord]) -> dict[str, Stamp]:
    """Of each file that is still there; taken before it is read, so that a later change shows."""
    stamps = {}
    for record in records:
        try:
            status = Path(record.path).stat()
        except OSError:
            continue
        stamps[record.id] = (record.path, status.st_size, status.st_mtime_ns)
    return stamps


def _compare(before: Gallery, after: Gallery, unreadable: dict[str, str]) -> Changes:
    added, changed = [], []
    for row, id in enumerate(after.ids.tolist()):
        if id not in before:
            added.append(id)
            continue
        old = before.row(id)
        if after.thumbnails[row] != before.thumbnails[old] or after.labels_of(row) != before.labels_of(old):
            changed.append(id)
    return Changes(added, changed, [id for id in before.ids.tolist() if id not in after], unreadable)

"""Adds photos to a bundle, and removes some, without making it again.

Ids stay, and only new photos are embedded. The methods stay as they were fitted, and the report says what was measured
before: the manifest counts what changed since (`Edits`), and page, model card and `doctor` say so.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from cbir.bundle import Bundle, Edits, load_bundle, load_bundle_backbone, save_bundle
from cbir.embedded import is_embedded, read_galleries, read_gallery, read_info
from cbir.errors import BundleError, DataError, ImageError, NoPhotosError
from cbir.features.backbone import Backbone, BackboneInfo
from cbir.files import cache_root, reason
from cbir.gallery import Gallery, index_gallery
from cbir.images import load_image, thumbnail
from cbir.index import Index
from cbir.labels import LABELS
from cbir.milvus import MilvusIndex
from cbir.photos import PHOTO_SUFFIXES, PhotoRecord, count_labels, list_photos, report_listing
from cbir.report import Example, Examples, Report

N_NAMED = 5  # ids in a message
AT_ONCE = 1024  # photos that are added to an index


@dataclass(frozen=True)
class Added:
    """What came of photos that were to be added.

    Attributes:
        added: ids of new photos.
        replaced: ids that had another photo, or other labels, before.
        known: ids whose photo was there already.
        unreadable: for each photo that was left out its id and why.
        n_ignored: files beside the photos.
    """

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    n_ignored: int = 0


def add_photos(
    folder: Path,
    sources: Sequence[Path],
    backbone: Backbone | None = None,
    *,
    weights: Path | None = None,
    overwrite: bool = False,
    index: str = "",
) -> Added:
    """Adds photos to a bundle on this machine, all of them or, where an error is raised, none.

    With an index, they are added to that, by the models of the bundle, which stays as it is. Where that breaks off,
    some have been added: given again, they are known.

    Args:
        folder: of the bundle.
        sources: photos, folders or zips of photos as `app.py --photos` reads them, and folders of embedded photos.
            The id of a photo is its path within the folder or zip, or the name of the file. With an index, none stands
            for the bundle's own gallery.
        backbone: embeds them; None to load the bundle's where there is something to embed.
        weights: of the backbone that is loaded, as for `load_backbone`.
        overwrite: whether photos take the places of others with the same ids.
        index: where to add them: `milvus:URI`; "" for the bundle.

    Returns:
        What came of them. The bundle is written only where its gallery changed.

    Raises:
        BundleError: there is no bundle, or the backbone is not the one that made it.
        BackboneError: its weights are not to be had.
        DataError: a source has no photos, two photos have the same id, or an id has another photo already.
        NoPhotosError: none of the photos can be read.
    """
    if index:
        return _add_to_index(index, load_bundle(folder), sources, backbone, weights, overwrite=overwrite)
    with _locked(folder):
        bundle = load_bundle(folder)
        more, found = _new(
            bundle,
            bundle.gallery,
            _list(sources, bundle),
            lambda: backbone or load_bundle_backbone(bundle, weights),
            overwrite=overwrite,
        )
        if more is not None:
            edited = _edited(bundle, without=found.replaced, more=more, unreadable=found.unreadable)
            save_bundle(edited, folder)
    return found


def _add_to_index(
    address: str,
    bundle: Bundle,
    sources: Sequence[Path],
    backbone: Backbone | None,
    weights: Path | None,
    *,
    overwrite: bool,
) -> Added:
    @cache
    def load() -> Backbone:
        return backbone or load_bundle_backbone(bundle, weights)

    total = Added()
    with closing(MilvusIndex(address, bundle, create=True)) as index:
        for given in _parts(sources, bundle):
            ids = [
                *(record.id for record in given.records),
                *(id for part in given.embedded for id in part.ids.tolist()),
            ]
            try:
                more, found = _new(bundle, index.found(ids), given, load, overwrite=overwrite)
            except NoPhotosError as error:
                more, found = None, Added(unreadable=dict(error.unreadable))
            if more is not None:
                index.add(more)
            total = Added(
                total.added + found.added,
                total.replaced + found.replaced,
                total.known + found.known,
                total.unreadable | found.unreadable,
                total.n_ignored + found.n_ignored,
            )
    if total.unreadable and not (total.added or total.replaced or total.known):
        raise NoPhotosError(total.unreadable)
    return total


def _new(
    bundle: Bundle, there: Gallery, given: "_Given", load: Callable[[], Backbone], *, overwrite: bool
) -> tuple[Gallery | None, Added]:
    """What is to be put beside or in place of photos that are there; None for nothing.

    Args:
        bundle: by whose backbone.
        there: at least those with the same ids.
        given: what was given.
        load: loads the backbone, where there is something to embed.
        overwrite: as in `add_photos`.
    """
    unreadable = dict(given.unreadable)
    known, changed = _compare(there, given, unreadable)
    if changed and not overwrite:
        raise DataError(
            f"expected new photos, but {len(changed)} ids have other photos or labels already "
            f"({_shortened(changed)}): rename the files, or overwrite what is there (--replace)"
        )
    left = {*known, *unreadable}
    parts = [part.take(~np.isin(part.ids, known)) for part in given.embedded if not left.issuperset(part.ids)]
    if new := [record for record in given.records if record.id not in left]:
        try:
            part, failed = _index(new, bundle, load())
            parts.append(part)
        except NoPhotosError as error:
            if not known and not parts:
                raise
            failed = dict(error.unreadable)
        unreadable |= failed
    if not parts:
        return None, Added(known=known, unreadable=unreadable, n_ignored=given.n_ignored)
    more = Gallery.concatenate(parts)
    replaced = [id for id in more.ids.tolist() if id in there]
    added = [id for id in more.ids.tolist() if id not in there]
    return more, Added(added, replaced, known, unreadable, given.n_ignored)


def remove_photos(folder: Path, ids: Sequence[str], index: str = "") -> int:
    """Removes photos from a bundle on this machine, all of them or, where an error is raised, none.

    Args:
        folder: of the bundle.
        ids: of the photos.
        index: as in `add_photos`.

    Returns:
        How many were removed.

    Raises:
        BundleError: there is no bundle, or nothing would be left of its gallery.
        UnknownNameError: it has no such photo.
    """
    if index:
        with closing(MilvusIndex(index, load_bundle(folder))) as there:
            there.remove(list(dict.fromkeys(ids)))
        return len(set(ids))
    with _locked(folder):
        bundle = load_bundle(folder)
        edited = _edited(bundle, without=ids)
        save_bundle(edited, folder)
    return len(bundle.gallery) - len(edited.gallery)


def _edited(
    bundle: Bundle, *, without: Iterable[str], more: Gallery | None = None, unreadable: Mapping[str, str] | None = None
) -> Bundle:
    """The bundle without some of its photos and with others, and with what is recorded of them."""
    is_kept = np.ones(len(bundle.gallery), bool)
    is_kept[[bundle.gallery.row(id) for id in without]] = False
    parts = [*([bundle.gallery.take(is_kept)] if is_kept.any() else []), *([more] if more else [])]
    if not parts:
        raise BundleError("expected to keep at least one photo, but these are all: remove the bundle's folder instead")
    gallery = Gallery.concatenate(parts)
    dataset, edits = bundle.manifest.dataset, bundle.manifest.edits or Edits()
    left_out = {**dataset.unreadable, **(unreadable or {})}
    manifest = replace(
        bundle.manifest,
        dataset=replace(
            dataset,
            n_photos=len(gallery),
            counts=count_labels(gallery.labels["color"].tolist(), gallery.labels["type"].tolist()),
            unreadable={id: why for id, why in left_out.items() if id not in gallery},
        ),
        edits=Edits(edits.n_added + (len(more) if more else 0), edits.n_removed + int((~is_kept).sum())),
        created=None,
    )
    report = bundle.report and _without_examples(bundle.report, set(bundle.gallery.ids[is_kept].tolist()))
    return replace(bundle, gallery=gallery, manifest=manifest, report=report, loaded_revision=None)


def only_with(index: Index, bundle: Bundle) -> Bundle:
    """The bundle, whose report shows only what is in an index."""
    report = bundle.report
    if report is None:
        return bundle
    shown = [one for found in report.queries.tasks.values() for one in (*found.best, *found.worst)]
    ids = {id for one in shown for id in (one.id, *(match.id for match in one.matches))}
    return replace(bundle, report=_without_examples(report, set(index.found(sorted(ids)).ids.tolist())))


def _without_examples(report: Report, kept: set[str]) -> Report:
    """A report without the examples that show a photo which is gone; its figures stay what they were."""

    def shown(examples: Sequence[Example]) -> tuple[Example, ...]:
        return tuple(one for one in examples if kept.issuperset([one.id, *(match.id for match in one.matches)]))

    tasks = {task: Examples(shown(found.best), shown(found.worst)) for task, found in report.queries.tasks.items()}
    return replace(report, queries=replace(report.queries, tasks=tasks))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other commands from editing the same bundle; waits where one does."""
    if not folder.is_dir():
        raise BundleError(f"expected a bundle on this machine, but there is no folder {str(folder)!r}: check the path")
    lock = cache_root() / "locks" / f"{hashlib.sha256(bytes(folder.resolve())).hexdigest()[:16]}.lock"
    editing = FileLock(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        editing.acquire(timeout=0)
    except Timeout:
        print(f"{folder} is being edited by another command: waiting for it")
        editing.acquire()
    except OSError as error:
        advice = "set CBIR_CACHE to a folder of yours"
        raise BundleError(f"cannot lock the bundle by {lock} ({reason(error)}): {advice}") from error
    try:
        yield
    finally:
        editing.release()


@dataclass(frozen=True)
class _Given:
    """What is to be added: photos as files, embedded ones, why others cannot be read, and a number of other files."""

    records: list[PhotoRecord]
    embedded: list[Gallery]
    unreadable: dict[str, str]
    n_ignored: int


def _parts(sources: Sequence[Path], bundle: Bundle) -> Iterator[_Given]:
    """What is to be added to an index, some at a time: `sources` may be more than fits into memory."""
    if not sources:
        for start in range(0, len(bundle.gallery), AT_ONCE):
            yield _Given([], [bundle.gallery.take(np.arange(start, min(start + AT_ONCE, len(bundle.gallery))))], {}, 0)
    others = []
    for source in sources:
        if not is_embedded(source):
            others.append(source)
            continue
        _check_made_by(read_info(source).backbone, bundle)
        for gallery, unreadable in read_galleries(source):
            yield _Given([], [] if gallery is None else [gallery], unreadable, 0)
    if others:
        given = _list(others, bundle)
        for start in range(0, len(given.records), AT_ONCE):
            yield _Given(given.records[start : start + AT_ONCE], [], {}, 0 if start else given.n_ignored)


def _list(sources: Sequence[Path], bundle: Bundle) -> _Given:
    records: list[PhotoRecord] = []
    embedded: list[Gallery] = []
    unreadable: dict[str, str] = {}
    n_ignored = 0
    for source in sources:
        if is_embedded(source):
            _check_made_by(read_info(source).backbone, bundle)
            gallery, others = read_gallery(source)
            embedded.append(gallery)
            unreadable |= others
        elif source.is_file() and source.suffix.lower() in PHOTO_SUFFIXES:
            records.append(PhotoRecord(source.name, str(source.absolute()), "", ""))
        else:
            listing = list_photos(source, any_folders=True)
            report_listing(listing, str(source))
            records += listing.records
            n_ignored += listing.n_ignored
    records = list({(record.id, record.path): record for record in records}.values())  # the same file twice is one
    ids = Counter([*(record.id for record in records), *(id for part in embedded for id in part.ids.tolist())])
    if ids and (twice := ids.most_common(1)[0])[1] > 1:
        raise DataError(f"expected each id once, but {twice[0]!r} is in two of the sources: rename one of the files")
    return _Given(records, embedded, unreadable, n_ignored)


def _check_made_by(backbone: Backbone | BackboneInfo, bundle: Bundle) -> None:
    if backbone.fingerprint != bundle.manifest.backbone.fingerprint:
        raise BundleError(
            f"expected the backbone that made the bundle, got other weights of {backbone.name}: give the same with "
            "--weights FILE, and to train.embed the bundle"
        )


def _index(records: Sequence[PhotoRecord], bundle: Bundle, backbone: Backbone) -> tuple[Gallery, dict[str, str]]:
    _check_made_by(backbone, bundle)
    columns = {name: [getattr(record, name) for record in records] for name in LABELS}
    return index_gallery([record.id for record in records], [record.path for record in records], columns, backbone)


def _compare(gallery: Gallery, given: _Given, unreadable: dict[str, str]) -> tuple[list[str], list[str]]:
    """Of photos whose ids are in the gallery: which it has, and which are other photos there.

    Those that cannot be read are put into `unreadable`.
    """
    known: list[str] = []
    changed: list[str] = []

    def compare(id: str, picture: bytes, labels: Mapping[str, str]) -> None:
        row = gallery.row(id)
        is_same = picture == gallery.thumbnails[row]
        is_same &= all(labels[name] in ("", gallery.labels[name][row]) for name in LABELS)
        (known if is_same else changed).append(id)

    there = [record for record in given.records if record.id in gallery]
    for record in tqdm(there, desc="comparing", unit="photo", disable=not there):
        try:
            picture = thumbnail(load_image(record.path))
        except (ImageError, OSError) as error:
            unreadable[record.id] = str(error)
            continue
        compare(record.id, picture, {name: getattr(record, name) for name in LABELS})
    for part in given.embedded:
        for row, id in enumerate(part.ids.tolist()):
            if id in gallery:
                compare(id, part.thumbnails[row], part.labels_of(row))
    return known, changed


def _shortened(ids: Sequence[str]) -> str:
    return ", ".join(map(repr, ids[:N_NAMED])) + (", ..." if len(ids) > N_NAMED else "")

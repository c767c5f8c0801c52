"""Bundles: a gallery, the fitted methods and a manifest, as a folder. The only file that knows the formats.

    manifest.json         what made the bundle, and sha256 and size of every other file
    gallery.parquet       id, type, color, split, thumbnail (JPEG), one row per photo
    features.safetensors  embedding (g, d), color (g, c) and, of a color network, learned (g, l), float16, in the same
                          order
    color_network.onnx    the color network; absent where there is none
    models.safetensors    the arrays of what was fitted: attributes/..., <method>/..., familiarity/..., map/...
    <method>.<task>.onnx  the forests
    report.json           how good the methods are (train.evaluate); may be absent

Nothing here runs code when it is loaded. Loading checks the schema version, then sizes and hashes, then shapes, and
says which check failed.
"""

import hashlib
import json
import platform
import shutil
import tempfile
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from cbir import hub
from cbir.errors import BundleError, HubUnreachableError, Message
from cbir.familiarity import Familiarity
from cbir.features import Features
from cbir.features.backbone import Backbone, BackboneInfo, load_backbone
from cbir.features.color_descriptor import COLOR_DIM, COLOR_VERSION
from cbir.features.color_network import ColorNetwork
from cbir.gallery import Gallery
from cbir.labels import LABELS
from cbir.map import GalleryMap
from cbir.report import Report
from cbir.similarity import SIMILARITIES, Models, Similarity
from cbir.similarity.attributes import AttributeModel
from cbir.storage import Flat, build, flatten
from cbir.version import __version__

FORMAT = "apparel-cbir-bundle"
SCHEMA_VERSION = 4
EMBEDDED = Path(__file__).resolve().parent.parent / "samples" / "bundle"
MANIFEST = "manifest.json"
GALLERY = "gallery.parquet"
FEATURES = "features.safetensors"
MODELS = "models.safetensors"
COLOR_NETWORK = "color_network.onnx"
REPORT = "report.json"
_COLOR_DESCRIPTOR = {"version": COLOR_VERSION, "dim": COLOR_DIM}
_LIBRARIES = ("torch", "timm", "scikit-learn", "numpy", "onnxruntime", "safetensors", "pillow")
# Parts of a bundle that are stored as they are annotated: name in the files -> type.
_PARTS: dict[str, type] = {
    "attributes": AttributeModel,
    **{m.name: m.model_type for m in SIMILARITIES.values() if m.model_type not in (None, AttributeModel)},
    "familiarity": Familiarity,
    "map": GalleryMap,
}


@dataclass(frozen=True)
class DatasetInfo:
    """What a bundle records of the photos in its gallery.

    Attributes:
        name: of the folder, file or Hub dataset.
        n_photos: in the gallery.
        is_drawn: whether the pictures are drawings.
        repo: of the dataset on the Hub, `user/name`; None for one that is elsewhere.
        revision: its commit there.
        licence: of the photos, as somebody stated it; None where nobody did.
        counts: number of photos by color and type, "" where unknown.
        unreadable: why photos were left out, by id.
        n_also_fit: photos outside the gallery that methods were fitted on.
    """

    name: str
    n_photos: int
    is_drawn: bool = False
    repo: str | None = None
    revision: str | None = None
    licence: str | None = None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    n_also_fit: int = 0


@dataclass(frozen=True)
class TuningInfo:
    """Photos of the train side that the color network was tuned on, and those kept from it."""

    n_tuned: int
    n_untuned: int


@dataclass(frozen=True)
class Edits:
    """Photos added to a gallery, and removed from it, since its methods were fitted and evaluated."""

    n_added: int = 0
    n_removed: int = 0


@dataclass(frozen=True)
class Manifest:
    """What made a bundle.

    Attributes:
        title: what people read.
        backbone: embedded the photos.
        dataset: the photos.
        seed: of split, pairs and fits; None where nothing was fitted.
        test_share: of the photos, kept for evaluation.
        tuning: of the color network; None where there is none.
        models_from: title of the bundle that the models come from, where it is another one.
        edits: of the gallery since then; None where it is as it was.
        created: when, in UTC (ISO 8601).
        version: of the software.
    """

    title: str
    backbone: BackboneInfo
    dataset: DatasetInfo
    seed: int | None = None
    test_share: float | None = None
    tuning: TuningInfo | None = None
    models_from: str | None = None
    edits: Edits | None = None
    created: str | None = None
    version: str = __version__


@dataclass(frozen=True)
class Bundle:
    """Everything that a search needs, except the backbone's own weights.

    Attributes:
        gallery: what is searched.
        models: what methods learned.
        manifest: what made it.
        familiarity: tells photos of clothes from others; None where that was not fitted.
        map: places photos on a map; None where that was not fitted.
        report: how good the methods are; None where they were not evaluated.
        color_network: tells colors, beside the color descriptor; None where none was tuned.
        notice: what whoever searches it should know, e.g. that it stands in for another, a `Message`; None for nothing.
        repo: `user/repo` on the Hub that it came from; None for one that did not.
        loaded_revision: the commit, or hash of the manifest, that it was loaded as; None for one made in memory.
    """

    gallery: Gallery
    models: Models
    manifest: Manifest
    familiarity: Familiarity | None = None
    map: GalleryMap | None = None
    report: Report | None = None
    color_network: ColorNetwork | None = None
    notice: str | None = None
    repo: str | None = None
    loaded_revision: str | None = None

    @property
    def attributes(self) -> AttributeModel | None:
        """Tells type and color; None in a bundle without learned methods."""
        return self.models.attributes

    @property
    def methods(self) -> list[Similarity]:
        """The methods that it can score with."""
        return self.models.methods

    @property
    def default_method(self) -> str:
        """The name of the method to take where none is asked for."""
        return self.models.default_method

    @cached_property
    def revision(self) -> str:
        """What tells it from any other: the Hub's commit; for a folder "sha256:" and the hash of its manifest file,
        which lists the hashes of the others; for a bundle made in memory, a hash of what a search returns.
        """
        if self.loaded_revision is not None:
            return self.loaded_revision
        content = hashlib.sha256(json.dumps(asdict(self.manifest), sort_keys=True, default=dict).encode())
        for array in (self.gallery.features.embedding, self.gallery.features.color):
            content.update(np.ascontiguousarray(array).data)
        columns = [self.gallery.ids.tolist(), *(self.gallery.labels[name].tolist() for name in LABELS)]
        content.update(json.dumps(columns).encode())
        return f"sha256:{content.hexdigest()}"


def save_bundle(bundle: Bundle, folder: str | Path) -> Path:
    """Writes a bundle: into a temporary folder first, then by one rename. A bundle of that name is replaced.

    Returns:
        The folder.

    Raises:
        BundleError: the folder exists and is not a bundle.
    """
    folder = Path(folder)
    if folder.exists() and not _is_replaceable(folder):
        raise BundleError(f"{folder} exists and is not a bundle: give another folder, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        new.chmod(0o755)
        parts = {
            name: flatten(part, None if isinstance(part, AttributeModel) else AttributeModel)
            for name, part in _parts(bundle).items()
        }
        _write_files(bundle, parts, new)
        made = replace(bundle.manifest, created=bundle.manifest.created or _now(), version=__version__)
        manifest = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            **flatten(made).json,
            "color_descriptor": _COLOR_DESCRIPTOR,
            "parts": {name: flat.json for name, flat in parts.items()},
            "libraries": {"python": platform.python_version(), **{name: metadata.version(name) for name in _LIBRARIES}},
            "files": {
                path.name: {"sha256": _sha256(path), "bytes": path.stat().st_size} for path in sorted(new.iterdir())
            },
        }
        (new / MANIFEST).write_bytes(_manifest_bytes(manifest))
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            folder.rename(old / folder.name)
            new.rename(folder)
            shutil.rmtree(old)
        else:
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def open_bundle(source: str | Path | None = None) -> Bundle:
    """Loads a bundle for serving: as `load_bundle`, but an unreachable Hub is no reason not to serve.

    Then the cached snapshot is taken if there is one, else the embedded default, with a notice that says so.

    Raises:
        BundleError, HubError: as `load_bundle`, except that the Hub does not answer.
    """
    try:
        return load_bundle(source)
    except HubUnreachableError as error:
        if (named := hub.parse_repo(str(source))) is None:
            raise
        repo, revision = named
        if (manifest := hub.cached_file(repo, MANIFEST, revision)) and _is_complete(manifest.parent):
            notice = Message(
                "{error}: this is the copy of {source} that was downloaded earlier.", error=error.message, source=source
            )
            return replace(_load(manifest.parent, repo), notice=notice)
        notice = Message(
            "{error}: instead of {source}, this is the embedded catalogue.", error=error.message, source=source
        )
        return replace(load_bundle(), notice=notice)


def load_bundle(source: str | Path | None = None) -> Bundle:
    """Loads and checks a bundle.

    Args:
        source: a local folder, or `user/repo[@revision]` on the Hub; None for the embedded default. Of the Hub only
            the bundle's own files are downloaded, once; a full commit hash that is cached is not asked about again.

    Raises:
        BundleError: it is missing, damaged, or made by another version; the message says which check failed.
        HubError: the Hub refuses; HubUnreachableError: it does not answer.
    """
    folder = EMBEDDED if source is None else Path(source)
    if not folder.exists() and (found := hub.parse_repo(str(source))):
        return _load(_download(*found), found[0])
    return _load(folder)


def _load(folder: Path, repo: str | None = None) -> Bundle:
    """Loads a folder; one of the Hub's cache, where `repo` is given, is named after the commit."""
    manifest = _read_manifest(folder)
    _check_files(folder, manifest)
    try:
        gallery = _read_gallery(folder)
        parts = _read_parts(folder, manifest["parts"], manifest["files"])
        made = build(Manifest, manifest)
        report = _read_report(folder) if REPORT in manifest["files"] else None
        graph = (folder / COLOR_NETWORK).read_bytes() if COLOR_NETWORK in manifest["files"] else None
    except (pa.ArrowException, SafetensorError, KeyError, ValueError, OSError) as error:
        raise BundleError(
            f"bundle {folder} cannot be read ({type(error).__name__}: {error}): build it again"
        ) from error
    color_network = ColorNetwork(graph) if graph else None
    _check_features(folder, manifest["color_descriptor"], made, gallery, color_network)
    return Bundle(
        gallery,
        Models(parts.pop("attributes", None), {m: parts.pop(m) for m in SIMILARITIES if m in parts}),
        made,
        **parts,
        report=report,
        color_network=color_network,
        repo=repo,
        loaded_revision=folder.name if repo else f"sha256:{_sha256(folder / MANIFEST)}",
    )


def load_bundle_backbone(bundle: Bundle, weights: str | Path | None = None) -> Backbone:
    """Loads the backbone that made a bundle, with its color network where it has one.

    Args:
        bundle: names it.
        weights: as for `load_backbone`.

    Raises:
        BackboneError: as `load_backbone`.
    """
    made_by = bundle.manifest.backbone
    backbone = load_backbone(made_by.name, weights, made_by.weights.revision)
    return backbone.with_color_network(bundle.color_network)


def bundle_files(folder: str | Path) -> dict[str, Path]:
    """The files that make up a bundle, by name, after checking sizes and hashes.

    Raises:
        BundleError: it is missing or damaged; the message says which check failed.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    _check_files(folder, manifest)
    return {name: folder / name for name in (MANIFEST, *_needed_files(manifest))}


def manifest_with_licence(folder: str | Path, licence: str) -> bytes:
    """The manifest of a bundle as it is to be published, where somebody states the photos' licence only then.

    Raises:
        BundleError: it is missing or damaged.
    """
    manifest = _read_manifest(Path(folder))
    return _manifest_bytes(manifest | {"dataset": {**manifest["dataset"], "licence": licence}})


def _download(repo: str, revision: str | None) -> Path:
    """Makes the Hub's cache hold a bundle: the folder of its snapshot."""
    if hub.is_commit(revision):
        cached = hub.cached_file(repo, MANIFEST, revision)
        if cached and _is_complete(cached.parent):
            return cached.parent
    folder = hub.download(repo, [MANIFEST], revision)[0].parent
    # The snapshot's folder is named after the commit: a branch that moves meanwhile cannot mix two bundles.
    hub.download(repo, _needed_files(_read_manifest(folder)), folder.name)
    return folder


def _is_complete(folder: Path) -> bool:
    try:
        return all((folder / name).is_file() for name in _needed_files(_read_manifest(folder)))
    except BundleError:
        return False


def _is_replaceable(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        _read_any_manifest(folder)  # a bundle of an earlier version is replaced too
    except BundleError:
        return False
    return True


def _parts(bundle: Bundle) -> dict[str, object]:
    """The parts that are there, by their name in `_PARTS`."""
    parts = {"attributes": bundle.attributes, **bundle.models.by_method}
    parts |= {"familiarity": bundle.familiarity, "map": bundle.map}
    return {name: part for name, part in parts.items() if part is not None}


def _write_files(bundle: Bundle, parts: Mapping[str, Flat], folder: Path) -> None:
    gallery = bundle.gallery
    table = pa.table(
        {
            "id": pa.array(gallery.ids.tolist(), pa.string()),
            **{name: pa.array(gallery.labels[name].tolist(), pa.string()) for name in LABELS},
            "split": pa.array(gallery.splits.tolist(), pa.string()),
            "thumbnail": pa.array(gallery.thumbnails, pa.binary()),
        }
    )
    pq.write_table(table, folder / GALLERY)
    features = {part.name: getattr(gallery.features, part.name) for part in fields(Features)}
    _save_arrays({name: a.astype(np.float16) for name, a in features.items() if a.size}, folder / FEATURES)
    _save_arrays({f"{name}/{at}": a for name, flat in parts.items() for at, a in flat.arrays.items()}, folder / MODELS)
    for name, flat in parts.items():
        for place, graph in flat.graphs.items():
            (folder / _graph_file(name, place)).write_bytes(graph)
    if bundle.color_network is not None:
        (folder / COLOR_NETWORK).write_bytes(bundle.color_network.graph)
    if bundle.report is not None:
        # No nan, which is not JSON; one line, since nobody reads it unformatted and it is sent to browsers.
        text = json.dumps(bundle.report.to_json(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        (folder / REPORT).write_text(text + "\n", encoding="utf-8")


def _manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()


def _save_arrays(arrays: dict[str, np.ndarray], path: Path) -> None:
    # safetensors writes memory as it lies: an array in column order would come back scrambled.
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    path.chmod(0o644)  # safetensors gives its files to their owner alone


def _graph_file(part: str, place: str) -> str:
    return f"{part}.{place.rpartition('/')[2]}.onnx"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read_manifest(folder: Path) -> dict[str, Any]:
    manifest = _read_any_manifest(folder)
    if manifest.get("schema_version") != SCHEMA_VERSION:
        version = manifest.get("schema_version")
        raise BundleError(f"bundle {folder} has schema version {version}, expected {SCHEMA_VERSION}: build it again")
    missing = [key for key in ("backbone", "color_descriptor", "dataset", "parts", "files") if key not in manifest]
    if missing:
        raise BundleError(f"{folder / MANIFEST} lacks {', '.join(missing)}: build the bundle again")
    return manifest


def _read_any_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle of any version."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"no bundle at {folder}: expected a folder with a {MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read ({error}): build or download the bundle again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{path} is not the manifest of a bundle: expected format {FORMAT!r}")
    return manifest


def _needed_files(manifest: dict[str, Any]) -> list[str]:
    """Names of the files that the app needs, besides the manifest."""
    listed = set(manifest["files"])
    graphs = {name for name in listed if name.endswith(".onnx") and name.partition(".")[0] in _PARTS}
    return sorted({GALLERY, FEATURES, MODELS} | graphs | ({REPORT, COLOR_NETWORK} & listed))


def _check_files(folder: Path, manifest: dict[str, Any]) -> None:
    needed = _needed_files(manifest)
    unlisted = set(needed) - set(manifest["files"])
    if unlisted:
        raise BundleError(f"the manifest of {folder} does not list {', '.join(sorted(unlisted))}: build it again")
    for name in needed:
        path, expected = folder / name, manifest["files"][name]
        if not path.is_file():
            raise BundleError(f"bundle {folder} lacks the file {name}: build or download it again")
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise BundleError(f"{path} has {size} bytes, expected {expected['bytes']}: build or download it again")
        if _sha256(path) != expected["sha256"]:
            raise BundleError(f"{path} is damaged (its sha256 differs): build or download it again")


def _read_gallery(folder: Path) -> Gallery:
    table = pq.read_table(folder / GALLERY)
    strings = {name: np.array(table[name].to_pylist(), dtype=str) for name in ("id", "split", *LABELS)}
    return Gallery(
        strings["id"],
        {name: strings[name] for name in LABELS},
        Features(**{name: array.astype(np.float32) for name, array in load_file(folder / FEATURES).items()}),
        table["thumbnail"].to_pylist(),
        strings["split"],
    )


def _read_report(folder: Path) -> Report:
    try:
        return Report.from_json(json.loads((folder / REPORT).read_text(encoding="utf-8")))
    except (BundleError, ValueError) as error:
        raise BundleError(f"{folder / REPORT}: {error}") from None


def _read_parts(folder: Path, described: Mapping[str, Any], listed: Container[str]) -> dict[str, Any]:
    def array(part: str, place: str) -> np.ndarray:
        return arrays[f"{part}/{place}"]

    def graph(part: str, place: str) -> bytes:
        name = _graph_file(part, place)
        if name not in listed:
            raise BundleError(f"the manifest of {folder} does not list {name}: build it again")
        return (folder / name).read_bytes()

    if unknown := sorted(set(described) - set(_PARTS)):
        raise BundleError(f"bundle {folder} holds the unknown part {unknown[0]!r}: update the software")
    arrays = load_file(folder / MODELS)
    parts: dict[str, Any] = {}
    for name, part_type in _PARTS.items():  # the attribute model first: others hold it
        if name in described:
            parts[name] = build(
                part_type,
                described[name],
                array=partial(array, name),
                graph=partial(graph, name),
                shared=parts.get("attributes"),
            )
    return parts


def _check_features(
    folder: Path,
    made_by: object,
    manifest: Manifest,
    gallery: Gallery,
    color_network: ColorNetwork | None,
) -> None:
    features = gallery.features
    if made_by != _COLOR_DESCRIPTOR or features.color.shape[1] != COLOR_DIM:
        raise BundleError(
            f"bundle {folder} has color descriptors {made_by}, this software makes {_COLOR_DESCRIPTOR}: build it again"
        )
    for what, maker, got, expected in (
        ("embeddings", "backbone", features.embedding.shape[1], manifest.backbone.dim),
        ("learned colors", "color network", features.learned.shape[1], color_network.dim if color_network else 0),
    ):
        if got != expected:
            raise BundleError(f"bundle {folder} has {what} of {got} numbers, its {maker} gives {expected}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

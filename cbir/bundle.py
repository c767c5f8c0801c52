"""Bundles: a gallery, the fitted methods and a manifest, as a folder. The only file that knows the formats.

    manifest.json         what made the bundle, and sha256 and size of every other file
    gallery.parquet       id, type, color, split, thumbnail (JPEG), a row a photo
    features.safetensors  embedding (g, d), color (g, c) and, of a color network, learned (g, l), float16, in the same
                          order
    color_network.onnx    the color network; absent where there is none
    methods.safetensors   the arrays of fitted methods, named <method>/<array>, and of `familiarity` (cbir.familiarity)
    <method>.<key>.onnx   the forests
    report.json           how good the methods are (train.evaluate); may be absent

Nothing here runs code when it is loaded. Loading checks the schema version, then sizes and hashes, then shapes, and
says which check failed.
"""

import hashlib
import json
import platform
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from cbir import hub
from cbir.errors import BundleError, HubUnreachableError
from cbir.features import Features
from cbir.features.backbone import Backbone, load_backbone
from cbir.features.color_descriptor import COLOR_DIM, COLOR_VERSION
from cbir.features.color_network import ColorNetwork
from cbir.gallery import Gallery
from cbir.labels import LABELS
from cbir.similarity import SIMILARITIES, Model

FORMAT = "apparel-cbir-bundle"
SCHEMA_VERSION = 3
EMBEDDED = Path(__file__).resolve().parent.parent / "samples" / "bundle"
MANIFEST = "manifest.json"
GALLERY = "gallery.parquet"
FEATURES = "features.safetensors"
METHODS = "methods.safetensors"
COLOR_NETWORK = "color_network.onnx"
REPORT = "report.json"
FAMILIARITY = "familiarity"
_COLOR_DESCRIPTOR = {"version": COLOR_VERSION, "dim": COLOR_DIM}
_LIBRARIES = ("torch", "timm", "scikit-learn", "numpy", "onnxruntime", "safetensors", "pillow")


@dataclass(frozen=True)
class Bundle:
    """Everything that a search needs, but for the backbone's own weights.

    Attributes:
        gallery: what is searched.
        models: fitted methods by name.
        manifest: what made it; keys as `save_bundle` writes them, of which `backbone` and `dataset` come from whoever
            made the bundle.
        familiarity: tells photos of clothes from others, see `cbir.familiarity`; None where that was not fitted.
        report: how good the methods are, as `train.evaluate` writes it; None where they were not judged.
        color_network: tells colors, beside the color descriptor; None where none was learned.
        notice: what whoever searches it should know, e.g. that it stands in for another; None for nothing.
        repo: `user/repo` on the Hub that it came from; None for one that did not.
        loaded_revision: the commit, or hash of the manifest, that it was loaded as; None for one made in memory.
    """

    gallery: Gallery
    models: dict[str, Model]
    manifest: dict[str, Any]
    familiarity: Model | None = None
    report: dict[str, Any] | None = None
    color_network: ColorNetwork | None = None
    notice: str | None = None
    repo: str | None = None
    loaded_revision: str | None = None

    @cached_property
    def revision(self) -> str:
        """What tells it from any other: the Hub's commit; for a folder "sha256:" and the hash of its manifest file,
        which lists the hashes of the others; for a bundle made in memory, a hash of what a search returns.
        """
        if self.loaded_revision is not None:
            return self.loaded_revision
        content = hashlib.sha256(json.dumps(self.manifest, sort_keys=True).encode())
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
        BundleError: the folder exists and is no bundle.
    """
    folder = Path(folder)
    if folder.exists() and not _is_replaceable(folder):
        raise BundleError(f"{folder} exists and is not a bundle: give another folder, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        new.chmod(0o755)
        _write_files(bundle, new)
        manifest = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **bundle.manifest,
            "color_descriptor": _COLOR_DESCRIPTOR,
            "methods": {
                name: {"arrays": sorted(m.arrays), "graphs": sorted(m.graphs), "settings": m.settings}
                for name, m in bundle.models.items()
            },
            **_described_familiarity(bundle.familiarity),
            "libraries": {"python": platform.python_version(), **{name: metadata.version(name) for name in _LIBRARIES}},
            "files": {
                path.name: {"sha256": _sha256(path), "bytes": path.stat().st_size} for path in sorted(new.iterdir())
            },
        }
        (new / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
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
        BundleError, HubError: as `load_bundle`, save that the Hub does not answer.
    """
    try:
        return load_bundle(source)
    except HubUnreachableError as error:
        repo, revision = hub.parse_repo(str(source))
        if (manifest := hub.cached_file(repo, MANIFEST, revision)) and _is_complete(manifest.parent):
            notice = f"{error}: this is the copy of {source} that was downloaded earlier."
            return replace(_load(manifest.parent, repo), notice=notice)
        return replace(load_bundle(), notice=f"{error}: instead of {source}, this is the embedded catalogue.")


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
        arrays = load_file(folder / METHODS)
        models = _read_models(folder, manifest, arrays)
        familiarity = _read_familiarity(manifest, arrays)
        report = json.loads((folder / REPORT).read_text(encoding="utf-8")) if REPORT in manifest["files"] else None
        graph = (folder / COLOR_NETWORK).read_bytes() if COLOR_NETWORK in manifest["files"] else None
    except (pa.ArrowException, SafetensorError, KeyError, OSError) as error:
        raise BundleError(
            f"bundle {folder} cannot be read ({type(error).__name__}: {error}): build it again"
        ) from error
    color_network = ColorNetwork(graph) if graph else None
    _check_features(folder, manifest, gallery, color_network)
    revision = folder.name if repo else f"sha256:{_sha256(folder / MANIFEST)}"
    return Bundle(gallery, models, manifest, familiarity, report, color_network, repo=repo, loaded_revision=revision)


def load_bundle_backbone(bundle: Bundle, weights: str | Path | None = None) -> Backbone:
    """Loads the backbone that made a bundle, with its color network where it has one.

    Args:
        bundle: names it.
        weights: as for `load_backbone`.

    Raises:
        BackboneError: as `load_backbone`.
    """
    return load_backbone(bundle.manifest["backbone"]["name"], weights).with_color_network(bundle.color_network)


def bundle_files(folder: str | Path) -> dict[str, Path]:
    """The files that make up a bundle, by name, after checking sizes and hashes.

    Raises:
        BundleError: it is missing or damaged; the message says which check failed.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    _check_files(folder, manifest)
    return {name: folder / name for name in (MANIFEST, *_needed_files(manifest))}


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


def _write_files(bundle: Bundle, folder: Path) -> None:
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
    features = {name: getattr(gallery.features, name) for name in ("embedding", "color", "learned")}
    _save_arrays({name: a.astype(np.float16) for name, a in features.items() if a.size}, folder / FEATURES)
    models = {**bundle.models, **({FAMILIARITY: bundle.familiarity} if bundle.familiarity else {})}
    arrays = {f"{name}/{key}": a for name, model in models.items() for key, a in model.arrays.items()}
    _save_arrays(arrays, folder / METHODS)
    for name, model in bundle.models.items():
        for key, graph in model.graphs.items():
            (folder / _graph_file(name, key)).write_bytes(graph)
    if bundle.color_network is not None:
        (folder / COLOR_NETWORK).write_bytes(bundle.color_network.graph)
    if bundle.report is not None:
        # No nan, which is no JSON; one line, since nobody reads it unformatted and it is sent to browsers.
        text = json.dumps(bundle.report, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        (folder / REPORT).write_text(text + "\n", encoding="utf-8")


def _save_arrays(arrays: dict[str, np.ndarray], path: Path) -> None:
    # safetensors writes memory as it lies: an array in column order would come back scrambled.
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    path.chmod(0o644)  # safetensors gives its files to their owner alone


def _graph_file(method: str, key: str) -> str:
    return f"{method}.{key}.onnx"


def _read_manifest(folder: Path) -> dict[str, Any]:
    manifest = _read_any_manifest(folder)
    if manifest.get("schema_version") != SCHEMA_VERSION:
        version = manifest.get("schema_version")
        raise BundleError(f"bundle {folder} has schema version {version}, expected {SCHEMA_VERSION}: build it again")
    missing = [key for key in ("backbone", "color_descriptor", "dataset", "methods", "files") if key not in manifest]
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
    graphs = [_graph_file(name, key) for name, method in manifest["methods"].items() for key in method["graphs"]]
    return sorted([GALLERY, FEATURES, METHODS, *graphs, *({REPORT, COLOR_NETWORK} & set(manifest["files"]))])


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


def _read_models(folder: Path, manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Model]:
    models = {}
    for name, method in manifest["methods"].items():
        if name not in SIMILARITIES:
            raise BundleError(f"bundle {folder} holds the unknown method {name!r}: update the software")
        models[name] = Model(
            {key: arrays[f"{name}/{key}"] for key in method["arrays"]},
            {key: (folder / _graph_file(name, key)).read_bytes() for key in method["graphs"]},
            method["settings"],
        )
    return models


def _described_familiarity(model: Model | None) -> dict[str, Any]:
    return {FAMILIARITY: {"arrays": sorted(model.arrays), "settings": model.settings}} if model else {}


def _read_familiarity(manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> Model | None:
    if FAMILIARITY not in manifest:
        return None
    described = manifest[FAMILIARITY]
    return Model({key: arrays[f"{FAMILIARITY}/{key}"] for key in described["arrays"]}, settings=described["settings"])


def _check_features(
    folder: Path, manifest: dict[str, Any], gallery: Gallery, color_network: ColorNetwork | None
) -> None:
    features, made_by = gallery.features, manifest["color_descriptor"]
    if made_by != _COLOR_DESCRIPTOR or features.color.shape[1] != COLOR_DIM:
        raise BundleError(
            f"bundle {folder} has color descriptors {made_by}, this software makes {_COLOR_DESCRIPTOR}: build it again"
        )
    for what, maker, got, expected in (
        ("embeddings", "backbone", features.embedding.shape[1], manifest["backbone"]["dim"]),
        ("learned colors", "color network", features.learned.shape[1], color_network.dim if color_network else 0),
    ):
        if got != expected:
            raise BundleError(f"bundle {folder} has {what} of {got} numbers, its {maker} gives {expected}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

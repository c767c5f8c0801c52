"""Bundles: a gallery, the fitted methods and a manifest, as a folder. The only file that knows the formats.

    manifest.json         what made the bundle, and sha256 and size of every other file
    gallery.parquet       id, type, color, split, thumbnail (JPEG), one row per photo
    features.safetensors  embedding (g, d), color (g, c) and, of a color network, learned (g, l), float16, in the same
                          order
    color_network.onnx    the color network; absent where there is none
    models.safetensors    the arrays of what was fitted: attributes/..., likeness/..., <method>/...,
                          familiarity/..., map/...
    <method>.<task>.onnx  the forests
    report.json           how good the methods are (train.evaluate); may be absent

Nothing here runs code when it is loaded. A bundle may come from a stranger: loading checks the schema version, then
sizes and hashes, then every type, number and shape (`cbir.storage`) and every graph (`cbir.graphs`), lets each method
score a few photos, and says which check failed. Names of files follow from the parts that this software knows.
"""

import hashlib
import json
import os
import platform
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from cbir import hub
from cbir.columns import BytesColumn
from cbir.errors import BundleError, CbirError, HubUnreachableError, Message
from cbir.familiarity import Familiarity
from cbir.features import Features
from cbir.features.backbone import Backbone, BackboneInfo, load_backbone
from cbir.features.color_descriptor import COLOR_DIM, COLOR_VERSION
from cbir.features.color_network import ColorNetwork
from cbir.files import check_writable, reason, recover, replacing
from cbir.gallery import Gallery
from cbir.graphs import open_forest
from cbir.labels import LABELS, TASKS
from cbir.map import GalleryMap
from cbir.photos import Remark
from cbir.progress import SHOWN_AFTER
from cbir.report import Report
from cbir.report_tables import report_tables
from cbir.similarity import SIMILARITIES, Models, Similarity
from cbir.similarity.attributes import AttributeModel
from cbir.similarity.likeness import Likeness
from cbir.storage import Flat, build, flatten
from cbir.version import __version__

FORMAT = "apparel-cbir-bundle"
SCHEMA_VERSION = 5
EMBEDDED = Path(__file__).resolve().parent.parent / "samples" / "bundle"
MANIFEST = "manifest.json"
GALLERY = "gallery.parquet"
GROUP = 256  # rows of it that are read at once, where one is asked for
CHECKED = 2**22  # bytes of an array that are checked at once
FEATURES = "features.safetensors"
MODELS = "models.safetensors"
COLOR_NETWORK = "color_network.onnx"
REPORT = "report.json"
MAX_JSON = 64 * 2**20  # bytes of the manifest, and of the report
HASHED_AT_ONCE = 2**24  # bytes
MAX_THUMBNAIL = 256 * 2**10  # bytes
MAX_COLUMN = 2**30  # bytes of one column of texts, in memory
_LIBRARIES = ("torch", "timm", "scikit-learn", "numpy", "onnxruntime", "safetensors", "pillow")
# Parts of a bundle that are stored as they are annotated: name in the files -> type.
_PARTS: dict[str, type] = {
    "attributes": AttributeModel,
    "likeness": Likeness,
    **{m.name: m.model_type for m in SIMILARITIES.values() if m.is_on_pairs and m.model_type},
    "familiarity": Familiarity,
    "map": GalleryMap,
}
_GALLERY = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("id", *LABELS, "split")),
        pa.field("thumbnail", pa.binary()),
    ]
)
_GRAPH = re.compile(rf"({'|'.join(_PARTS)})\.[a-z_]+\.onnx")


@dataclass(frozen=True)
class _ColorDescriptor:
    """Which descriptor of colors the features hold."""

    version: int
    dim: int


_COLOR_DESCRIPTOR = _ColorDescriptor(COLOR_VERSION, COLOR_DIM)


@dataclass(frozen=True)
class _File:
    """A file of the bundle."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class _Contents:
    """What a manifest file holds besides the fields of `Manifest`.

    Attributes:
        color_descriptor: of the features.
        parts: what is neither array nor graph of each part, by its name in `_PARTS`.
        libraries: versions of what wrote it.
        files: all others, by name.
    """

    color_descriptor: _ColorDescriptor
    parts: Mapping[str, Any]
    libraries: Mapping[str, str]
    files: Mapping[str, _File]


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
        left_out: what else was left out of the folder or zip, by the reason.
        remarks: what was not understood of its labels, by the reason.
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
    left_out: Mapping[str, Remark] = field(default_factory=dict)
    remarks: Mapping[str, Remark] = field(default_factory=dict)
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

    def __post_init__(self) -> None:
        if not len(self.gallery):
            raise BundleError("a bundle needs at least one photo in its gallery, got none")

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
    """Writes a bundle aside, then moves it into place in one step. A bundle of that name is replaced.

    Returns:
        The folder.

    Raises:
        BundleError: the folder exists and is not a bundle, or cannot be written.
    """
    folder = Path(folder)
    check_out(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing(folder.resolve()) as new:
            new.mkdir()
            _write(bundle, new)
    except (OSError, pa.ArrowException, SafetensorError) as error:
        raise BundleError(
            f"cannot write the bundle {folder} ({_short(error)}): free space, or choose another"
        ) from error
    return folder


def check_out(folder: Path) -> None:
    """Checks that a bundle may be written there: the folder is new, empty or an older bundle.

    Raises:
        BundleError: it is something else.
        CbirError: it belongs to another user, or cannot be written.
    """
    check_writable(folder.parent)
    try:
        recover(folder)
        is_free = not os.path.lexists(folder) or _is_replaceable(folder)
    except OSError as error:
        raise CbirError(f"cannot write to {str(folder)[-200:]} ({reason(error)})") from error
    if not is_free:
        raise BundleError(f"{folder} exists and is not a bundle: give another folder, or remove it")


def _write(bundle: Bundle, folder: Path) -> None:
    parts = {name: flatten(part) for name, part in _parts(bundle).items()}
    _write_files(bundle, parts, folder)
    made = replace(bundle.manifest, created=bundle.manifest.created or _now(), version=__version__)
    contents = _Contents(
        _COLOR_DESCRIPTOR,
        parts={name: flat.json for name, flat in parts.items()},
        libraries={"python": platform.python_version(), **{name: metadata.version(name) for name in _LIBRARIES}},
        files={path.name: _File(_sha256(path), path.stat().st_size) for path in sorted(folder.iterdir())},
    )
    manifest = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        **flatten(made).json,
        **flatten(contents).json,
    }
    (folder / MANIFEST).write_bytes(_manifest_bytes(manifest))


def open_bundle(source: str | Path | None = None, meanwhile: Callable[[], None] | None = None) -> Bundle:
    """Loads a bundle for serving: as `load_bundle`, but an unreachable Hub is no reason not to serve.

    Then the cached snapshot is taken if there is one, else the embedded default, with a notice that says so.

    Args:
        source: as for `load_bundle`.
        meanwhile: what else to do while the files, which may be large, are checked.

    Raises:
        BundleError, HubError: as `load_bundle`, except that the Hub does not answer.
    """
    try:
        return load_bundle(source, meanwhile)
    except HubUnreachableError as error:
        if (named := hub.parse_repo(str(source))) is None:
            raise
        repo, revision = named
        if (manifest := hub.cached_file(repo, MANIFEST, revision)) and _is_complete(manifest.parent):
            notice = Message(
                "{error}: this is the copy of {source} that was downloaded earlier.", error=error.message, source=source
            )
            return replace(_load(manifest.parent, repo, meanwhile), notice=notice)
        notice = Message(
            "{error}: instead of {source}, this is the embedded catalogue.", error=error.message, source=source
        )
        return replace(load_bundle(meanwhile=meanwhile), notice=notice)


def load_bundle(source: str | Path | None = None, meanwhile: Callable[[], None] | None = None) -> Bundle:
    """Loads and checks a bundle.

    Args:
        source: a local folder, or `user/repo[@revision]` on the Hub; None for the embedded default. Of the Hub only
            the bundle's own files are downloaded, once; a full commit hash that is cached is not asked about again.
        meanwhile: as for `open_bundle`.

    Raises:
        BundleError: it is missing, damaged, or made by another version; the message says which check failed.
        HubError: the Hub refuses; HubUnreachableError: it does not answer.
    """
    folder = EMBEDDED if source is None else Path(source)
    recover(folder)
    if not folder.exists() and (found := hub.parse_repo(str(source))):
        return _load(_download(*found), found[0], meanwhile)
    return _load(folder, None, meanwhile)


def _load(folder: Path, repo: str | None, meanwhile: Callable[[], None] | None) -> Bundle:
    """Loads a folder; one of the Hub's cache, where `repo` is given, is named after the commit."""
    json_, contents = _read_manifest(folder)
    needed = _check_sizes(folder, contents)
    with ThreadPoolExecutor(1) as beside:  # hashing takes one core, reading another
        hashes = beside.submit(_check_hashes, needed)
        if meanwhile is not None:
            meanwhile()
        try:
            bundle = _read(folder, repo, json_, contents, beside)
        finally:
            hashes.result()  # that a file is damaged is said before what follows from it
    return bundle


def _read(folder: Path, repo: str | None, json_: dict[str, Any], contents: _Contents, beside: Executor) -> Bundle:
    try:
        made = build(Manifest, json_)
        features, check_features = _read_features(folder)
        checked = beside.submit(check_features)
        parts = _read_parts(folder, contents)
        gallery = _read_gallery(folder, features)
        report = _read_report(folder) if REPORT in contents.files else None
        graph = (folder / COLOR_NETWORK).read_bytes() if COLOR_NETWORK in contents.files else None
        color_network = ColorNetwork(graph) if graph is not None else None
        _check_features(contents.color_descriptor, made, gallery, color_network)
        bundle = Bundle(
            gallery,
            Models(
                parts.pop("attributes", None),
                parts.pop("likeness", None),
                {m: parts.pop(m) for m in SIMILARITIES if m in parts},
            ),
            made,
            **parts,
            report=report,
            color_network=color_network,
            repo=repo,
            loaded_revision=folder.name if repo else f"sha256:{_sha256(folder / MANIFEST)}",
        )
        checked.result()
        _check_that_it_scores(bundle)
        if report is not None:
            _check_report(report)
    except BundleError as error:
        raise BundleError(f"bundle {folder}: {error}") from error
    except (pa.ArrowException, SafetensorError, KeyError, ValueError, OSError, OverflowError, RecursionError) as error:
        raise BundleError(
            f"bundle {folder} cannot be read ({type(error).__name__}: {_short(error)}): build it again"
        ) from error
    return bundle


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
    _, contents = _read_manifest(folder)
    _check_hashes(_check_sizes(folder, contents))
    return {name: folder / name for name in (MANIFEST, *_needed_files(contents))}


def hub_manifest(repo: str, commit: str) -> tuple[Manifest, list[str]]:
    """What made a bundle on the Hub, and the names of the files that the app loads of it; downloads the manifest alone.

    Raises:
        BundleError: it is damaged, or made by another version.
        HubError: the Hub refuses; HubUnreachableError: it does not answer.
    """
    folder = hub.download(repo, [MANIFEST], commit)[0].parent
    manifest, contents = _read_manifest(folder)
    try:
        return build(Manifest, manifest), [MANIFEST, *_needed_files(contents)]
    except ValueError as error:
        raise BundleError(f"{repo}@{commit}: {MANIFEST} cannot be read ({error}): publish the bundle again") from None


def manifest_with_licence(folder: str | Path, licence: str) -> bytes:
    """The manifest of a bundle as it is to be published, where somebody states the photos' licence only then.

    Raises:
        BundleError: it is missing or damaged.
    """
    manifest, _ = _read_manifest(Path(folder))
    return _manifest_bytes(manifest | {"dataset": {**manifest["dataset"], "licence": licence}})


def _download(repo: str, revision: str | None) -> Path:
    """Makes the Hub's cache hold a bundle: the folder of its snapshot."""
    if hub.is_commit(revision):
        cached = hub.cached_file(repo, MANIFEST, revision)
        if cached and _is_complete(cached.parent):
            return cached.parent
    folder = hub.download(repo, [MANIFEST], revision)[0].parent
    # The snapshot's folder is named after the commit: a branch that moves meanwhile cannot mix two bundles.
    hub.download(repo, _needed_files(_read_manifest(folder)[1]), folder.name)
    return folder


def _is_complete(folder: Path) -> bool:
    try:
        return all((folder / name).is_file() for name in _needed_files(_read_manifest(folder)[1]))
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
    models = bundle.models
    parts = {"attributes": models.attributes, "likeness": models.likeness, **models.by_method}
    parts |= {"familiarity": bundle.familiarity, "map": bundle.map}
    return {name: part for name, part in parts.items() if part is not None}


def _write_files(bundle: Bundle, parts: Mapping[str, Flat], folder: Path) -> None:
    gallery = bundle.gallery
    columns = {"id": gallery.ids, **gallery.labels, "split": gallery.splits}
    with pq.ParquetWriter(folder / GALLERY, _GALLERY) as file:
        for start in range(0, len(gallery), GROUP):
            rows = slice(start, start + GROUP)
            part = {name: column[rows].tolist() for name, column in columns.items()}
            file.write_table(pa.table({**part, "thumbnail": list(gallery.thumbnails[rows])}, _GALLERY))
    features = {part.name: getattr(gallery.features, part.name) for part in fields(Features)}
    halves = {name: a.astype(np.float16, copy=False) for name, a in features.items() if a.size}
    _save_arrays(halves, folder / FEATURES)
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


def _read_manifest(folder: Path) -> tuple[dict[str, Any], _Contents]:
    """The manifest of a bundle of this version: all of it, and what it says of the other files."""
    manifest = _read_any_manifest(folder)
    if manifest.get("schema_version") != SCHEMA_VERSION:
        version = _short(manifest.get("schema_version"))
        raise BundleError(f"bundle {folder} has schema version {version}, expected {SCHEMA_VERSION}: build it again")
    try:
        return manifest, build(_Contents, manifest)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{folder / MANIFEST} is damaged ({error}): build the bundle again") from None


def _read_any_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle of any version."""
    path = folder / MANIFEST
    try:
        manifest = _read_json(path)
    except FileNotFoundError:
        raise BundleError(f"no bundle at {folder}: expected a folder with a {MANIFEST}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} cannot be read ({_short(error)}): build or download the bundle again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{path} is not the manifest of a bundle: expected format {FORMAT!r}")
    return manifest


def _read_json(path: Path) -> Any:  # noqa: ANN401 - whatever JSON holds
    def refuse(constant: str) -> None:
        raise ValueError(f"holds {constant}, which is no finite number")

    if (size := path.stat().st_size) > MAX_JSON:
        raise ValueError(f"has {size} bytes, expected at most {MAX_JSON}")
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def _needed_files(contents: _Contents) -> list[str]:
    """Names of the files that the app needs, besides the manifest; none but those that follow from `_PARTS`."""
    graphs = {name for name in contents.files if _GRAPH.fullmatch(name)}
    return sorted({GALLERY, FEATURES, MODELS} | graphs | ({REPORT, COLOR_NETWORK} & set(contents.files)))


def _check_sizes(folder: Path, contents: _Contents) -> dict[Path, str]:
    """Checks that the files are there, as long as they should be.

    Returns:
        Their paths, each with the sha256 that it should have.
    """
    names = _needed_files(contents)
    if unlisted := set(names) - set(contents.files):
        raise BundleError(f"the manifest of {folder} does not list {', '.join(sorted(unlisted))}: build it again")
    needed = {}
    for name in names:
        path, expected = folder / name, contents.files[name]
        if not path.is_file():
            raise BundleError(f"bundle {folder} lacks the file {name}: build or download it again")
        if (size := path.stat().st_size) != expected.bytes:
            raise BundleError(f"{path} has {size} bytes, expected {expected.bytes}: build or download it again")
        needed[path] = expected.sha256
    return needed


def _check_hashes(needed: Mapping[Path, str]) -> None:
    sizes = {path: path.stat().st_size for path in needed}
    bar = tqdm(total=sum(sizes.values()), desc="checking the bundle", unit="B", unit_scale=True, delay=SHOWN_AFTER)
    with bar:
        for path, expected in needed.items():
            if _sha256(path) != expected:
                raise BundleError(f"{path} is damaged (its sha256 differs): build or download it again")
            bar.update(sizes[path])


def _read_arrays(path: Path, kinds: Container[str]) -> dict[str, np.ndarray]:
    with safe_open(path, "numpy") as file:
        for name in file.keys():  # noqa: SIM118 - it is no dictionary
            if (kind := file.get_slice(name).get_dtype()) not in kinds:
                raise BundleError(f"{path.name} holds {name[:200]} as {kind}, expected {kinds}: build it again")
    return load_file(path)


def _read_features(folder: Path) -> tuple[Features, Callable[[], None]]:
    """The features, float16: they stay in the file, which the system reads where and when a search needs them.

    Returns:
        The features, and a check of all their numbers, which takes seconds if they are many.
    """
    arrays, places = _map_arrays(folder / FEATURES)
    names = {part.name for part in fields(Features)}
    if not {"embedding", "color"} <= set(arrays) <= names:
        raise BundleError(f"{FEATURES} holds {_names(arrays)}, expected {_names(names)}: build it again")
    try:
        return Features(**arrays), partial(_check_finite, folder / FEATURES, places)
    except ValueError as error:
        raise BundleError(f"{FEATURES}: {error}") from error


def _map_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, tuple[int, int]]]:
    """Half-precision arrays that stay in their file (https://github.com/huggingface/safetensors#format).

    Returns:
        The arrays, and from which byte to which each lies.
    """
    with safe_open(path, "numpy") as file:  # checks the header
        for name in file.keys():  # noqa: SIM118 - it is no dictionary
            if (kind := file.get_slice(name).get_dtype()) != "F16":
                raise BundleError(f"{path.name} holds {name[:200]} as {kind}, expected F16: build it again")
    with path.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(size))
    header.pop("__metadata__", None)
    arrays, places = {}, {}
    for name, about in header.items():
        shape, (start, stop) = tuple(about["shape"]), (8 + size + end for end in about["data_offsets"])
        # Nothing can be mapped where there is nothing.
        mapped = np.memmap(path, "<f2", "r", start, shape) if start < stop else np.empty(shape, np.float16)
        arrays[name], places[name] = np.asarray(mapped), (start, stop)
    return arrays, places


def _check_finite(path: Path, places: Mapping[str, tuple[int, int]]) -> None:
    """Checks half-precision numbers at places of a file: read, not mapped, they leave memory again."""
    with path.open("rb") as file:
        for name, (start, stop) in places.items():
            file.seek(start)
            for begin in range(start, stop, CHECKED):
                bits = np.frombuffer(file.read(min(CHECKED, stop - begin)), "<u2")
                if (bits & 0x7FFF).max() >= 0x7C00:  # all bits of the exponent: infinite, or no number
                    raise BundleError(f"{FEATURES} holds numbers in {name} that are not finite: build it again")


def _read_gallery(folder: Path, features: Features) -> Gallery:
    path = folder / GALLERY
    if not (schema := pq.read_schema(path)).equals(_GALLERY):
        raise BundleError(f"{GALLERY} has the columns {_columns(schema)}, expected {_columns(_GALLERY)}")
    # A small file may stand for much: what is repeated is stored once, and stays so in memory.
    file = pq.ParquetFile(path, read_dictionary=_GALLERY.names)
    about = file.metadata
    if about.num_rows != len(features):
        raise BundleError(f"{GALLERY} has {about.num_rows} rows, but there are features of {len(features)}")
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    packed = {group.column(i).compression for group in groups for i in range(group.num_columns)}
    if not packed <= {"SNAPPY", "UNCOMPRESSED"}:  # others make a thousand bytes of one
        raise BundleError(f"{GALLERY} is compressed by {_names(packed)}, expected SNAPPY")
    strings = {name: _strings(name, file.read([name])[name]) for name in _GALLERY.names if name != "thumbnail"}
    for number in range(file.num_row_groups):
        for jpegs, _ in _coded("thumbnail", file.read_row_group(number, ["thumbnail"])["thumbnail"]):
            if not all(jpeg.startswith(b"\xff\xd8\xff") and len(jpeg) <= MAX_THUMBNAIL for jpeg in jpegs):
                raise BundleError(f"{GALLERY} holds thumbnails that are no JPEG of at most {MAX_THUMBNAIL} bytes")
    labels = {name: strings[name] for name in LABELS}
    return Gallery(strings["id"], labels, features, BytesColumn.of_file(path, "thumbnail"), strings["split"])


def _strings(name: str, chunks: pa.ChunkedArray) -> np.ndarray:
    """A column of strings: (g,) str."""
    coded = list(_coded(name, chunks))
    longest = max((len(value) for values, _ in coded for value in values), default=0)
    if 4 * longest * max(len(chunks), sum(len(values) for values, _ in coded)) > MAX_COLUMN:
        raise BundleError(f"{GALLERY} has a {name} of {longest} characters, too many for {len(chunks)} rows")
    return np.concatenate([np.array(values, dtype=str)[places] for values, places in coded] or [np.empty(0, str)])


def _coded(name: str, chunks: pa.ChunkedArray) -> Iterator[tuple[list[Any], np.ndarray]]:
    """The chunks of a column that was read as indices: what they stand for, and the index of each row."""
    for chunk in chunks.chunks:
        chunk.validate(full=True)
        if chunk.null_count or chunk.dictionary.null_count:
            raise BundleError(f"{GALLERY} has rows without {name}")
        yield chunk.dictionary.to_pylist(), np.from_dlpack(chunk.indices)


def _read_report(folder: Path) -> Report:
    try:
        return Report.from_json(_read_json(folder / REPORT))
    except (BundleError, ValueError, RecursionError) as error:
        raise BundleError(f"{REPORT}: {_short(error)}") from None


def _read_parts(folder: Path, contents: _Contents) -> dict[str, Any]:
    arrays, used = _read_arrays(folder / MODELS, ("F16", "F32", "F64")), set()

    def array(part: str, place: str) -> np.ndarray:
        used.add(name := f"{part}/{place}")
        if name not in arrays:
            raise BundleError(f"{MODELS} lacks the array {name[:200]}: build it again")
        return arrays[name]

    def graph(part: str, place: str) -> bytes:
        name = _graph_file(part, place)
        if name not in contents.files:
            raise BundleError(f"the manifest does not list {name[:200]}: build it again")
        data = (folder / name).read_bytes()
        try:
            open_forest(data)
        except BundleError as error:
            raise BundleError(f"{name}: {error}") from error
        return data

    if unknown := sorted(set(contents.parts) - set(_PARTS)):
        raise BundleError(f"it holds the unknown part {unknown[0][:200]!r}: update the software")
    parts: dict[str, Any] = {}
    for name, part_type in _PARTS.items():
        if name in contents.parts:
            try:
                parts[name] = build(part_type, contents.parts[name], partial(array, name), partial(graph, name))
            except ValueError as error:
                raise BundleError(f"its part {name} is damaged ({error}): build it again") from error
    if others := sorted(set(arrays) - used):
        raise BundleError(f"{MODELS} holds the array {others[0][:200]}, which belongs to no part: build it again")
    return parts


def _check_features(
    made_by: _ColorDescriptor, manifest: Manifest, gallery: Gallery, color_network: ColorNetwork | None
) -> None:
    features = gallery.features
    if made_by != _COLOR_DESCRIPTOR or features.color.shape[1] != COLOR_DIM:
        raise BundleError(
            f"it has color descriptors {made_by}, this software makes {_COLOR_DESCRIPTOR}: build it again"
        )
    for what, maker, got, expected in (
        ("embeddings", "backbone", features.embedding.shape[1], manifest.backbone.dim),
        ("learned colors", "color network", features.learned.shape[1], color_network.dim if color_network else 0),
    ):
        if got != expected:
            raise BundleError(f"it has {what} of {got} numbers, its {maker} gives {expected}")


def _check_that_it_scores(bundle: Bundle) -> None:
    """Lets everything that was learned see a few photos: what does not fit together fails here, not in a search."""
    features = bundle.gallery.features.take(sorted({0, len(bundle.gallery) // 2, len(bundle.gallery) - 1}))
    n = len(features)
    checks: dict[str, tuple[tuple[int, ...], Callable[[], np.ndarray]]] = {
        f"method {method.name}, {task.name}": (
            (n, n),
            partial(method.score, features, features, bundle.models.of(method), task),
        )
        for method in bundle.methods
        for task in TASKS.values()
    }
    if bundle.familiarity is not None:
        checks["familiarity"] = (n,), partial(bundle.familiarity.score, features)
    if bundle.map is not None:
        if bundle.attributes is None:
            raise BundleError("it has a map, but nothing that tells types and colors: build it again")
        checks["map"] = (n, 2), partial(bundle.map.positions, features, bundle.attributes)
    for name, (shape, score) in checks.items():
        try:
            with np.errstate(all="ignore"):
                got = score()
        except Exception as error:  # whatever numpy and ONNX Runtime make of what does not fit
            raise BundleError(f"its {name} fails ({type(error).__name__}: {_short(error)}): build it again") from error
        if got.shape != shape or not np.isfinite(got).all():
            raise BundleError(f"its {name} gives {got.shape} or no finite numbers, expected {shape}: build it again")


def _check_report(report: Report) -> None:
    """Checks that everything can be shown that the report tells of."""
    try:
        report_tables(report)
    except (ValueError, LookupError, ArithmeticError) as error:
        raise BundleError(
            f"{REPORT} gives no tables ({type(error).__name__}: {_short(error)}): evaluate it again"
        ) from error


def _short(value: object) -> str:
    """What an error says, in one line and within reason."""
    line = " ".join(str(value).split())
    return line if len(line) <= 300 else f"{line[:300]}..."


def _names(values: Iterable[str]) -> str:
    return _short(", ".join(sorted(values)))


def _columns(schema: pa.Schema) -> str:
    return _names(f"{field.name} ({field.type})" for field in schema)


def _sha256(path: Path) -> str:
    """Of a file; in blocks so large that a thread that hashes seldom waits for others."""
    digest, block = hashlib.sha256(), memoryview(bytearray(min(HASHED_AT_ONCE, path.stat().st_size)))
    with path.open("rb", buffering=0) as file:
        while n := file.readinto(block):
            digest.update(block[:n])
    return digest.hexdigest()

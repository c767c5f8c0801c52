"""`python -m cbir doctor`: does everything that the app needs work here, and what to do where it does not."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from cbir import hub, starting
from cbir.bundle import Bundle, open_bundle
from cbir.errors import CbirError, HubError, HubUnreachableError
from cbir.features.backbone import weights_at_hand
from cbir.files import cache_root, check_writable
from cbir.search import Retriever
from cbir.temporary import temporary_folder

PYTHON = (3, 11)
LIBRARIES = ("torch", "timm", "gradio")  # named, so that a bug report says which they are
MEMORY_TO_SPARE = 0.8  # of the memory there is: what the app may take before that is told
DISK_NEEDED = 1.0  # GB: weights of VGG16 and a bundle
OK, WARNING, PROBLEM = "ok", "warning", "PROBLEM"
# What the app does until it has answered a search by photo, and the most memory that this took, in bytes.
START = """
import sys, warnings
warnings.simplefilter("ignore")
from PIL import Image
from cbir.bundle import load_bundle_backbone, open_bundle
from cbir.errors import CbirError
from cbir.search import Retriever
from cbir.starting import set_up_log
from cbir.ui import build_demo
try:
    set_up_log()
    bundle = open_bundle(sys.argv[1] or None)
    retriever = Retriever(bundle, load_bundle_backbone(bundle, sys.argv[2] or None))
    retriever.warm_up()
    demo = build_demo(retriever)
    retriever.search(Image.new("RGB", (640, 640), "red"))
except CbirError as error:
    sys.exit(str(error))
import resource
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        what: the thing that was checked.
        state: `OK`, `WARNING` (it works, with limits) or `PROBLEM` (it does not).
        detail: what was seen.
        advice: what to do; "" where nothing needs to be done.
    """

    what: str
    state: str
    detail: str
    advice: str = ""


def examine(
    source: str | None, weights: Path | None = None, host: str | None = None, port: int | None = None
) -> list[Finding]:
    """Runs every check; like the app, it downloads the bundle, and nothing else.

    Args:
        source: the bundle, as in `open_bundle`; None for the embedded default.
        weights: file of the backbone's weights, as the app's --weights.
        host: where the app is to listen, as its --host.
        port: likewise, as its --port.
    """
    findings = [_python(), _environment(), _address(host, port), _temporary(), _cache(), _hub()]
    bundle, finding = _bundle(source)
    findings.append(finding)
    if bundle is not None:
        findings += _start(bundle, source, weights)
    return findings


def report(findings: list[Finding]) -> str:
    """Findings as lines of text, advice below each."""
    width = max(len(f.what) for f in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<8} {finding.what:<{width}}  {finding.detail}")
        if finding.advice:
            lines.append(f"{'':<8} {'':<{width}}  -> {finding.advice}")
    n_problems = sum(f.state == PROBLEM for f in findings)
    lines.append(f"{n_problems} problems" if n_problems else "the app can start")
    return "\n".join(lines)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    if sys.version_info[:2] < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        return Finding("python", PROBLEM, version, f"make the virtual environment with Python {wanted} or newer")
    return Finding("python", OK, f"{version} with {libraries}")


def _memory() -> float:
    """The memory of this machine, or of this container, in GB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    limit = Path("/sys/fs/cgroup/memory.max")  # of a container
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text) / 1e9)
    return total


def _environment() -> Finding:
    try:
        notes = (*starting.clean_environment(), *starting.drop_settings_of_gradio())
    except CbirError as error:
        return Finding("environment", PROBLEM, str(error), "set HOME, or CBIR_CACHE, to a folder of yours")
    if notes:
        return Finding("environment", WARNING, "; ".join(notes), "the app starts without; unset them, or correct them")
    return Finding("environment", OK, "nothing in it stands in the way")


def _address(host: str | None, port: int | None) -> Finding:
    try:
        host, port = starting.address(host, port)
    except CbirError as error:
        advice = "give another with --host and --port, or with GRADIO_SERVER_NAME and GRADIO_SERVER_PORT"
        return Finding("address", PROBLEM, str(error), advice)
    starting.pass_proxies_by(host)
    return Finding("address", OK, f"{host}:{port} is free")


def _temporary() -> Finding:
    try:
        folder = temporary_folder()
        free = shutil.disk_usage(folder).free / 1e9
    except (CbirError, OSError) as error:
        return Finding("temporary", PROBLEM, str(error), "set GRADIO_TEMP_DIR, or TMPDIR, to a folder of yours")
    detail = f"{folder.parent} ({free:.1f} GB free)"
    if free < DISK_NEEDED:
        return Finding("temporary", WARNING, detail, f"free {DISK_NEEDED:.0f} GB: uploads lie there")
    return Finding("temporary", OK, detail)


def _cache() -> Finding:
    from huggingface_hub import constants

    details = []
    try:
        folders = {"CBIR_CACHE": cache_root(), "HF_HUB_CACHE": Path(constants.HF_HUB_CACHE)}
    except CbirError as error:
        return Finding("caches", PROBLEM, str(error), "set CBIR_CACHE to a folder of yours")
    for variable, folder in folders.items():
        try:
            check_writable(folder)
            there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
            free = shutil.disk_usage(there).free / 1e9
        except (CbirError, OSError) as error:
            advice = f"set {variable} to a folder that can be written, or nothing is kept there"
            return Finding("caches", WARNING, str(error), advice)
        details.append(f"{folder} ({free:.1f} GB free)")
        if free < DISK_NEEDED:
            advice = f"free {DISK_NEEDED:.0f} GB, or set {variable} to another disk"
            return Finding("caches", WARNING, details[-1], advice)
    return Finding("caches", OK, ", ".join(details))


def _hub() -> Finding:
    try:
        token = "with a token" if hub.saved_token() else "without a token"
        hub.check_reachable()
    except HubUnreachableError as error:
        advice = "cached bundles and the embedded default work; to download or publish, check network and HF_ENDPOINT"
        return Finding("Hub", WARNING, str(error), advice)
    except HubError as error:
        return Finding("Hub", WARNING, str(error), "until then, nothing is downloaded or published")
    return Finding("Hub", OK, f"{hub.endpoint()} answers; {token}")


def _bundle(source: str | None) -> tuple[Bundle | None, Finding]:
    name = source or "the embedded default"
    try:
        bundle = open_bundle(source)
    except CbirError as error:
        advice = "name another with --bundle or CBIR_BUNDLE, or neither for the embedded default"
        return None, Finding("bundle", PROBLEM, str(error), advice)
    if bundle.notice:
        advice = "the app starts with this notice; check the name and the network"
        return bundle, Finding("bundle", WARNING, bundle.notice, advice)
    methods = len(Retriever(bundle).methods)
    detail = f"{name}: {len(bundle.gallery):,} photos, {methods} methods, checksums agree"
    if edits := bundle.manifest.edits:
        detail += f"; {edits.n_added:,} photos were added and {edits.n_removed:,} removed since it was evaluated"
    return bundle, Finding("bundle", OK, detail)


def _start(bundle: Bundle, source: str | None, weights: Path | None) -> list[Finding]:
    """Starts what the app starts, in a process of its own: weights that fit, and the memory that it takes."""
    name, revision = bundle.manifest.backbone.name, bundle.manifest.backbone.weights.revision
    memory = f"{_memory():.1f} GB, {os.cpu_count()} cores"
    try:
        is_here = weights is not None or weights_at_hand(name, revision)
    except CbirError as error:
        return [Finding("weights", PROBLEM, str(error), "take another bundle")]
    if not is_here:
        advice = "the first start downloads them from the Hub; without it, give --weights FILE"
        return [
            Finding("weights", WARNING, f"{name}: not on this machine", advice),
            Finding("memory", OK, f"{memory}; what the app takes can be measured when the weights are here"),
        ]
    status, output = _run_start(source, weights)
    if status < 0:  # by the signal of that number: nothing else kills it
        advice = "give the machine or the container more memory, or take a bundle of a smaller backbone"
        return [Finding("memory", PROBLEM, f"{memory}: starting the app was killed (signal {-status})", advice)]
    if status:
        advice = "the app ends with this line: mend it, give other weights with --weights, or take another bundle"
        return [Finding("start", PROBLEM, output, advice), Finding("memory", OK, memory)]
    taken = int(output) / 1e9
    detail = f"{memory}; the app takes {taken:.1f} GB to start and search with a photo"
    is_enough = taken < MEMORY_TO_SPARE * _memory()
    advice = "" if is_enough else "it may be killed while several people search: give it more memory"
    return [
        Finding("weights", OK, f"{name}: the same weights that made the bundle"),
        Finding("memory", OK if is_enough else WARNING, detail, advice),
    ]


def _run_start(source: str | None, weights: Path | None) -> tuple[int, str]:
    """Runs `START`: its exit status, and the last line that it printed."""
    command = [sys.executable, "-c", START, source or "", str(weights or "")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    printed = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode, printed[-1] if printed else ""

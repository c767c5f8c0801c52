"""`python -m cbir doctor`: does everything that the app needs work here, and what to do where it does not."""

import os
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from cbir import hub
from cbir.bundle import Bundle, load_bundle_backbone, open_bundle
from cbir.errors import CbirError, HubUnreachableError
from cbir.features.backbone import weights_at_hand
from cbir.files import cache_root
from cbir.search import Retriever

PYTHON = (3, 11)
LIBRARIES = ("torch", "timm", "gradio")  # named, so that a bug report says which they are
MEMORY_NEEDED = 2.0  # GB: torch, the backbone, a gallery of ten thousand photos
DISK_NEEDED = 1.0  # GB: weights of VGG16 and a bundle
OK, WARNING, PROBLEM = "ok", "warning", "PROBLEM"


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


def examine(source: str | None, weights: Path | None = None) -> list[Finding]:
    """Runs every check; like the app, it downloads the bundle, and nothing else.

    Args:
        source: the bundle, as in `open_bundle`; None for the embedded default.
        weights: file of the backbone's weights, as the app's --weights.
    """
    findings = [_python(), _memory(), _cache(), _hub()]
    bundle, finding = _bundle(source)
    findings.append(finding)
    if bundle is not None:
        findings.append(_backbone(bundle, weights))
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


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    limit = Path("/sys/fs/cgroup/memory.max")  # of a container
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text) / 1e9)
    detail = f"{total:.1f} GB, {os.cpu_count()} cores"
    if total < MEMORY_NEEDED:
        return Finding("memory", WARNING, detail, f"the app needs about {MEMORY_NEEDED:.0f} GB with VGG16")
    return Finding("memory", OK, detail)


def _cache() -> Finding:
    from huggingface_hub import constants

    details = []
    for variable, folder in (("CBIR_CACHE", cache_root()), ("HF_HUB_CACHE", Path(constants.HF_HUB_CACHE))):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(there).free / 1e9
        details.append(f"{folder} ({free:.1f} GB free)")
        if not os.access(there, os.W_OK):
            return Finding("caches", PROBLEM, f"{there} is not writable", f"set {variable} to a folder that is")
        if free < DISK_NEEDED:
            advice = f"free {DISK_NEEDED:.0f} GB, or set {variable} to another disk"
            return Finding("caches", WARNING, details[-1], advice)
    return Finding("caches", OK, ", ".join(details))


def _hub() -> Finding:
    from huggingface_hub import get_token

    token = "with a token" if get_token() else "without a token"
    try:
        hub.check_reachable()
    except HubUnreachableError as error:
        advice = "cached bundles and the embedded default work; to download or publish, check network and HF_ENDPOINT"
        return Finding("Hub", WARNING, str(error), advice)
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


def _backbone(bundle: Bundle, weights: Path | None) -> Finding:
    name, revision = bundle.manifest.backbone.name, bundle.manifest.backbone.weights.revision
    try:
        if weights is None and not weights_at_hand(name, revision):
            advice = "the first start downloads them from the Hub; without it, give --weights FILE"
            return Finding("weights", WARNING, f"{name}: not on this machine", advice)
        Retriever(bundle, load_bundle_backbone(bundle, weights))
    except CbirError as error:
        return Finding("weights", PROBLEM, str(error), "give the right file with --weights, or take another bundle")
    return Finding("weights", OK, f"{name}: the same weights that made the bundle")

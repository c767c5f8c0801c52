"""Puts the app on a Space of the Hub, serving a published bundle.

    python -m train.space --to user/space --bundle user/repo[@revision] [--hardware zero-gpu] [--public] [--dry-run]

sends the app's files in one commit, asks for the hardware, and sets the Space's variable CBIR_BUNDLE to the bundle at
its commit, so that the Space changes only when somebody changes it. Without --bundle the variable stays as it is; a
Space that has none serves the embedded default. Front matter and requirements are written for the hardware and the
bundle: what the app needs is loaded when the Space is built, so that waking up downloads nothing.

--hardware is zero-gpu, which free accounts may use for two Gradio Spaces, or what the Hub calls it: cpu-basic,
t4-small, ... (paid). Without it, a Space keeps its own, and a new one gets zero-gpu. With --docker the Space builds the
Dockerfile instead of being one of kind Gradio; it runs on the CPU, by default on cpu-basic.
"""

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cbir import hub
from cbir.bundle import Manifest, hub_manifest, load_bundle
from cbir.errors import HubError, HubUnreachableError
from cbir.features.weights import WEIGHTS
from cbir.starting import run_main
from train.hub.upload import Content, Upload, upload

ROOT = Path(__file__).resolve().parent.parent
APP_FILES = ("app.py", "requirements.txt", "README.md", "LICENSE")
DOCKER_FILES = ("Dockerfile", ".dockerignore")
APP_FOLDERS = ("cbir", "samples/bundle", "samples/examples")
ZERO_GPU = "zero-gpu"
HUB_NAMES = {ZERO_GPU: "zero-a10g"}  # the Hub's names of hardware, where they say less
PYTHON, ZERO_GPU_PYTHON = "3.12", "3.12.12"  # ZeroGPU knows few
# A Space installs requirements.txt as it is, and PyPI's torch for Linux brings gigabytes of CUDA.
CPU_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu\n"
ZERO_GPU_PINS = {"torch": "2.11.0", "torchvision": "0.26.0"}  # the newest that ZeroGPU knows
PORT = 7860  # the Dockerfile's
DOCKER_PRELOADS = "# A Space downloads its bundle here.\n"  # a line of the Dockerfile
VARIABLE = "CBIR_BUNDLE"
THUMBNAIL = "docs/search.jpg"  # what shared links show
COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")  # those of a Space's card
MAX_DESCRIPTION = 60  # characters


@dataclass(frozen=True)
class Pinned:
    """A published bundle at a commit.

    Attributes:
        repo: `user/repo`.
        commit: of it.
        private: whether the Space needs a token to read it.
        manifest: what made it.
        files: what the app loads of it.
    """

    repo: str
    commit: str
    private: bool
    manifest: Manifest
    files: list[str]

    @property
    def preloads(self) -> list[str]:
        """What a Space loads when it is built: `repo file,file commit`. Nothing private: building has no token."""
        weights = self.manifest.backbone.weights
        downloads = [] if self.private else [f"{self.repo} {','.join(self.files)} {self.commit}"]
        if weights.revision:  # others come with an installed package
            downloads.append(f"{weights.repo} {WEIGHTS} {weights.revision}")
        return downloads


@dataclass(frozen=True)
class Target:
    """The Space to write.

    Attributes:
        repo: `user/space`.
        hardware: `zero-gpu`, or as the Hub calls it.
        docker: whether the Space builds the Dockerfile.
        bundle: what it serves; None for the embedded default.
    """

    repo: str
    hardware: str
    docker: bool = False
    bundle: Pinned | None = None


def app_files(target: Target) -> dict[str, Content]:
    """The files that a Space needs, by name."""
    names = [ROOT / name for name in APP_FILES + (DOCKER_FILES if target.docker else ())]
    names += linked(ROOT / "README.md")
    for folder in APP_FOLDERS:
        names += [
            path
            for path in sorted((ROOT / folder).rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
        ]
    files: dict[str, Content] = {path.relative_to(ROOT).as_posix(): path for path in names}
    files["README.md"] = _readme(target)
    files["requirements.txt"] = _requirements(target)
    if target.docker:
        files["Dockerfile"] = _dockerfile(target)
    return files


def linked(page: Path) -> list[Path]:
    """The files that a Markdown page links to or shows, and those that these pages do, sorted."""
    found: set[Path] = set()
    pages = [page]
    while pages:
        current = pages.pop()
        for link in re.findall(r"\]\(([^)\s]+)\)", current.read_text(encoding="utf-8")):
            path = Path(os.path.normpath(current.parent / urlsplit(link).path))
            if not urlsplit(link).scheme and path.is_file() and path not in found | {page}:
                found.add(path)
                pages += [path] if path.suffix == ".md" else []
    return sorted(found)


def _readme(target: Target) -> bytes:
    """The README, its front matter written for the hardware and the bundle."""
    from huggingface_hub import SpaceCard

    card = SpaceCard((ROOT / "README.md").read_text(encoding="utf-8"))
    bundle = target.bundle
    made = bundle.manifest if bundle else load_bundle().manifest
    models = [bundle.repo if bundle else None, made.backbone.weights.repo]
    changes: dict[str, object] = {
        "python_version": ZERO_GPU_PYTHON if target.hardware == ZERO_GPU else PYTHON,
        "thumbnail": f"{hub.endpoint()}/spaces/{target.repo}/resolve/main/{THUMBNAIL}",
        "models": [repo for repo in models if repo],
        "datasets": [made.dataset.repo] if made.dataset.repo else None,
        "preload_from_hub": (bundle.preloads if bundle else None) or None,
    }
    if target.docker:
        changes |= {"sdk": "docker", "app_port": PORT}
        changes |= dict.fromkeys(("sdk_version", "python_version", "app_file", "preload_from_hub"))  # for Gradio
    for name, value in changes.items():
        setattr(card.data, name, value)
    return str(card).encode()


def _requirements(target: Target) -> bytes:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    if target.hardware == ZERO_GPU:
        for package, version in ZERO_GPU_PINS.items():
            text = re.sub(rf"^{package}==.*$", f"{package}=={version}", text, flags=re.MULTILINE)
        return f"{text}spaces\n".encode()
    is_cpu = target.hardware.startswith("cpu-") and not target.docker  # the Dockerfile names the index itself
    return ((CPU_INDEX if is_cpu else "") + text).encode()


def _dockerfile(target: Target) -> bytes:
    """The Dockerfile, with what a Space of kind Gradio preloads."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    downloads = ""
    for one in target.bundle.preloads if target.bundle else ():
        repo, names, commit = one.split(" ")
        downloads += f"RUN hf download {repo} {' '.join(names.split(','))} --revision {commit}\n"
    return text.replace(DOCKER_PRELOADS, downloads).encode()


def check_front_matter(readme: Path = ROOT / "README.md") -> None:
    """Checks the settings on top of a README by which the Hub builds the Space.

    What they mean: https://huggingface.co/docs/hub/spaces-config-reference

    Raises:
        HubError: a setting is missing or not as expected.
    """
    import yaml
    from huggingface_hub import metadata_load

    try:
        settings = metadata_load(readme) or {}
    except (ValueError, yaml.YAMLError) as error:
        raise HubError(f"{readme}: expected YAML between two lines of ---, got {error}") from error
    (gradio,) = re.findall(r"^gradio==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    rules: dict[str, tuple[str, Callable[[object], bool]]] = {
        "title": ("a text", lambda value: isinstance(value, str) and bool(value)),
        "emoji": ("an emoji", lambda value: isinstance(value, str) and bool(value) and not value.isascii()),
        "colorFrom": (f"one of {', '.join(COLORS)}", lambda value: value in COLORS),
        "colorTo": (f"one of {', '.join(COLORS)}", lambda value: value in COLORS),
        "sdk": ("gradio", lambda value: value == "gradio"),
        "sdk_version": (f"{gradio} as in requirements.txt", lambda value: value == gradio),
        "python_version": (f'"{PYTHON}", quoted', lambda value: value == PYTHON),
        "app_file": ("one of the Space's files", lambda value: value in APP_FILES),
        "short_description": (
            f"a text of at most {MAX_DESCRIPTION} characters",
            lambda value: isinstance(value, str) and 0 < len(value) <= MAX_DESCRIPTION,
        ),
    }
    for name, (expected, is_right) in rules.items():
        if not is_right(settings.get(name)):
            raise HubError(f"{readme}: expected {name} to be {expected}, got {settings.get(name)!r}")


def deploy(
    repo: str,
    bundle: str | None = None,
    *,
    hardware: str | None = None,
    public: bool = False,
    dry_run: bool = False,
    docker: bool = False,
) -> str | None:
    """Sends the app to a Space, asks for its hardware, and pins its bundle.

    Args:
        repo: Space, `user/space`.
        bundle: `user/repo[@revision]` of a published bundle; None to leave the Space's choice alone.
        hardware: `zero-gpu`, or as the Hub calls it; None for what the Space has.
        public: whether a new Space is public.
        dry_run: print what would happen, change nothing.
        docker: whether the Space builds the Dockerfile.

    Returns:
        The Space's commit; None after a dry run.

    Raises:
        HubError: the README's front matter is not as expected, hardware and kind do not go together, the bundle is not
            there or cannot be served by a Space, the Space holds something else, or the Hub refuses.
        HubUnreachableError: the Hub does not answer.
    """
    from huggingface_hub import HfApi

    check_front_matter()
    _check_hardware(hardware, docker)
    has_hardware, has_bundle = _as_it_is(repo)
    served = bundle or has_bundle
    pinned = _pin(served, public) if served else None
    wanted = hardware or has_hardware or ("cpu-basic" if docker else ZERO_GPU)
    target = Target(repo, wanted, docker, pinned)
    sdk = "docker" if docker else "gradio"
    asked: Any = HUB_NAMES.get(wanted, wanted)  # the client takes a name for what it enumerates
    what = Upload(repo, "space", app_files(target), _owned, "Apparel CBIR", public, sdk, asked)
    commit = upload(what, dry_run)
    if dry_run:
        print(_shown(target))
    print(f"hardware {wanted}")
    api = HfApi(endpoint=hub.endpoint())
    if commit and has_hardware and has_hardware != wanted:  # a new Space was created with it
        hub.translate_errors(lambda: api.request_space_hardware(repo, asked), repo)
    if bundle and pinned:
        value = f"{pinned.repo}@{pinned.commit}"
        print(f"variable {VARIABLE}={value}")
        if pinned.private:
            page = f"{hub.endpoint()}/spaces/{repo}/settings"
            print(f"{pinned.repo} is private: add a token that may read it as the Space's secret HF_TOKEN at {page}")
        if commit:
            hub.translate_errors(lambda: api.add_space_variable(repo, VARIABLE, value), repo)
    return commit


def _check_hardware(hardware: str | None, docker: bool) -> None:
    from huggingface_hub import SpaceHardware

    known = [ZERO_GPU, *(one.value for one in SpaceHardware if one.value not in HUB_NAMES.values())]
    if hardware is not None and hardware not in known:
        raise HubError(f"expected --hardware as one of {', '.join(known)}, got {hardware!r}")
    if docker and hardware and not hardware.startswith("cpu-"):
        raise HubError(f"a Docker Space runs on the CPU, got --hardware {hardware}: leave out --docker or --hardware")


def _as_it_is(repo: str) -> tuple[str | None, str | None]:
    """The hardware that a Space asked for, and the bundle that it serves; None where it has none or is not there."""
    from huggingface_hub import HfApi, errors, get_token

    api = HfApi(endpoint=hub.endpoint())
    try:
        hub.check_reachable()
        if not get_token():
            return None, None
        runtime = hub.translate_errors(lambda: api.get_space_runtime(repo), repo)
        variables = hub.translate_errors(lambda: api.get_space_variables(repo), repo)
    except (HubError, HubUnreachableError, errors.HfHubHTTPError):
        return None, None  # whether that matters, sending will say
    asked: str | None = runtime.requested_hardware or runtime.hardware
    return {name: ours for ours, name in HUB_NAMES.items()}.get(asked or "", asked), variables[
        VARIABLE
    ].value if VARIABLE in variables else None


def _pin(bundle: str, public: bool) -> Pinned:
    name = hub.parse_repo(bundle)
    if name is None:
        raise HubError(f"expected a bundle as user/repo or user/repo@revision, got {bundle!r}")
    repo, revision = name
    info = hub.repo_info(repo, revision)
    manifest, files = hub_manifest(repo, info.sha)
    weights = manifest.backbone.weights
    if weights.repo is None:
        raise HubError(
            f"{repo} was made with weights that a Space does not have ({weights.origin}): train it with those of a "
            "backbone by name"
        )
    if public and not manifest.dataset.licence:
        raise HubError(
            f"--public shows the photos of {repo} to everybody, but nobody stated their licence: publish it again with "
            "python -m train.publish --license, or leave --public out"
        )
    return Pinned(repo, info.sha, bool(info.private), manifest, files)


def _shown(target: Target) -> str:
    """What is written for this Space: front matter, and the first lines of its requirements."""
    front_matter = _readme(target).decode().partition("---\n")[2].partition("---\n")[0]
    written = _requirements(target).decode().splitlines()
    own = [line for line in written if line.startswith(("--", "spaces", *ZERO_GPU_PINS))]
    return f"README.md:\n{front_matter}requirements.txt: {', '.join(own)}"


def _owned(names: set[str], read: Callable[[str], bytes]) -> set[str] | None:
    """A Space is ours when it holds the library; then its code is what an earlier upload wrote."""
    if "cbir/__init__.py" not in names:
        return None
    folders = tuple(f"{folder}/" for folder in (*APP_FOLDERS, "docs", "train"))  # early versions sent train too
    return {name for name in names if name in APP_FILES + DOCKER_FILES or name.startswith(folders)}


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, metavar="user/space", help="Space on the Hub")
    parser.add_argument("--bundle", metavar="user/repo[@revision]", help="published bundle to serve")
    parser.add_argument("--hardware", help=f"{ZERO_GPU} or what the Hub calls it; default: what the Space has")
    parser.add_argument("--docker", action="store_true", help="a Space of kind Docker")
    parser.add_argument("--public", action="store_true", help="make a new Space public")
    parser.add_argument("--dry-run", action="store_true", help="list what would happen, change nothing")
    args = vars(parser.parse_args(argv))
    repo = args.pop("to")
    if commit := deploy(repo, **args):
        print(f"published {hub.endpoint()}/spaces/{repo} at {commit}")
    return 0


if __name__ == "__main__":
    run_main(main)

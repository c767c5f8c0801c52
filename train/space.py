"""Puts the app on a Space of the Hub, serving a published bundle.

    python -m train.space --to user/space --bundle user/repo[@revision] [--docker] [--public] [--dry-run]

sends the app's files in one commit and sets the Space's variable CBIR_BUNDLE to the bundle at its commit, so that the
Space changes only when somebody changes it. Without --bundle the variable stays as it is; a Space that has none serves
the embedded default. With --docker the Space builds the Dockerfile instead of being one of kind Gradio.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from cbir import hub
from cbir.errors import HubError
from train.cli import run_main
from train.hub.upload import Content, Upload, upload

ROOT = Path(__file__).resolve().parent.parent
APP_FILES = ("app.py", "requirements.txt", "README.md", "LICENSE", "docs/search.jpg", "docs/flow.svg")
DOCKER_FILES = ("Dockerfile", ".dockerignore")
APP_FOLDERS = ("cbir", "samples/bundle")
# A Space installs requirements.txt as it is, and PyPI's torch for Linux brings gigabytes of CUDA.
CPU_INDEX = b"--extra-index-url https://download.pytorch.org/whl/cpu\n"
PORT = 7860  # the Dockerfile's
VARIABLE = "CBIR_BUNDLE"
COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")  # those of a Space's card
MAX_DESCRIPTION = 60  # characters


def app_files(docker: bool = False) -> dict[str, Content]:
    """The files that a Space of kind Gradio, or Docker, needs, by name."""
    names = [ROOT / name for name in APP_FILES + (DOCKER_FILES if docker else ())]
    for folder in APP_FOLDERS:
        names += [
            path
            for path in sorted((ROOT / folder).rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
        ]
    files: dict[str, Content] = {path.relative_to(ROOT).as_posix(): path for path in names}
    if docker:
        files["README.md"] = _docker_readme()
    else:
        files["requirements.txt"] = CPU_INDEX + (ROOT / "requirements.txt").read_bytes()
    return files


def _docker_readme() -> bytes:
    from huggingface_hub import SpaceCard

    card = SpaceCard((ROOT / "README.md").read_text(encoding="utf-8"))
    changes = {"sdk": "docker", "app_port": PORT}
    changes |= dict.fromkeys(("sdk_version", "python_version", "app_file", "preload_from_hub"))  # for Gradio
    for name, value in changes.items():
        setattr(card.data, name, value)
    return str(card).encode()


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
        "python_version": ('"3.11", quoted', lambda value: value == "3.11"),
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
    repo: str, bundle: str | None, public: bool = False, dry_run: bool = False, docker: bool = False
) -> str | None:
    """Sends the app to a Space and pins its bundle.

    Args:
        repo: Space, `user/space`.
        bundle: `user/repo[@revision]` of a published bundle; None to leave the Space's choice alone.
        public: whether a new Space is public.
        dry_run: print what would happen, change nothing.
        docker: whether the Space builds the Dockerfile.

    Returns:
        The Space's commit; None after a dry run.

    Raises:
        HubError: the README's front matter is not as expected, the bundle is not there, the Space holds something else,
            or the Hub refuses.
        HubUnreachableError: the Hub does not answer.
    """
    from huggingface_hub import HfApi

    check_front_matter()
    pinned = None
    api = HfApi(endpoint=hub.endpoint())
    if bundle:
        name = hub.parse_repo(bundle)
        if name is None:
            raise HubError(f"expected a bundle as user/repo or user/repo@revision, got {bundle!r}")
        hub.check_reachable()
        bundle_repo, revision = name
        info = hub.translate_errors(lambda: api.model_info(bundle_repo, revision=revision), bundle)
        pinned = f"{bundle_repo}@{info.sha}"
    sdk = "docker" if docker else "gradio"
    commit = upload(Upload(repo, "space", app_files(docker), _owned, "Apparel CBIR", public, sdk), dry_run)
    if pinned:
        print(f"variable {VARIABLE}={pinned}")
        if info.private:
            page = f"{hub.endpoint()}/spaces/{repo}/settings"
            print(f"{bundle_repo} is private: add a token that may read it as the Space's secret HF_TOKEN at {page}")
    if commit and pinned:
        hub.translate_errors(lambda: api.add_space_variable(repo, VARIABLE, pinned), repo)
    return commit


def _owned(names: set[str], read: Callable[[str], bytes]) -> set[str] | None:
    """A Space is ours when it holds the library; then its code is what an earlier upload wrote."""
    if "cbir/__init__.py" not in names:
        return None
    folders = tuple(f"{folder}/" for folder in (*APP_FOLDERS, "train"))  # early versions sent the folder train too
    return {name for name in names if name in APP_FILES + DOCKER_FILES or name.startswith(folders)}


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, metavar="user/space", help="Space on the Hub")
    parser.add_argument("--bundle", metavar="user/repo[@revision]", help="published bundle to serve")
    parser.add_argument("--docker", action="store_true", help="a Space of kind Docker")
    parser.add_argument("--public", action="store_true", help="make a new Space public")
    parser.add_argument("--dry-run", action="store_true", help="list what would happen, change nothing")
    args = parser.parse_args(argv)
    if commit := deploy(args.to, args.bundle, args.public, args.dry_run, args.docker):
        print(f"published {hub.endpoint()}/spaces/{args.to} at {commit}")
    return 0


if __name__ == "__main__":
    run_main(main)

"""README, CONTRIBUTING and docs/: their card, links, layout and figures are right, and their examples run."""

import importlib.util
import os
import re
import shutil
import subprocess
import warnings
from pathlib import Path, PurePosixPath

import pytest

import app
import cbir
from cbir.starting import _GRADIO
from tests.cbir.ui.test_api import ENDPOINTS
from tests.conftest import ROOT, toy_photo

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from huggingface_hub import SpaceCard

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "samples/README.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
EXAMPLES = [
    example
    for name in ("README.md", "docs/api.md")
    for example in re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
]
API = (ROOT / "docs/api.md").read_text(encoding="utf-8")
ADDRESSES = ("http://127.0.0.1:7860", "USER/apparel-search")  # of the app in examples
CLIENT_EXAMPLES = [example for example in EXAMPLES if "gradio_client" in example]


def test_the_front_matter_names_the_licence_and_loads_nothing_for_the_embedded_default():
    card = SpaceCard(README).data  # its form: tests/train/test_space.py
    assert card.get("preload_from_hub") is None
    assert (ROOT / "LICENSE").read_text().lower().startswith(card.license)


def test_every_endpoint_has_an_example():
    shown = {name for example in CLIENT_EXAMPLES for name in re.findall(r'api_name="(/\w+)"', example)}
    assert shown == set(ENDPOINTS)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("example", CLIENT_EXAMPLES, ids=lambda e: re.findall(r'api_name="(/\w+)"', e)[-1])
def test_client_examples_run(example, url, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    toy_photo("red", "shirt", 99).save("photo.jpg")
    assert any(address in example for address in ADDRESSES)
    for address in ADDRESSES:
        example = example.replace(address, url.rstrip("/"))
    exec(example, {})  # noqa: S102 - our own documentation
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("language", "command"),
    [("bash", ["bash", "-euo", "pipefail", "-c"]), ("js", ["node", "--input-type=module", "-e"])],
)
def test_examples_in_other_languages_run(language, command, url, tmp_path):
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    blocks = re.findall(rf"```{language}\n(.*?)```", API, flags=re.DOTALL)
    (example,) = [block for block in blocks if ADDRESSES[0] in block]
    toy_photo("red", "shirt", 99).save(tmp_path / "photo.jpg")
    done = subprocess.run(
        [*command, example.replace(ADDRESSES[0], url.rstrip("/"))],
        **{"cwd": tmp_path, "capture_output": True, "text": True, "check": False},
    )
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"\w+_\w+/\d+\.png", done.stdout)) >= 3


def test_the_python_example_runs(retriever, tmp_path, monkeypatch, capsys):
    (example,) = [example for example in EXAMPLES if "gradio_client" not in example]
    monkeypatch.chdir(tmp_path)
    toy_photo("red", "shirt", 99).save("photo.jpg")
    monkeypatch.setattr(cbir, "load_bundle", lambda: retriever.bundle)
    monkeypatch.setattr(cbir, "Retriever", lambda bundle: retriever)
    exec(example, {})  # noqa: S102 - our own documentation
    assert capsys.readouterr().out.startswith("[('")


def folders_in_git() -> set[str]:
    """Top folders, and those in `cbir/` and `train/`, of files that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    folders = {PurePosixPath(name).parent for name in names if name[0] != "." and (ROOT / name).exists()}
    folders |= {parent for folder in folders for parent in folder.parents}
    return {f"{f}/" for f in folders if len(f.parts) == 1 or (len(f.parts) == 2 and f.parts[0] in ("cbir", "train"))}


def test_the_layout_lists_every_folder_and_nothing_else():
    tree = re.search(r"## Layout\n\n```\n(.*?)```", README, re.DOTALL)[1]
    listed, top = set(), ""
    for indent, name in re.findall(r"^( *)(\S+) ", tree, re.M):
        top = name if not indent else top
        listed.add(name if not indent else top + name)
    assert listed == {"app.py"} | folders_in_git()


def test_the_layout_names_the_training_commands():
    (line,) = re.findall(r"^train/ +(.*)$", README, re.M)
    modules = [path for path in (ROOT / "train").glob("*.py") if "    run_main(main)" in path.read_text()]
    assert set(line.rpartition(": ")[2].split(", ")) == {path.stem for path in modules}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = Path(os.path.normpath(page.parent / name)) if name else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, link


def test_modules_that_commands_name_exist():
    named = {name for page in PAGES for name in re.findall(r"python -m ([\w.]+)", page.read_text(encoding="utf-8"))}
    assert {"cbir", "samples.build", "samples.drawing", "train.run", "train.evaluate"} <= named
    for name in named - {"pytest", "venv"}:
        assert importlib.util.find_spec(name), name


def settings() -> tuple[set[str], set[str]]:
    """The flags and the variables in the table of the README."""
    table = README.partition("## Settings\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ")][1:]
    flags, variables = (" ".join(column) for column in zip(*cells, strict=True))
    return set(re.findall(r"`(--[\w-]+)`", flags)), set(re.findall(r"`(\w+)`", variables))


def variables_read(paths) -> set[str]:
    """What code asks of the environment by name; not what it sets, nor what it hands on to others."""
    asked = (r'environ(?:\.get\(|\[)\s*"([A-Z]\w+)"(?!\] = )', r'"([A-Z]\w+)" (?:not )?in os\.environ')
    return {name for path in paths for how in asked for name in re.findall(how, path.read_text(encoding="utf-8"))}


def test_the_settings_are_those_that_the_code_reads():
    _, listed = settings()
    read = variables_read([ROOT / "app.py", *(ROOT / "cbir").rglob("*.py"), *(ROOT / "train").rglob("*.py")])
    assert read - listed == {"HOME", "RAY_ADDRESS", "SPACES_ZERO_GPU"} & read  # the system's, docs/scale.md, the Hub's
    by_libraries = {"GRADIO_ROOT_PATH", "HF_TOKEN", "HF_HOME"}
    assert listed - read == by_libraries
    told_nobody = {"GRADIO_ANALYTICS_ENABLED"}
    assert {name for name in listed if name.startswith("GRADIO_")} == set(_GRADIO) - told_nobody


def test_every_variable_of_ours_is_told_of_and_no_other():
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sources = [ROOT / name for name in files.split("\0") if name.endswith(".py") and (ROOT / name).exists()]
    pages = [*PAGES, ROOT / "SECURITY.md"]
    told = {name for page in pages for name in re.findall(r"\bCBIR_\w+", page.read_text(encoding="utf-8"))}
    assert told == {name for name in variables_read(sources) if name.startswith("CBIR_")}


def test_the_flags_of_the_app_are_in_the_settings(capsys):
    with pytest.raises(SystemExit):
        app.parse_args(["--help"])
    listed, _ = settings()
    assert listed == set(re.findall(r"^  (--[\w-]+)", capsys.readouterr().out, re.MULTILINE))


def test_the_figures_of_the_readme_are_those_of_the_evaluation():
    evaluation = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    section = re.search(r"<!-- evaluation -->(.*)<!-- /evaluation -->", evaluation, re.DOTALL)[1]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in re.search(r"<!-- results -->(.*)<!-- /results -->", README, re.DOTALL)[1].splitlines()
        if line.startswith("|")
    ][2:]
    assert len(rows) == 6
    for method, *figures in rows:
        known = " ".join(re.findall(rf"^\| {re.escape(method)} +\|(.*)$", section, re.M))
        assert set(figures) - {"-"} <= set(re.findall(r"(?<![\d.])1?\.\d+", known)), method


def test_one_version_everywhere():
    assert f"\nversion: {cbir.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, date = re.search(r"^## \[(\d\S+)\] - (\S+)$", changes, re.M).groups()
    assert version == cbir.__version__
    assert f"\ndate-released: {date}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")

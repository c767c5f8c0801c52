"""Dockerfile and workflows: what can be known of them without Docker and Actions."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest
import yaml

from tests.conftest import ROOT, png, toy_photo
from train.space import DOCKER_PRELOADS, Target, app_files, linked

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COPIED = [name for names in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for name in names.split()]
ON_ZERO_GPU = {"spaces"}  # what `train.space` adds to the requirements there
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A folder with what the Dockerfile copies, and nothing else."""
    folder = tmp_path_factory.mktemp("image")
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def test_what_the_image_holds_starts_and_searches(image):
    (image / "photo.png").write_bytes(png(toy_photo("red", "shirt", 0)))
    code = "import app; from cbir.__main__ import main; app.parse_args([]); main(['search', 'photo.png', '--json'])"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=image, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["matches"]


def test_a_space_holds_what_the_image_holds():
    about = {"README.md", *(path.relative_to(ROOT).as_posix() for path in linked(ROOT / "README.md"))}
    files = set(app_files(Target("user/search", "cpu-basic"))) - about
    assert {next((top for top in COPIED if name == top or name.startswith(f"{top}/")), name) for name in files} == set(
        COPIED
    )


def test_a_space_has_a_place_to_load_its_bundle():
    before, _, after = DOCKERFILE.partition(DOCKER_PRELOADS)
    assert "\nUSER 1000\n" in before  # into that user's cache
    assert after


def test_the_builder_is_sent_what_is_copied():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if not line.startswith("#")) == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == set(COPIED)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_health_check_tells_a_healthy_app_from_others(url, monkeypatch):
    words = re.search(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1]
    check = [sys.executable, *json.loads(words)[1:]]
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("GRADIO_SERVER_PORT", re.search(r":(\d+)", url).group(1))
    assert subprocess.run(check).returncode == 0
    monkeypatch.setenv("GRADIO_SERVER_PORT", "9")  # nothing listens there
    assert subprocess.run(check, stderr=subprocess.DEVNULL).returncode == 1


def normal(package):
    return re.sub(r"[-_.]+", "-", package).lower()


def test_what_is_imported_is_listed():
    listed = set()
    for path in ROOT.glob("requirements*.txt"):
        lines = path.read_text(encoding="utf-8").splitlines()
        listed |= {normal(re.split(r"[=;\[ ]", line)[0]) for line in lines if line and line[0] not in "#-"}
    packages = packages_distributions()
    ours = {"app", "cbir", "train", "samples", "benchmarks", "tests"}
    for folder in sorted(ours):
        for path in [*ROOT.glob(f"{folder}.py"), *(ROOT / folder).rglob("*.py")]:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                for name in {name.partition(".")[0] for name in names} - ours - set(sys.stdlib_module_names):
                    found = set(map(normal, packages.get(name, [name, f"{name}-cpu"])))  # not all are installed
                    assert name in ON_ZERO_GPU or found & listed, f"{path.relative_to(ROOT)} imports {name}"


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    return request.param.read_text()


def steps(workflow):
    return [step for job in yaml.safe_load(workflow)["jobs"].values() for step in job["steps"]]


def test_actions_are_pinned_by_commit(workflow):
    used = re.findall(r"uses: *(.*)", workflow)
    assert len(used) == sum("uses" in step for step in steps(workflow))
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_shells_see_what_others_typed_only_as_variables(workflow):
    for step in steps(workflow):
        assert "${{" not in step.get("run", "")


def test_jobs_have_few_permissions_and_a_timeout(workflow):
    parsed = yaml.safe_load(workflow)
    assert parsed["permissions"] == {"contents": "read"}
    assert parsed["concurrency"]
    for job in parsed["jobs"].values():
        assert job["timeout-minutes"] < 360  # GitHub's own limit
        assert "permissions" not in job
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize(
    ("environment", "is_complete"),
    [({}, False), ({"HF_TOKEN": "t"}, False), ({"SPACE": "u/s"}, False), ({"HF_TOKEN": "t", "SPACE": "u/s"}, True)],
)
def test_without_settings_nothing_is_synced(environment, is_complete, tmp_path):
    (job,) = yaml.safe_load((ROOT / ".github/workflows/sync-space.yml").read_text())["jobs"].values()
    output = tmp_path / "output"
    output.touch()
    printed = run_step(job["steps"][0], {**environment, "GITHUB_OUTPUT": str(output)})
    assert output.read_text() == ("complete=true\n" if is_complete else "")
    assert printed.startswith("::notice::") == (not is_complete)


@pytest.mark.parametrize(("bundle", "hardware"), [("", ""), ("user/bundle@main", "cpu-basic")])
def test_the_space_is_sent_with_its_bundle(bundle, hardware, tmp_path):
    (job,) = yaml.safe_load((ROOT / ".github/workflows/sync-space.yml").read_text())["jobs"].values()
    words = run_step(job["steps"][-1], {"SPACE": "user/space", "BUNDLE": bundle, "HARDWARE": hardware}, tmp_path)
    asked = ["--bundle", bundle, "--hardware", hardware] if bundle else []
    assert words.splitlines() == ["-m", "train.space", "--to", "user/space", *asked]


def test_what_a_person_types_stays_one_word(tmp_path):
    (job,) = yaml.safe_load((ROOT / ".github/workflows/train.yml").read_text())["jobs"].values()
    typed = {"DATA": "a b; touch x", "BACKBONE": "$(touch y)", "REPO": "u/r --public", "PUBLIC": "false"}
    words = run_step(job["steps"][-1], typed, tmp_path).splitlines()
    options = ["--data=a b; touch x", "--backbone=$(touch y)", "--tune-color", "--out=bundle", "--push=u/r --public"]
    assert words == ["-m", "train.run", *options]
    more = {"PUBLIC": "true", "REVISION": "v1 $(touch z)", "LICENSE": "cc-by-4.0"}
    added = ["--revision=v1 $(touch z)", "--license=cc-by-4.0", "--public"]
    assert run_step(job["steps"][-1], typed | more, tmp_path).splitlines() == [*words, *added]


def run_step(step, environment, folder=None):
    """Runs a step's script as Actions does; `python`, where a folder is given, prints its arguments instead."""
    path = "/usr/bin:/bin"
    if folder:
        (folder / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (folder / "python").chmod(0o755)
        path = f"{folder}:{path}"
    script = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
    return subprocess.run(script, env={"PATH": path, **environment}, capture_output=True, text=True, check=True).stdout

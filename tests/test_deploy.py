"""Dockerfile, workflows and the Space's card: what can be known of them without Docker, Actions and the Hub."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from cbir.errors import HubError
from tests.conftest import ROOT
from tests.dockerfile_in_chroot import command, copies, ignored, instructions, split_options
from train.space import app_files, check_front_matter

DOCKERFILE = instructions((ROOT / "Dockerfile").read_text())
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def arguments(name):
    return [argument for instruction, argument in DOCKERFILE if instruction == name]


def in_image():
    """What the Dockerfile copies: path in the image -> path in the repository."""
    files, folder = {}, "/"
    for name, argument in DOCKERFILE:
        if name == "WORKDIR":
            folder = argument
        elif name == "COPY":
            files |= copies(argument, folder)
    return files


# --- Dockerfile


def test_lines_are_joined_and_comments_left_out():
    text = '# a\nRUN one \\\n  # between\n    && two\n\ncmd x\nHEALTHCHECK --interval=3s \\\n  CMD ["a", "b c"]\n'
    parsed = instructions(text)
    assert parsed == [("RUN", "one && two"), ("CMD", "x"), ("HEALTHCHECK", '--interval=3s CMD ["a", "b c"]')]
    assert split_options(parsed[2][1]) == (["--interval=3s"], 'CMD ["a", "b c"]')
    assert command(parsed[0][1]) == ["/bin/sh", "-c", "one && two"]
    assert command(parsed[2][1]) == ["a", "b c"]


def test_the_last_pattern_that_fits_decides():
    patterns = ["*", "!a", "!b/c", "**/__pycache__"]
    left = ["a/x/y.py", "b/c/d", "a/__pycache__x"]
    out = ["c", "b/d", "bb/c", "a/x/__pycache__/y.pyc", "a/__pycache__/y.pyc"]
    assert [name for name in left + out if not ignored(name, patterns)] == left


def test_the_image_holds_what_a_space_holds():
    serving = set(app_files()) - {"README.md", "LICENSE", "docs/search.jpg", "docs/flow.svg"}
    files = in_image()
    assert set(files.values()) == serving
    assert all(path == f"/app/{name}" for path, name in files.items())


def test_the_image_holds_everything_that_the_app_loads():
    code = (
        "import sys, json; from pathlib import Path; import app; "
        "files = [Path(m.__file__) for m in sys.modules.values() if getattr(m, '__file__', None)]; "
        "print(json.dumps([f.relative_to(Path.cwd()).as_posix() for f in files if f.is_relative_to(Path.cwd())]))"
    )
    printed = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, check=True)
    loaded = {name for name in json.loads(printed.stdout) if not name.startswith(".venv/")}
    assert {"app.py", "cbir/search.py", "cbir/own_photos.py"} <= loaded
    assert loaded <= set(in_image().values())


def test_nothing_but_what_is_copied_is_sent_to_the_builder():
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in names if not ignored(name, patterns)} == set(in_image().values())
    for private in (".git/config", ".env", ".venv/bin/python", "bundle/manifest.json", "cbir/__pycache__/hub.pyc"):
        assert ignored(private, patterns)


def test_the_container_is_no_root_and_tells_its_health():
    names = [name for name, _ in DOCKERFILE]
    assert arguments("USER") == ["1000"]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("RUN", "COPY"))
    options, check = split_options(arguments("HEALTHCHECK")[0])
    assert options
    assert check.startswith('CMD ["python", "-c"')
    assert command(arguments("CMD")[0]) == ["python", "app.py"]
    assert arguments("CMD")[0].startswith("[")  # else a shell is process 1 and keeps the stop signal to itself
    assert arguments("FROM") == ["python:3.11-slim-bookworm"]
    environment = dict(word.split("=") for word in arguments("ENV")[0].split())
    assert environment["GRADIO_SERVER_NAME"] == "0.0.0.0"
    assert [environment["GRADIO_SERVER_PORT"]] == arguments("EXPOSE") == ["7860"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_health_check_tells_a_healthy_app_from_others(url, monkeypatch):
    check = [sys.executable, *command(arguments("HEALTHCHECK")[0])[1:]]
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("GRADIO_SERVER_PORT", re.search(r":(\d+)", url).group(1))
    assert subprocess.run(check).returncode == 0
    monkeypatch.setenv("GRADIO_SERVER_PORT", "9")  # nothing listens there
    assert subprocess.run(check, stderr=subprocess.DEVNULL).returncode == 1


# --- workflows


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


def test_jobs_may_little_and_end(workflow):
    parsed = yaml.safe_load(workflow)
    assert parsed["permissions"] == {"contents": "read"}
    assert parsed["concurrency"]
    for job in parsed["jobs"].values():
        assert job["timeout-minutes"] < 360  # GitHub's own limit
        assert "permissions" not in job
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_space_follows_only_what_ci_found_good_on_main():
    parsed = yaml.safe_load((ROOT / ".github/workflows/sync-space.yml").read_text())
    assert parsed[True] == {"workflow_run": {"workflows": ["CI"], "types": ["completed"], "branches": ["main"]}}
    assert yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["name"] == "CI"
    (job,) = parsed["jobs"].values()
    conditions = {condition.strip() for condition in job["if"].split("&&")}
    assert conditions == {
        "github.event.workflow_run.conclusion == 'success'",
        "github.event.workflow_run.event == 'push'",
        "github.event.workflow_run.head_branch == 'main'",
    }
    setting, checkout, *_ = job["steps"]
    assert all(step["if"] == "steps.setting.outputs.complete" for step in job["steps"][1:])
    assert checkout["with"]["ref"] == "${{ github.event.workflow_run.head_sha }}"
    assert "::notice::" in setting["run"]


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


@pytest.mark.parametrize("bundle", ["", "user/bundle@main"])
def test_the_space_is_sent_with_its_bundle(bundle, tmp_path):
    (job,) = yaml.safe_load((ROOT / ".github/workflows/sync-space.yml").read_text())["jobs"].values()
    words = run_step(job["steps"][-1], {"SPACE": "user/space", "BUNDLE": bundle}, tmp_path).splitlines()
    assert words == ["-m", "train.space", "--to", "user/space", *(["--bundle", bundle] if bundle else [])]


def test_what_a_person_types_stays_one_word(tmp_path):
    (job,) = yaml.safe_load((ROOT / ".github/workflows/train.yml").read_text())["jobs"].values()
    typed = {"DATA": "a b; touch x", "BACKBONE": "$(touch y)", "REPO": "u/r --public", "PUBLIC": "false"}
    words = run_step(job["steps"][-1], typed, tmp_path).splitlines()
    options = ["--data=a b; touch x", "--backbone=$(touch y)", "--tune-color", "--out=bundle", "--push=u/r --public"]
    assert words == ["-m", "train.run", *options]
    assert run_step(job["steps"][-1], {**typed, "PUBLIC": "true"}, tmp_path).splitlines() == [*words, "--public"]


def run_step(step, environment, folder=None):
    """Runs a step's script as Actions does; `python`, where a folder is given, prints its arguments instead."""
    path = "/usr/bin:/bin"
    if folder:
        (folder / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (folder / "python").chmod(0o755)
        path = f"{folder}:{path}"
    script = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
    return subprocess.run(script, env={"PATH": path, **environment}, capture_output=True, text=True, check=True).stdout


# --- the Space's card


def test_the_front_matter_suits_a_space():
    check_front_matter()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("colorFrom: green", "colorFrom: teal", "expected colorFrom to be one of red, .*got 'teal'"),
        ("emoji: 👗", "emoji: dress", "expected emoji to be an emoji, got 'dress'"),
        ("sdk: gradio", "sdk: streamlit", "expected sdk to be gradio, got 'streamlit'"),
        (r"sdk_version: .*", "sdk_version: 5.0.0", "expected sdk_version to be .* as in requirements.txt, got '5.0.0'"),
        ('python_version: "3.11"', "python_version: 3.11", 'expected python_version to be "3.11", quoted, got 3.11'),
        ("app_file: app.py", "app_file: run.py", "expected app_file to be one of the Space's files, got 'run.py'"),
        (r"short_description: .*", f"short_description: {'x' * 61}", "at most 60 characters"),
        ("title: Apparel CBIR\n", "", "expected title to be a text, got None"),
        ("title: Apparel CBIR", "title: [", "expected YAML between two lines of ---"),
        (r"---\n[\s\S]*?\n---\n", "", "expected title to be a text, got None"),
    ],
)
def test_a_card_that_the_hub_would_refuse_is_told(old, new, message, tmp_path):
    changed, n = re.subn(old, new, README, count=1)
    assert n == 1
    (tmp_path / "README.md").write_text(changed, encoding="utf-8")
    with pytest.raises(HubError, match=message):
        check_front_matter(tmp_path / "README.md")

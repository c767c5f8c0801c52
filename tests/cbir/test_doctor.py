"""The doctor finds what is wrong and says what to do."""

import dataclasses
import os
import re
import subprocess
import sys

import pytest

from cbir import doctor
from cbir.__main__ import main
from cbir.bundle import save_bundle
from tests.cbir.test_hub import cut
from tests.conftest import ROOT


@pytest.fixture
def quick(monkeypatch):
    """Starts nothing: what starting would give."""

    def start(status, output):
        monkeypatch.setattr(doctor, "_run_start", lambda source, weights: (status, output))

    start(0, "1000000000")
    return start


def states(findings):
    return {finding.what: finding.state for finding in findings}


def test_a_sound_machine_can_start(hub_server, quick, capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "the app can start"
    assert "PROBLEM" not in printed
    for what in ("python", "memory", "caches", "Hub", "bundle", "weights"):
        assert f" {what} " in printed
    assert "the embedded default: 576 photos, 6 methods" in printed


def test_without_network_the_app_can_start(hub_server, quick, monkeypatch, capsys):
    cut(monkeypatch)
    assert main(["doctor"]) == 0
    assert "cannot be reached" in capsys.readouterr().out


def test_a_bundle_that_is_not_there_is_a_problem(hub_server, capsys):
    assert main(["doctor", "--bundle", "/nowhere"]) == 1
    printed = capsys.readouterr().out
    assert "PROBLEM  bundle" in printed
    assert "or neither for the embedded default" in printed
    assert printed.splitlines()[-1] == "1 problems"


def test_the_bundle_is_the_one_that_the_app_would_take(hub_server, monkeypatch, capsys):
    monkeypatch.setenv("CBIR_BUNDLE", "user/nothing")
    assert main(["doctor"]) == 1
    assert "user/nothing not found on the Hub" in capsys.readouterr().out


def made_by(bundle, **backbone):
    """The bundle, as if another backbone had made it."""
    other = dataclasses.replace(bundle.manifest.backbone, **backbone)
    return dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, backbone=other))


def test_a_bundle_of_other_weights_is_a_problem(hub_server, toy_bundle, tmp_path):
    folder = save_bundle(made_by(toy_bundle, name="efficientnet-lite0", fingerprint="0" * 64), tmp_path / "b")
    findings = {finding.what: finding for finding in doctor.examine(str(folder))}
    assert findings["bundle"].state == doctor.OK
    assert findings["start"].state == doctor.PROBLEM
    assert "with other weights or preprocessing" in findings["start"].detail


def test_weights_that_are_not_here_are_announced_not_downloaded(hub_server, toy_bundle, tmp_path):
    folder = save_bundle(made_by(toy_bundle, name="vgg16"), tmp_path / "b")
    assert states(doctor.examine(str(folder)))["weights"] == doctor.WARNING
    assert not any("vgg16" in request for request in hub_server.requests)


def test_an_old_python_is_a_problem(hub_server, quick, monkeypatch):
    monkeypatch.setattr(doctor, "PYTHON", (4, 0))
    finding = doctor.examine(None)[0]
    assert (finding.what, finding.state) == ("python", doctor.PROBLEM)
    assert "Python 4.0 or newer" in finding.advice


def test_too_little_memory_is_told(hub_server, quick):
    quick(0, str(10**15))
    finding = next(f for f in doctor.examine(None) if f.what == "memory")
    assert (finding.state, finding.advice[:16]) == (doctor.WARNING, "it may be killed")
    quick(-9, "")
    finding = next(f for f in doctor.examine(None) if f.what == "memory")
    assert finding.state == doctor.PROBLEM
    assert "was killed (signal 9)" in finding.detail


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_is_told(hub_server, quick, monkeypatch, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    monkeypatch.setenv("CBIR_CACHE", str(locked))
    assert states(doctor.examine(None))["caches"] == doctor.WARNING


@pytest.mark.parametrize("args", [["--port", "70000"], ["--host", "nowhere.invalid"]])
def test_where_the_app_cannot_listen_is_a_problem(hub_server, quick, capsys, args):
    assert main(["doctor", *args]) == 1
    assert "PROBLEM  address" in capsys.readouterr().out


def test_the_command_runs_as_documented_and_measures_memory():
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "CBIR_BUNDLE": ""}
    command = [sys.executable, "-m", "cbir", "doctor"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the app can start" in done.stdout
    assert 0.3 < float(re.search(r"the app takes (\d+\.\d) GB to start", done.stdout)[1]) < 3

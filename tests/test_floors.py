"""What stands on which floor: imports run one way (import-linter, in pyproject.toml), and importing does no work."""

import subprocess
import sys

from tests.conftest import ROOT


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_imports_run_one_way():
    found = run(sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())")
    assert found.returncode == 0, found.stdout


def test_importing_cbir_loads_no_heavy_library():
    code = (
        "import sys, cbir; print([m for m in ('torch', 'timm', 'gradio', 'datasets', 'sklearn') if m in sys.modules])"
    )
    assert run(sys.executable, "-c", code).stdout.strip() == "[]"

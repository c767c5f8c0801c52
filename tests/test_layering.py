"""Imports run one way, and importing the package does no work."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Each may import those before it.
ORDER = [
    *(
        "errors",
        "labels",
        "files",
        "hub",
        "images",
        "features",
        "similarity",
        "familiarity",
        "map",
        "gallery",
        "bundle",
    ),
    *("bundle", "search", "explain", "compare", "export", "doctor", "ui"),
]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "cbir").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_cbir_imports_only_what_stands_above(path):
    parts = path.relative_to(ROOT / "cbir").with_suffix("").parts
    if parts == ("__init__",) or parts == ("__main__",):
        return
    allowed = {f"cbir.{name}" for name in ORDER[: ORDER.index(parts[0]) + (len(parts) > 1)]}
    for name in imported(path):
        top = name.split(".")[0]
        assert top not in {"train", "app", "tests", "samples", "benchmarks"}, f"{path} imports {name}"
        if top == "cbir" and name != "cbir":
            assert ".".join(name.split(".")[:2]) in allowed, f"{path} imports {name}, which stands below it"
        if top in {"torch", "timm", "torchvision"}:
            assert parts[0] == "features", f"{path} imports {name}: only cbir/features may"
        if top in {"gradio", "gradio_client"}:
            assert parts[0] == "ui", f"{path} imports {name}: only cbir/ui may"


def test_importing_cbir_loads_no_network_library():
    code = (
        "import sys, cbir; print([m for m in ('torch', 'timm', 'gradio', 'datasets', 'sklearn') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"

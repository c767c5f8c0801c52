"""What stands on which floor: imports run one way (import-linter, in pyproject.toml), and importing does no work."""

import subprocess
import sys

from tests.conftest import ROOT

SERVING = """
import sys
from pathlib import Path

import app
from cbir.bundle import load_bundle, load_bundle_backbone
from cbir.own_photos import index_folder
from cbir.search import Retriever, SearchOptions
from cbir.ui import build_demo

bundle = load_bundle()
backbone = load_bundle_backbone(bundle)
retriever = Retriever(bundle, backbone)
retriever.warm_up()
build_demo(retriever)
for method in retriever.methods:
    retriever.search(bundle.gallery.thumbnails[0], SearchOptions(method.name))
photos = Path(sys.argv[1])
for n, jpeg in enumerate(bundle.gallery.thumbnails[:2]):
    (photos / f"{n}.jpg").write_bytes(jpeg)
Retriever(index_folder(photos, bundle, backbone), backbone).search_by_id("0.jpg")
print({"sklearn", "skl2onnx", "onnx", "onnxscript", "datasets", "train"} & set(sys.modules))
"""


def run(*arguments):
    """What a fresh Python in the checkout prints."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_imports_run_one_way():
    found = run("-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())")
    assert found.returncode == 0, found.stdout


def test_importing_cbir_loads_no_heavy_library():
    found = run("-c", "import sys, cbir; print({'torch', 'timm', 'gradio', 'datasets', 'sklearn'} & set(sys.modules))")
    assert found.stdout.strip() == "set()", found.stderr


def test_serving_loads_nothing_that_only_training_needs(tmp_path):
    found = run("-W", "ignore", "-c", SERVING, str(tmp_path))
    assert found.stdout.strip().endswith("set()"), found.stdout + found.stderr

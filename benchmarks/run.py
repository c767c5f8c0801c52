"""How fast it is, beside others in the same run on the same machine.

    pip install -r requirements-benchmark.txt
    python -m benchmarks.run [--parts embedding search service ...] [--write docs/scale.md] [--json FILE]

prints tables of medians and ratios. Ratios carry from machine to machine, milliseconds do not. Opponents are run in
turns with this project: timm's networks as they come, FAISS's flat index, scikit-learn's NearestNeighbors, and its
predict_proba on features of pairs. --write puts the tables into the sections of a Markdown file, one per part.

On 2 cores all parts take about half an hour; --quick takes a few minutes, with small galleries.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.app_process import AppProcess
from benchmarks.embedding import embedding
from benchmarks.galleries import synthetic_bundle
from benchmarks.search import search
from benchmarks.service import service
from benchmarks.timing import Table
from benchmarks.training import training
from cbir.files import replacing
from cbir.starting import run_main
from train.cli import write_section

SIZES = [(1000, 4096), (11_385, 4096), (100_000, 1280), (1_000_000, 1280)]
QUICK_SIZES = [(1000, 1280), (5000, 1280)]
TRAINED = [(2861, 1280), (11_385, 4096)]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    args = _parse_args(argv)
    sizes = QUICK_SIZES if args.quick else [size for size in SIZES if size[0] <= args.largest]
    trained = QUICK_SIZES[:1] if args.quick else TRAINED
    parts: dict[str, Callable[[], list[Table]]] = {
        "embedding": lambda: embedding(args.repeats, args.seconds),
        "search": lambda: search(sizes, args.repeats, args.seconds),
        "service": lambda: service(args.bundle, args.seconds / 6),
        "catalogue": lambda: synthetic(1000 if args.quick else 11_385, args.seconds / 6),
        "million": lambda: synthetic(100_000 if args.quick else 1_000_000, args.seconds / 6),
        "training": lambda: training(trained),
    }
    found: dict[str, object] = {"machine": _machine(), "when": time.strftime("%Y-%m-%d")}
    for name in args.parts:
        tables = parts[name]()
        text = "\n\n".join(table.markdown() for table in tables)
        print(f"\n{text}", flush=True)
        found[name] = [{"title": table.title, **table.figures} for table in tables]
        if args.write:
            write_section(args.write, name, f"{_machine()}, {time.strftime('%B %Y')}. {text}")
        if args.json:  # after each part: a run that is stopped leaves what it has
            with replacing(args.json) as new:
                new.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def synthetic(g: int, seconds: float) -> list[Table]:
    """A bundle of so many synthetic items, served: the first start, which works codes out, and the next."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = synthetic_bundle(Path(folder), g)
        for path in Path(folder).glob("*.npy"):
            path.unlink()
        before = os.environ.get("CBIR_CACHE")
        os.environ["CBIR_CACHE"] = str(Path(folder) / "cache")
        try:
            begun = time.perf_counter()
            with AppProcess("--bundle", str(bundle), start_seconds=3600):
                first = time.perf_counter() - begun
            start, searches = service(str(bundle), seconds)
        finally:
            if before is None:
                del os.environ["CBIR_CACHE"]
            else:
                os.environ["CBIR_CACHE"] = before
    rows = [["until it answers, the very first time, seconds", f"{first:.1f}"], *start.rows]
    of = f"a bundle of {g:,} synthetic items"
    return [
        Table(f"Start and memory of the app, {of}", start.columns, rows, {**start.figures, "first start": first}),
        Table(f"Searches over HTTP, {of}", text=searches.text),
    ]


def _machine() -> str:
    import torch

    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not on Linux
    return f"{processor}, {torch.get_num_threads()} threads, torch {torch.__version__}, numpy {np.__version__}"


def _parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["embedding", "search", "service", "catalogue", "million", "training"]
    parser.add_argument("--parts", nargs="+", choices=names, default=names)
    parser.add_argument("--repeats", type=int, default=30, help="rounds of each table (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=60, help="after which no new round begins (default: %(default)s)"
    )
    parser.add_argument("--largest", type=int, default=10**9, help="leave out larger galleries")
    parser.add_argument("--bundle", metavar="DIR_OR_REPO", help="that the app serves; default: the embedded one")
    parser.add_argument("--quick", action="store_true", help="small galleries")
    parser.add_argument("--json", type=Path, help="write all figures into this file")
    parser.add_argument("--write", type=Path, help="write the tables into the sections of this Markdown file")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main)

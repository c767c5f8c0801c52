"""What Milvus finds and what a million photos cost, from which follows what a thousand million would.

    pip install -r requirements-scale.txt
    python -m benchmarks.beyond [--bundle DIR] [--write docs/scale.md]

searches galleries of several sizes by the ways of `cbir.milvus` and in full: how many of the ten best are on the
shortlist. Then it puts photos into milvus-lite, searches them, and works out what more would cost. The photos are those
of the bundle and mixtures of two of them each, so that there are enough. --write puts both into the section "beyond".
"""

import argparse
import io
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.timing import Table
from cbir.bundle import Bundle, load_bundle, load_bundle_backbone
from cbir.features import Features
from cbir.gallery import Gallery
from cbir.index import Query
from cbir.labels import LABELS
from cbir.milvus import SHORTLIST, MilvusIndex, vectors_of, ways
from cbir.options import SearchOptions
from cbir.ranking import Ranker
from cbir.search import Retriever
from cbir.starting import run_main
from train.cli import write_section

K = 10  # matches that a shortlist should have
METHODS = ("agreement_and_likeness", "random_forest")
MILLION = 1_000_000
MACHINE_GB = 256  # of memory, where a machine is counted


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", help="with models of all methods; the embedded default by default")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--stored", type=int, default=10_000, help="photos to put into milvus-lite")
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--write", metavar="FILE", type=Path)
    args = parser.parse_args(argv)
    bundle = load_bundle(args.bundle)
    tables = [recall(bundle, args.sizes, args.queries), *cost(bundle, args.stored, args.queries)]
    text = "\n\n".join(table.markdown() for table in tables)
    print(f"\n{text}")
    if args.write:
        write_section(args.write, "beyond", text)
    return 0


def enlarged(bundle: Bundle, g: int) -> Gallery:
    """A gallery of g items: the bundle's, then mixtures of two of them each, three parts to one."""
    rng = np.random.default_rng(0)
    given = bundle.gallery
    left, right = rng.integers(0, len(given), (2, g))
    left[: len(given)] = right[: len(given)] = np.arange(min(g, len(given)))

    def mixed(part: np.ndarray) -> np.ndarray:
        share = rng.uniform(0.6, 0.9, (g, 1)).astype(np.float32)
        return (share * part[left] + (1 - share) * part[right]).astype(np.float16)

    features = Features(*(mixed(part) for part in (given.features.embedding, given.features.color)))
    if given.features.learned.shape[1]:
        features = replace(features, learned=mixed(given.features.learned))
    ids = np.array([f"{number:07}.jpg" for number in range(g)])
    labels = {name: given.labels[name][left] for name in LABELS}
    return Gallery(ids, labels, features, [given.thumbnails[row] for row in left], np.full(g, "train"))


def recall(bundle: Bundle, sizes: Sequence[int], n_queries: int) -> Table:
    """How many of the K best are candidates; the candidates as FLAT indices give them."""
    rows: list[list[str]] = []
    figures: dict[str, object] = {}
    for g in sizes:
        gallery = enlarged(bundle, g)
        retriever = Retriever(replace(bundle, gallery=gallery))
        ranker = Ranker(retriever.bundle, gallery)
        vectors = vectors_of(bundle, gallery.features)
        chosen = np.random.default_rng(1).choice(g, min(n_queries, g), replace=False)
        for method in METHODS:
            shares, sizes_found = [], []
            for row in tqdm(chosen, desc=f"{method}, {g:,}", unit="query"):
                query = _query(gallery, int(row))
                plan = retriever.plan(query, SearchOptions(method, k=K))
                best = {gallery.row(match.id) for match in ranker.rank(query, plan).matches}
                candidates: set[int] = set()
                for way in ways(bundle, query, plan):
                    compared = vectors[way.field]
                    found = compared @ way.vector
                    if way.field == "embedding":
                        found = -np.square(compared - way.vector).sum(axis=1)
                    found[row] = -np.inf
                    n = min(g - 1, SHORTLIST + 2 * K)
                    candidates |= set(np.argpartition(found, -n)[-n:].tolist())
                shares.append(len(best & candidates) / len(best))
                sizes_found.append(len(candidates))
            figures[f"{method} {g}"] = float(np.mean(shares))
            rows.append(
                [method, f"{g:,}", f"{np.mean(sizes_found):.0f}", f"{np.mean(shares):.4f}", f"{min(shares):.2f}"]
            )
    title = f"Recall of the shortlist: of the {K} best, how many are candidates, {n_queries} queries"
    return Table(title, ["method", "photos", "candidates", f"recall@{K}, mean", "worst query"], rows, figures)


def _query(gallery: Gallery, row: int) -> Query:
    labels = {name: gallery.labels[name][[row]] for name in LABELS}
    return Query(gallery.features.take([row]), (str(gallery.ids[row]),), labels, 0.0)


def cost(bundle: Bundle, g: int, n_queries: int) -> list[Table]:
    """What photos cost in milvus-lite, and from that a million and a thousand million."""
    gallery = enlarged(bundle, g)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photos.db"
        index = MilvusIndex(f"milvus:{path}", bundle, create=True)
        begun = time.perf_counter()
        index.add(gallery)
        writing = (time.perf_counter() - begun) / g
        stored = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / g
        retriever = Retriever(bundle, index=index)
        times = {}
        ids = gallery.ids[np.random.default_rng(1).choice(g, n_queries, replace=False)].tolist()
        for method in ("cosine", "inverse_euclidean", *METHODS):
            taken = []
            for id in tqdm(ids, desc=method, unit="query"):
                begun = time.perf_counter()
                retriever.search_by_id(id, SearchOptions(method, k=K))
                taken.append(time.perf_counter() - begun)
            times[method] = 1000 * float(np.median(taken))
        index.close()
    embedding = _seconds_to_embed(bundle)
    numbers = sum(part.shape[1] for part in vectors_of(bundle, bundle.gallery.features.take([0])).values())
    scan = _seconds_to_scan(numbers)
    in_memory = 4 * numbers
    picture = float(np.mean([len(jpeg) for jpeg in gallery.thumbnails]))
    rows = [[method, f"{milliseconds:.0f}"] for method, milliseconds in times.items()]
    searches = Table(f"Searches by id in milvus-lite, {g:,} photos, median of {n_queries}", ["method", "ms"], rows)

    def row(what: str, each: str, million: str, thousand: str) -> list[str]:
        return [what, each, million, thousand]

    n_machines = int(np.ceil(in_memory * 1000 * MILLION / 1e9 / MACHINE_GB))
    rows = [
        row(
            "embedding, one core",
            f"{1000 * embedding:.1f} ms",
            f"{embedding * MILLION / 3600:.1f} hours",
            f"{embedding * 1000 * MILLION / 86400 / 365:.2f} years: on 1,000 cores "
            f"{embedding * MILLION / 86400:.1f} days",
        ),
        row("writing to milvus-lite", f"{1000 * writing:.1f} ms", f"{writing * MILLION / 3600:.1f} hours", "-"),
        row("storage", f"{stored / 1000:.1f} kB", f"{stored / 1000:.1f} GB", f"{stored / 1000:.1f} TB"),
        row(
            "memory of FLAT indices",
            f"4 x {numbers:,} = {in_memory:,} bytes",
            f"{in_memory / 1000:.1f} GB",
            f"{in_memory / 1000:.1f} TB: {n_machines} machines of {MACHINE_GB} GB",
        ),
        row(
            "scan of all vectors, one core",
            f"{1e9 * scan:.0f} ns",
            f"{scan * MILLION:.2f} s",
            f"{scan * 1000 * MILLION:.0f} s: on {n_machines} machines of 32 cores "
            f"{scan * 1000 * MILLION / n_machines / 32:.2f} s",
        ),
    ]
    title = (
        f"Cost, measured with {bundle.manifest.backbone.name} ({bundle.manifest.backbone.dim} numbers, thumbnails of "
        f"{picture / 1000:.1f} kB) and multiplied"
    )
    return [searches, Table(title, ["what", "a photo", "a million photos", "10^9 photos"], rows)]


def _seconds_to_embed(bundle: Bundle) -> float:
    """For a photo in a batch of 32, decoded from a JPEG, as this machine does it, on all its cores together."""
    backbone = load_bundle_backbone(bundle)
    images = [Image.open(io.BytesIO(jpeg)).convert("RGB") for jpeg in list(bundle.gallery.thumbnails)[:32]]
    taken = []
    for _ in range(3):
        begun = time.process_time()
        backbone.embed(images)
        taken.append((time.process_time() - begun) / len(images))
    return float(np.median(taken))


def _seconds_to_scan(numbers: int) -> float:
    """For the inner product of one vector of so many float32 with another, of many."""
    items = np.random.default_rng(0).random((20_000, numbers), np.float32)
    taken = []
    for _ in range(5):
        begun = time.process_time()
        items @ items[0]
        taken.append((time.process_time() - begun) / len(items))
    return float(np.median(taken))


if __name__ == "__main__":
    run_main(main)

"""What a query costs, beside the backbone alone.

    python -m benchmarks.inference [--bundle DIR_OR_REPO] [--repeats 15]

prints a table of medians on one thread, and ratios to the backbone: these carry from machine to machine, the
milliseconds do not. Photos are the gallery's thumbnails, already decoded.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

from threadpoolctl import threadpool_limits

from cbir.bundle import open_bundle
from cbir.explain import explain
from cbir.features.color_descriptor import describe_color
from cbir.images import load_image
from cbir.search import Query, Retriever, SearchOptions
from train.cli import run_main
from train.evaluation.markdown import markdown_table


def milliseconds(work: Callable[[int], object], repeats: int) -> float:
    """Median time of `work`, which is told the number of the repeat; the first one does not count."""
    times = []
    for number in range(repeats + 1):
        start = time.perf_counter()
        work(number)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def ranking(retriever: Retriever, queries: list[Query], method: str) -> Callable[[int], object]:
    """Ranks the gallery for one query after the other."""
    options = SearchOptions(method)
    return lambda n: retriever.rank(queries[n % len(queries)], options)


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", metavar="DIR_OR_REPO", help="default: the embedded one")
    parser.add_argument("--repeats", type=int, default=15, help="default: %(default)s")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):  # Random Forest's ONNX Runtime takes as many threads as there are cores
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    retriever = Retriever(open_bundle(args.bundle))
    retriever.warm_up()
    gallery, backbone = retriever.gallery, retriever.backbone
    network = backbone.color_network
    photos = [load_image(jpeg) for jpeg in gallery.thumbnails[: args.repeats + 1]]
    queries = [retriever.query(photo) for photo in photos]
    works: dict[str, Callable[[int], object]] = {
        "backbone": lambda n: backbone.embed([photos[n % len(photos)]]),
        "color descriptor": lambda n: describe_color(photos[n % len(photos)]),
        **({"color network": lambda n: network.embed([photos[n % len(photos)]])} if network else {}),
        "query: all of these": lambda n: retriever.query(photos[n % len(photos)]),
        **{f"ranking: {method.name}": ranking(retriever, queries, method.name) for method in retriever.methods},
        "explanation": lambda n: explain(retriever, str(gallery.ids[-1]), photos[n % len(photos)]),
    }
    with threadpool_limits(1):
        times = {name: milliseconds(work, args.repeats) for name, work in works.items()}
    rows = [[name, f"{value:.1f}", f"{value / times['backbone']:.2f}"] for name, value in times.items()]
    title = f"Medians of {args.repeats}, one thread, {backbone.name}, gallery of {len(gallery):,}"
    print(f"{title}:\n\n{markdown_table(['part', 'ms', 'ratio to the backbone'], rows)}")
    return 0


if __name__ == "__main__":
    run_main(main)

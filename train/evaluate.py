"""Judges a bundle on its test photos.

    python -m train.evaluate --bundle BUNDLE [--readme README.md]

prints the table of the published pair protocol and the retrieval table, and writes them into the section "evaluation"
of a Markdown file. Pairs are of two test photos; in retrieval
each test photo queries the train photos.

Legend: m pairs, q queries, g gallery items.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cbir.bundle import load_bundle
from cbir.errors import DataError
from cbir.gallery import Gallery
from cbir.metrics import pair_metrics, retrieval_metrics
from cbir.pairs import LABELS, PAIRS_PER_TASK, TASKS, Pairs, Task, sample_pairs
from cbir.similarity import SIMILARITIES, Model, Similarity
from train.cli import run_main, write_section

# Pearson and Spearman of the published table, task-blind, on 11,384 pairs; its split of photos is not known.
PUBLISHED = {
    "cosine": (0.387, 0.358),
    "inverse_euclidean": (0.298, 0.276),
    "logistic_regression": (0.721, 0.719),
    "random_forest": (0.696, 0.705),
}
POOLED = "pooled"


def evaluate(gallery: Gallery, models: dict[str, Model], seed: int) -> dict[str, Any]:
    """Judges methods on the photos of the split "test".

    Args:
        gallery: with both splits.
        models: fitted on the split "train".
        seed: samples the test pairs.

    Returns:
        `protocol` (sample sizes), `pairs` {method: {"pooled" | label: metrics}} and `retrieval`
        {method: {task: metrics}}: see `cbir.metrics`.

    Raises:
        DataError: a split has no photos.
    """
    test, train = (np.flatnonzero(gallery.splits == side) for side in ("test", "train"))
    if not len(test) or not len(train):
        raise DataError(f"judging needs train and test photos, got {len(train)} and {len(test)}")
    test_labels, train_labels = ({n: gallery.labels[n][side] for n in LABELS} for side in (test, train))
    pairs = {name: sample_pairs(test_labels[name], PAIRS_PER_TASK, seed) for name in LABELS}
    if not all(map(len, pairs.values())):
        raise DataError(f"judging needs test photos of two labels each, the {len(test)} test photos give no pairs")
    by_task: dict[str, tuple[Task | None, Pairs]] = {
        POOLED: (None, Pairs.concatenate([pairs[name] for name in LABELS])),
        **{name: (TASKS[name], pairs[name]) for name in LABELS},
    }
    report: dict[str, Any] = {
        "protocol": {
            "n_train": len(train),
            "n_test": len(test),
            "n_pairs": {name: len(p) for name, (_, p) in by_task.items()},
            "seed": seed,
        },
        "pairs": {},
        "retrieval": {},
    }
    methods = [m for m in SIMILARITIES.values() if not m.is_learned or m.name in models]
    bar = tqdm(methods, desc="judging", unit="method")
    for method in bar:
        bar.set_postfix_str(method.name)
        model = models.get(method.name, Model())
        queries = method.encode(gallery.features.take(test), model)
        items = method.encode(gallery.features.take(train), model)
        report["pairs"][method.name] = {
            name: pair_metrics(score_pairs(method, queries, model, task, p), p.same)
            for name, (task, p) in by_task.items()
        }
        report["retrieval"][method.name] = {
            task.name: retrieval_metrics(
                method.score_codes(queries, items, model, task), task.relevance(test_labels, train_labels)
            )
            for task in TASKS.values()
        }
    return report


def score_pairs(method: Similarity, codes: np.ndarray, model: Model, task: Task | None, pairs: Pairs) -> np.ndarray:
    """Scores m pairs of encoded photos: (m,) float32."""
    scores = np.empty(len(pairs), np.float32)
    order = np.argsort(pairs.left, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(pairs.left[order])) + 1):
        left, right = codes[pairs.left[rows[:1]]], codes[pairs.right[rows]]
        scores[rows] = method.score_codes(left, right, model, task)[0]
    return scores


def pair_table(report: dict[str, Any]) -> str:
    """The pair table as Markdown, beside the published one."""
    counts = report["protocol"]["n_pairs"]
    columns = [POOLED, *LABELS]
    header = ["method", "published", *(f"{name} ({counts[name]:,} pairs)" for name in columns)]
    rows = []
    for name, metrics in report["pairs"].items():
        published = " / ".join(_number(x) for x in PUBLISHED[name]) if name in PUBLISHED else "-"
        ours = (f"{_number(metrics[c]['pearson'])} / {_number(metrics[c]['spearman'])}" for c in columns)
        rows.append([SIMILARITIES[name].label, published, *ours])
    return markdown("Pearson / Spearman of score and pair label, on test photos", header, rows)


def retrieval_table(report: dict[str, Any]) -> str:
    """The retrieval table as Markdown."""
    protocol = report["protocol"]
    header = ["method", *(f"{task.label}: P@1 / P@10 / mAP" for task in TASKS.values())]
    rows = [
        [
            SIMILARITIES[name].label,
            *(" / ".join(_number(by_task[t][m]) for m in ("precision@1", "precision@10", "map")) for t in TASKS),
        ]
        for name, by_task in report["retrieval"].items()
    ]
    return markdown(f"{protocol['n_test']:,} test photos query {protocol['n_train']:,} train photos", header, rows)


def _number(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def markdown(title: str, header: list[str], rows: list[list[str]]) -> str:
    """A table as aligned Markdown, under its title."""
    cells = [header, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    return "\n".join([f"{title}:", "", lines[0], rule, *lines[1:]])


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", help="folder of the bundle; default: the embedded one")
    parser.add_argument("--readme", type=Path, help="write the tables into this file too")
    args = parser.parse_args(argv)
    bundle = load_bundle(args.bundle)
    report = evaluate(bundle.gallery, bundle.models, bundle.manifest["seed"])
    tables = f"{pair_table(report)}\n\n{retrieval_table(report)}"
    print(tables)
    if args.readme:
        write_section(args.readme, "evaluation", f"{provenance(bundle.manifest, report)}\n\n{tables}")
    return 0


def provenance(manifest: dict[str, Any], report: dict[str, Any]) -> str:
    """What a bundle's figures were measured on, as one sentence."""
    protocol, data = report["protocol"], manifest["dataset"]
    return (
        f"Measured by `python -m train.evaluate` on the bundle of {data['n_photos']:,} photos (data `{data['name']}`, "
        f"backbone `{manifest['backbone']['name']}`): fitted on {protocol['n_train']:,} photos, judged on "
        f"{protocol['n_test']:,}, split by image with near duplicates on one side, seed {protocol['seed']}."
    )


if __name__ == "__main__":
    run_main(main)

"""The model card of a bundle: what it is, how to use it, how good it is. All of it comes from manifest and report."""

from typing import Any

from cbir.bundle import Bundle, Manifest
from cbir.labels import TASKS
from cbir.similarity import SIMILARITIES
from train.evaluation.markdown import evaluation_section
from train.hub.upload import MARK

# Names that the Hub's metric catalogue knows, where it does.
PAIR_METRICS = {"pearson": "pearsonr", "spearman": "spearmanr", "roc_auc": "roc_auc"}
RETRIEVAL_METRICS = {"precision@1": "precision_at_1", "precision@10": "precision_at_10", "map": "map"}


def model_card(bundle: Bundle, repo: str) -> str:
    """The card as Markdown with metadata in front: the same bundle always gives the same text.

    Args:
        bundle: from `train.run`; without a report, the card says that there are none.
        repo: `user/repo`, for the commands.
    """
    from huggingface_hub import ModelCardData

    manifest = bundle.manifest
    report = bundle.report
    data = ModelCardData(
        license="mit",
        library_name="apparel-cbir",
        pipeline_tag="image-feature-extraction",
        tags=["image-retrieval", "visual-search", "image-similarity", "fashion"],
        metrics=[*PAIR_METRICS.values(), *RETRIEVAL_METRICS.values()] if report else None,
        model_name=manifest.title,
        eval_results=_eval_results(manifest, report) if report else None,
    )
    return f"---\n{data.to_yaml()}\n---\n{MARK}\n\n{_text(bundle, report, repo)}"


def _eval_results(manifest: Manifest, report: dict[str, Any]) -> list[Any]:
    from huggingface_hub import EvalResult

    def result(task: str, metric: str, name: str, figure: list[float], method: str) -> EvalResult:
        return EvalResult(
            task_type="image-feature-extraction",
            task_name=task,
            dataset_type=manifest.dataset.name,
            dataset_name=manifest.dataset.name,
            dataset_split="test",
            dataset_revision=manifest.dataset.revision,
            metric_type=metric,
            metric_name=f"{name}, {SIMILARITIES[method].title}",
            metric_value=figure[0],
            metric_args={"interval_95": figure[1:]},
        )

    results = []
    for method, tasks in report["pairs"].items():
        for task, metrics in tasks.items():
            shown = f"Pairs of photos, {TASKS[task].title.lower() if task in TASKS else task}"
            results += [result(shown, t, f"{m.title()} ({task})", metrics[m], method) for m, t in PAIR_METRICS.items()]
    for method, tasks in report["retrieval"].items():
        for task, metrics in tasks.items():
            shown = f"Retrieval, {TASKS[task].title.lower()}"
            results += [result(shown, t, f"{m} ({task})", metrics[m], method) for m, t in RETRIEVAL_METRICS.items()]
    return [r for r in results if r.metric_value is not None]  # None: not measurable, e.g. constant scores


def _text(bundle: Bundle, report: dict[str, Any] | None, repo: str) -> str:
    manifest = bundle.manifest
    backbone, dataset = manifest.backbone, manifest.dataset
    methods = [method for method in bundle.methods if method.is_learned]
    drawn = "**The pictures are drawings, not photos.** " if dataset.is_drawn else ""
    counts = dataset.counts
    types = sorted({type_ for row in counts.values() for type_ in row})
    rows = [[color or "unknown", *(f"{row.get(type_, 0):,}" for type_ in types)] for color, row in counts.items()]
    table = "\n".join(
        f"| {' | '.join(map(str, row))} |"
        for row in [["", *(type_ or "unknown" for type_ in types)], ["---"] * (len(types) + 1), *rows]
    )
    network = manifest.tuning
    color_network = (
        "- A color network, `color_network.onnx`: EfficientNet-Lite0 (ImageNet weights under Apache-2.0), its later\n"
        f"  half fine-tuned on {network.n_tuned:,} of the photos.\n"
        if network
        else ""
    )
    measured = (
        f"{evaluation_section(report)}\n\n`report.json` holds more: other metrics, per class, differences, curves."
        if report
        else "No measurements came with this bundle."
    )
    return f"""# {manifest.title}

A searchable gallery of {len(bundle.gallery):,} pictures of clothes with fitted similarity methods, for
Apparel CBIR: give it a photo, it finds the garments that look alike, by type, by color, or both. {drawn}Nothing in
these files runs code when loaded (safetensors, parquet, ONNX, JSON).

## Use

In a checkout of the software, with the commit of this repository that you trust:

```bash
CBIR_BUNDLE={repo}@COMMIT python app.py
```

```python
from cbir import Retriever, SearchOptions, load_bundle

result = Retriever(load_bundle("{repo}@COMMIT")).search("photo.jpg", SearchOptions(k=5))
```

## What is inside

- Backbone: `{backbone.name}`, {backbone.dim} numbers a photo; weights: {backbone.weights.origin}, licence
  {backbone.weights.licence or "unknown"}. They are not part of this repository.
{color_network}- Fitted methods: {", ".join(method.title for method in methods)}.
- Small pictures of the gallery's photos are part of it: publish it only where their licence allows that.

Photos by color and type, from `{dataset.name}`:

{table}

## How good it is

{measured}

## Limits

- The methods know the types and colors in the table above, and photos like these. Elsewhere their scores are no
  probabilities.
- A photo with several garments is judged as a whole; patterned garments count under one color.
- Labels are those of the source, with its mistakes.
"""

"""The model card of a bundle: what it is, how to use it, how good it is.

The text is in `model_card_template.md`; every figure comes from the bundle's manifest and report.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from cbir.bundle import Bundle, DatasetInfo
from cbir.labels import BLIND, TASKS
from cbir.report import CopyEstimates, Estimate, MethodReport, Report
from cbir.report_tables import report_tables
from train.evaluation.markdown import markdown_table, provenance, table
from train.hub.upload import MARK

TEMPLATE = Path(__file__).with_name("model_card_template.md")
# As the Hub's catalogue of metrics names them, where it does.
METRICS = (
    "pearsonr",
    "spearmanr",
    "roc_auc",
    "precision_at_1",
    "precision_at_10",
    "map",
    "recall_at_1",
    "recall_at_10",
    "mrr",
)


def model_card(bundle: Bundle, repo: str) -> str:
    """The card as Markdown with metadata in front: the same bundle always gives the same text.

    Args:
        bundle: from `train.run`; without a report, the card says that it was not evaluated.
        repo: `user/repo`, for the commands.
    """
    manifest, report = bundle.manifest, bundle.report
    dataset, weights = manifest.dataset, manifest.backbone.weights
    data = ModelCardData(
        license=dataset.licence or "unknown",
        base_model=weights.repo,
        datasets=[dataset.repo] if dataset.repo else None,
        library_name="apparel-cbir",
        pipeline_tag="image-feature-extraction",
        tags=["image-retrieval", "visual-search", "image-similarity", "fashion"],
        metrics=list(METRICS) if report else None,
        model_name=manifest.title,
        eval_results=list(_eval_results(report, dataset)) if report else None,
    )
    card = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        mark=MARK,
        repo=repo,
        manifest=manifest,
        weights=weights,
        source=_source(dataset),
        n_pictures=f"{len(bundle.gallery):,}",
        methods=[method for method in bundle.methods if method.is_learned],
        counts=_counts(dataset.counts),
        provenance=provenance(report) if report else None,
        tables=[table(one) for one in report_tables(report)] if report else [],
    )
    return f"{card}\n"


def _eval_results(report: Report, dataset: DatasetInfo) -> Iterator[EvalResult]:
    for key, method in report.methods.items():
        found = [*_estimates(method), *(_copies(report.garments.methods[key]) if report.garments else [])]
        for task, metric, name, estimate in found:
            if estimate.value is not None:
                yield EvalResult(
                    task_type="image-feature-extraction",
                    task_name=task,
                    dataset_type=dataset.repo or dataset.name,
                    dataset_name=dataset.name,
                    dataset_split="test",
                    dataset_revision=dataset.revision,
                    metric_type=metric,
                    metric_name=f"{name}, {method.title}",
                    metric_value=estimate.value,
                    metric_args={"interval_95": [estimate.low, estimate.high]},
                )


def _source(dataset: DatasetInfo) -> str:
    """Where the photos are from, as Markdown."""
    if dataset.repo is None:
        return f"the data `{dataset.name}`"
    link = f"[{dataset.repo}](https://huggingface.co/datasets/{dataset.repo})"
    return f"{link} at `{dataset.revision}`" if dataset.revision else link


def _estimates(method: MethodReport) -> Iterator[tuple[str, str, str, Estimate]]:
    """What is evaluated, the metric as the Hub names it and as people read it, and the figure."""
    for column, pairs in method.pairs.items():
        name, title = ("pooled", "pooled") if column == BLIND else (column, TASKS[column].title.lower())
        task = f"Pairs of photos, {title}"
        yield task, "pearsonr", f"Pearson ({name})", pairs.pearson
        yield task, "spearmanr", f"Spearman ({name})", pairs.spearman
        yield task, "roc_auc", f"ROC-AUC ({name})", pairs.roc_auc
    for name, found in method.retrieval.items():
        task = f"Retrieval, {TASKS[name].title.lower()}"
        yield task, "precision_at_1", f"precision@1 ({name})", found.precision_at_1
        yield task, "precision_at_10", f"precision@10 ({name})", found.precision_at_10
        yield task, "map", f"map ({name})", found.map


def _counts(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Photos by color, in rows, and type."""
    types = sorted({type_ for row in counts.values() for type_ in row})
    rows = [[color or "unknown", *(f"{row.get(type_, 0):,}" for type_ in types)] for color, row in counts.items()]
    return markdown_table(["", *(type_ or "unknown" for type_ in types)], rows)


def _copies(by_edit: Mapping[str, CopyEstimates]) -> Iterator[tuple[str, str, str, Estimate]]:
    """The same of edited copies, over all edits."""
    task, found = "Retrieval, the photo that an edited copy was made of", by_edit["mean"]
    yield task, "recall_at_1", "R@1 (same garment)", found.recall_at_1
    yield task, "recall_at_10", "R@10 (same garment)", found.recall_at_10
    yield task, "mrr", "MRR (same garment)", found.mrr

"""The model card: every figure in it comes from the bundle."""

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from cbir.features.backbone import WeightsInfo
from cbir.report_tables import report_tables
from tests.conftest import ToyBackbone
from train.evaluation.markdown import cell, provenance, table
from train.hub.model_card import model_card
from train.hub.upload import MARK

REPO = "user/bundle"


@pytest.fixture(scope="module")
def card(toy_bundle):
    return model_card(toy_bundle, REPO)


def test_its_metadata_hold_every_figure_with_its_interval(card, toy_bundle):
    results = {r.metric_name: r for r in ModelCard(card).data.eval_results}
    report = toy_bundle.report
    assert len(results) == len(report.methods) * (3 * 3 + 3 * 3 + 3)  # pairs, rankings, copies
    for name, estimate in (
        ("map (type), Cosine", report.methods["cosine"].retrieval["type"].map),
        ("precision@10 (both), Cosine", report.methods["cosine"].retrieval["both"].precision_at_10),
        ("R@1 (same garment), Cosine", report.garments.methods["cosine"]["mean"].recall_at_1),
        ("Pearson (pooled), Cosine", report.methods["cosine"].pairs["any"].pearson),
    ):
        assert results[name].metric_value == estimate.value
        assert results[name].metric_args["interval_95"] == [estimate.low, estimate.high]
    assert {r.dataset_split for r in results.values()} == {"test"}
    assert results["Pearson (pooled), Cosine"].task_name == "Pairs of photos, pooled"


def test_figures_that_cannot_be_measured_are_left_out(toy_bundle):
    report = toy_bundle.report
    cosine = report.methods["cosine"]
    unknown = replace(cosine.pairs["type"], pearson=replace(cosine.pairs["type"].pearson, value=None))
    methods = {**report.methods, "cosine": replace(cosine, pairs={**cosine.pairs, "type": unknown})}
    results = ModelCard(
        model_card(replace(toy_bundle, report=replace(report, methods=methods)), REPO)
    ).data.eval_results
    names = {result.metric_name for result in results}
    assert "Pearson (type), Cosine" not in names
    assert "Pearson (color), Cosine" in names


def test_its_text_holds_all_tables(card, toy_bundle):
    text = ModelCard(card).text
    for one in report_tables(toy_bundle.report):
        assert table(one) in text
    assert provenance(toy_bundle.report) in text
    assert cell(toy_bundle.report.methods["cosine"].pairs["type"].pearson) in text


def test_its_text_says_what_the_bundle_is(card, toy_bundle):
    text = ModelCard(card).text
    assert text.lstrip().startswith(f"{MARK}\n\n# Toy photos\n")
    assert "A searchable gallery of 108 pictures" in text
    assert "**The pictures are drawings, not photos.**" in text
    assert f'load_bundle("{REPO}@COMMIT")' in text
    assert f"`{ToyBackbone.name}`, {ToyBackbone.dim} numbers per photo" in text
    assert "color_network.onnx" not in text
    assert text.endswith("mistakes included.\n")
    assert "\n\n\n" not in text


def test_photos_are_counted_by_color_and_type(toy_bundle):
    dataset = replace(toy_bundle.manifest.dataset, counts={"red": {"shirt": 1200, "": 3}, "": {"shirt": 1}})
    text = model_card(replace(toy_bundle, manifest=replace(toy_bundle.manifest, dataset=dataset)), REPO)
    rows = [[part.strip() for part in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert ["", "unknown", "shirt"] in rows
    assert ["red", "3", "1,200"] in rows
    assert ["unknown", "0", "1"] in rows


def test_it_states_no_licence_that_nobody_stated(card, toy_bundle):
    assert ModelCard(card).data.license == "unknown"
    assert "The licence of the photos was not stated" in card
    assert "base_model" not in ModelCard(card).data.to_dict()
    assert "licence not stated" in card
    backbone = replace(
        toy_bundle.manifest.backbone, weights=WeightsInfo("hub timm/vgg", "BSD-3-Clause", "timm/vgg", "c0ffee")
    )
    manifest = replace(toy_bundle.manifest, backbone=backbone)
    named = model_card(replace(toy_bundle, manifest=manifest), REPO)
    assert ModelCard(named).data.base_model == "timm/vgg"
    assert "hub timm/vgg at `c0ffee`, licence BSD-3-Clause" in named


def test_a_bundle_without_report_has_a_card_too(toy_bundle):
    card = ModelCard(model_card(replace(toy_bundle, report=None), REPO))
    assert "This bundle was not evaluated." in card.text
    assert not card.data.eval_results
    assert "\n\n\n" not in card.text


def test_the_same_bundle_gives_the_same_card(card, toy_bundle):
    assert model_card(toy_bundle, REPO) == card

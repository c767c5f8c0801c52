"""The parts of the page that are plain HTML."""

import dataclasses
import re

from cbir.features.backbone import WeightsInfo
from cbir.ui import views
from cbir.ui.texts import Words


def about(bundle, language="en"):
    """The line, and what unfolds below it, as text."""
    html = views.about(bundle, Words(language))
    line, rest = re.search(r"<summary>(.*?)</summary>(.*)", html, re.DOTALL).groups()
    return line, re.sub(r"<[^>]*>|\s+", " ", rest)


def test_who_made_a_bundle_its_source_licence_and_how_long_uploads_stay_are_one_line(toy_bundle):
    line, _ = about(toy_bundle)
    assert (
        line
        == "By the authors of Apparel CBIR · Pictures: toy · licence not stated · uploads are deleted after 3 hours"
    )


def test_where_everything_is_from_unfolds_with_full_ids(toy_bundle):
    weights = WeightsInfo("hub timm/vgg16.tv_in1k", "BSD-3-Clause", "timm/vgg16.tv_in1k", "f00d")
    made = dataclasses.replace(
        toy_bundle.manifest,
        backbone=dataclasses.replace(toy_bundle.manifest.backbone, weights=weights),
        dataset=dataclasses.replace(
            toy_bundle.manifest.dataset, repo="ana/photos", revision="beef", licence="cc-by-4.0", is_drawn=False
        ),
    )
    bundle = dataclasses.replace(toy_bundle, manifest=made, repo="ana/clothes", loaded_revision="c0ffee")
    line, rest = about(bundle)
    assert line == "By ana · Pictures: ana/photos · licence cc-by-4.0 · uploads are deleted after 3 hours"
    for part in ("ana/photos , beef", "ana/clothes , c0ffee", f"made by Apparel CBIR {made.version}", "Backbone: toy"):
        assert part in rest
    assert "weights: hub timm/vgg16.tv_in1k, f00d, licence BSD-3-Clause" in rest
    assert "https://huggingface.co/datasets/ana/photos/tree/beef" in views.about(bundle, Words())
    assert about(bundle, "pt")[0].endswith("envios são apagados após 3 horas")


def test_what_a_manifest_says_is_escaped(toy_bundle):
    dataset = dataclasses.replace(toy_bundle.manifest.dataset, name="<b>", repo="'><i>/x", licence="<u>")
    made = dataclasses.replace(toy_bundle.manifest, dataset=dataset)
    html = views.about(dataclasses.replace(toy_bundle, manifest=made), Words())
    assert not re.search(r"<[biu]>", html)

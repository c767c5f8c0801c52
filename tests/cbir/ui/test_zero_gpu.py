"""Embedding on ZeroGPU, with a stand-in of its package; the real one is checked by hand (`docs/release.md`)."""

import sys
import types

import gradio as gr
import numpy as np
import pytest
from gradio.context import LocalContext

from cbir.errors import BackboneError
from cbir.search import Retriever
from cbir.ui import zero_gpu
from cbir.ui.zero_gpu import device_of, with_lent_gpu
from tests.conftest import ToyBackbone, toy_photo


class OnGpu(ToyBackbone):
    def __init__(self, device):
        super().__init__()
        self.device = device


class Backbone(ToyBackbone):
    def on(self, device):
        self.there = OnGpu(device)
        return self.there


@pytest.fixture
def spaces(monkeypatch):
    """The package `spaces`, which counts calls, and answers without quota where `is_out` is set."""

    class Lent(types.ModuleType):
        calls, durations, is_out = 0, [], False

        def GPU(self, duration):  # noqa: N802 - its name there
            self.durations.append(duration)

            def decorated(function):
                def called(*arguments):
                    if self.is_out:
                        raise gr.Error("You have exceeded your free ZeroGPU quota (5s requested vs. 0s left).")
                    self.calls += 1
                    return function(*arguments)

                return called

            return decorated

    module = Lent("spaces")
    module.durations = []
    monkeypatch.setitem(sys.modules, "spaces", module)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    return module


def test_elsewhere_it_has_no_effect(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)  # not installed
    backbone = Backbone()
    assert with_lent_gpu(backbone) is backbone
    assert device_of(backbone) == "cpu"


def test_photos_are_embedded_on_the_gpu_and_nothing_else(spaces, toy_bundle):
    backbone = Backbone()
    retriever = Retriever(toy_bundle, with_lent_gpu(backbone))
    retriever.warm_up()
    assert (spaces.durations, spaces.calls) == ([5], 0)
    assert backbone.there.device == "cuda"
    retriever.search_by_id("red_shirt/3.png")
    assert spaces.calls == 0  # no quota is spent
    found = retriever.search(toy_photo("red", "shirt", 99))
    assert (spaces.calls, backbone.there.n_embedded, backbone.n_embedded) == (1, 1, 0)
    plain = Retriever(toy_bundle, ToyBackbone()).search(toy_photo("red", "shirt", 99))
    assert [match.id for match in found.matches] == [match.id for match in plain.matches]
    assert device_of(backbone) == "cpu, or a GPU lent by ZeroGPU"


def test_a_visitor_without_quota_is_told_once_and_served_by_the_cpu(spaces, monkeypatch, caplog):
    told = []
    monkeypatch.setattr(gr, "Warning", lambda line, title: told.append(line))
    backbone = Backbone()
    lent = with_lent_gpu(backbone)
    spaces.is_out = True
    event = LocalContext.event_id.set("1")
    try:
        images = [toy_photo("red", "shirt", 99)]
        np.testing.assert_array_equal(lent.embed(images), backbone.embed(images))
        lent.embed(images)
    finally:
        LocalContext.event_id.reset(event)
    assert told == [
        "No GPU time is left for you right now: the photo is read without one, which takes a little longer."
    ]
    assert "5s requested vs. 0s left" in caplog.text
    assert backbone.there.n_embedded == 0


def test_without_its_package_the_space_says_what_is_missing(monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", None)
    with pytest.raises(BackboneError, match="needs the package `spaces`"):
        zero_gpu.set_up()

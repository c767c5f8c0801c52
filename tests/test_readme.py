"""The README does what it says: its card is valid and its examples run."""

import re
import warnings

import pytest

from tests.cbir.ui.test_api import ENDPOINTS
from tests.conftest import ROOT, toy_photo

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from huggingface_hub import SpaceCard

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
CLIENT_EXAMPLES = [example for example in EXAMPLES if "gradio_client" in example]


def test_the_front_matter_names_what_is_used():
    card = SpaceCard(README).data  # its form: tests/test_deploy.py
    assert card.license == "mit"
    assert (ROOT / "LICENSE").read_text().startswith("MIT")
    assert card.models == ["timm/vgg16.tv_in1k"]
    assert card.preload_from_hub[0].startswith("timm/vgg16.tv_in1k model.safetensors")
    assert card.tags


def test_every_endpoint_has_an_example():
    shown = {name for example in CLIENT_EXAMPLES for name in re.findall(r'api_name="(/\w+)"', example)}
    assert shown == set(ENDPOINTS)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("example", CLIENT_EXAMPLES, ids=lambda e: re.findall(r'api_name="(/\w+)"', e)[-1])
def test_client_examples_run(example, url, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    toy_photo("red", "shirt", 99).save("photo.jpg")
    assert "http://127.0.0.1:7860" in example
    exec(example.replace("http://127.0.0.1:7860", url), {})  # noqa: S102 - our own README
    assert capsys.readouterr().out.strip()


def test_the_layout_lists_what_is_there():
    listed = re.findall(r"^(\S+?)/?\s{2,}", re.search(r"## Layout\n\n```\n(.*?)```", README, re.DOTALL).group(1), re.M)
    assert all((ROOT / name).exists() for name in listed)

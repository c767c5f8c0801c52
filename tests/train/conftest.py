"""The stand-in of the Hub, for `datasets` as well, and bundles and photos to publish."""

from pathlib import Path

import datasets
import pytest

from cbir.bundle import Bundle, save_bundle
from tests.conftest import write_toy_photos
from tests.hub_server import HubServer


@pytest.fixture
def hub(hub_server: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HubServer:
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub_server.url)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    return hub_server


@pytest.fixture(scope="session")
def saved(toy_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy bundle's folder."""
    return save_bundle(toy_bundle, tmp_path_factory.mktemp("bundles") / "toy")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 72 toy photos."""
    return write_toy_photos(tmp_path_factory.mktemp("photos") / "toy")

"""Photos that change while the app serves them: searches go on, and what is gone is gone."""

import threading
import warnings
from pathlib import Path

import pytest

from cbir.errors import UnknownNameError
from cbir.own_photos import OwnPhotos
from cbir.search import Retriever
from cbir.ui.routes import routes
from cbir.ui.serving import Serving
from tests.cbir.ui.test_handlers import asked, page_call
from tests.cbir.ui.test_tools import answer
from tests.conftest import ToyBackbone, launched, png, toy_photo, write_toy_photos

with warnings.catch_warnings():  # third-party imports warn about themselves
    warnings.simplefilter("ignore")
    import gradio as gr
    import httpx
    from gradio_client import Client
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    import app

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
GONE, CHANGED, KEPT = "red_shirt/0.png", "red_shirt/1.png", "red_shirt/2.png"


class Slow(ToyBackbone):
    """Waits, where it is told to."""

    def __init__(self):
        super().__init__()
        self.started, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def forward(self, batch):
        self.started.set()
        assert self.go_on.wait(60)
        return super().forward(batch)


@pytest.fixture
def folder(tmp_path):
    return write_toy_photos(tmp_path / "wardrobe", per_class=3)


def change(folder):
    (folder / GONE).unlink()
    (folder / CHANGED).write_bytes(png(toy_photo("red", "shirt", 70)))
    (folder / "new.png").write_bytes(png(toy_photo("blue", "shoes", 71)))
    (folder / "broken.jpg").write_bytes(b"no photo")


def serving_of(folder, toy_bundle, backbone):
    photos = OwnPhotos(folder, toy_bundle, backbone)
    return Serving(Retriever(photos.bundle, backbone), photos)


def test_searches_go_on_during_an_update_and_then_find_what_is_new(folder, toy_bundle):
    backbone = Slow()
    serving = serving_of(folder, toy_bundle, backbone)
    search = serving.endpoint("search_by_id")
    change(folder)
    backbone.started.clear()
    backbone.go_on.clear()
    answers = []
    updating = threading.Thread(target=lambda: answers.append(serving.update()))
    updating.start()
    assert backbone.started.wait(60)
    before = {match["id"]: match["thumbnail"] for match in search(KEPT, k=100)["matches"]}
    assert len(before) == 26
    client = TestClient(Starlette(routes=routes(serving)))
    assert {client.get(f"/{before[id]}").status_code for id in (GONE, CHANGED)} == {200}
    backbone.go_on.set()
    updating.join(60)
    unreadable = answers[0].pop("unreadable")
    assert list(unreadable) == ["broken.jpg"]
    assert answers == [{"added": 1, "changed": 1, "removed": 1, "photos": 27}]
    after = {match["id"]: match["thumbnail"] for match in search(KEPT, k=100)["matches"]}
    assert set(after) == set(before) - {GONE} | {"new.png"}
    assert {id for id in before if after.get(id, before[id]) != before[id]} == {CHANGED}
    assert {client.get(f"/{address}").status_code for address in after.values()} == {200}
    assert {id for id in before if client.get(f"/{before[id]}").status_code == 404} == {GONE, CHANGED}
    files = {path.name for path in serving.thumbnails.folder.iterdir()}
    assert files == {Path(address).name for address in after.values()}  # and nothing written aside stays


def test_an_update_that_fails_leaves_what_is_served(folder, toy_bundle):
    serving = serving_of(folder, toy_bundle, ToyBackbone())
    before = serving.retriever
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(gr.Error, match="nothing at"):
        serving.rescan()
    assert serving.retriever is before


def test_old_pictures_of_an_open_page_are_told_apart(folder, toy_bundle):
    serving = serving_of(folder, toy_bundle, ToyBackbone())
    gone, changed = (serving.thumbnails.path(id) for id in (GONE, CHANGED))
    before = serving.thumbnails
    change(folder)
    serving.update()
    assert serving.thumbnails.id_at(changed) == CHANGED
    assert serving.thumbnails.id_at(gone) == GONE
    with pytest.raises(UnknownNameError):
        serving.retriever.index.gallery.row(GONE)
    assert before.path(GONE) == gone  # for whoever was answering meanwhile
    assert not Path(gone).exists()


def test_the_endpoint_and_the_button_read_the_folder_again(folder, toy_bundle):
    photos = OwnPhotos(folder, toy_bundle, ToyBackbone())
    with launched(Retriever(photos.bundle, photos.backbone), photos) as page:
        url = page.local_url
        client = Client(url, verbose=False)
        shown = client.predict(KEPT, k=100, api_name="/search_by_id")["matches"]
        picture = next(match["thumbnail"] for match in shown if match["id"] == GONE)
        assert httpx.get(url + picture).status_code == 200
        change(folder)
        found = client.predict(api_name="/rescan")
        assert (found["added"], found["changed"], found["removed"], found["photos"]) == (1, 1, 1, 27)
        assert httpx.get(url + picture).status_code == 404
        assert client.predict("new.png", api_name="/search_by_id")["query_id"] == "new.png"
        assert httpx.get(f"{url}version").json()["photos"] == 27
        again = answer(url, "rescan")  # as a tool for agents
        assert (again["added"], again["photos"], list(again["unreadable"])) == (0, 27, ["broken.jpg"])
        (folder / "newer.png").write_bytes(png(toy_photo("white", "pants", 72)))
        (restored,) = page_call(url, "rescan_page", [])
        assert restored.isdigit()
        # A page that loads now is told what it was not built with.
        assert "28" in page_call(url, "welcome", [])[2]
        assert page_call(url, "restore", [""])[-1].isdigit()
        results, line, *_ = page_call(url, "refresh", asked(method=toy_bundle.default_method))
        assert "28" in line
        assert Path(picture).name not in results
        client.close()


def test_it_is_off_by_default(url, capsys):
    config = httpx.get(url + "config").json()
    assert not [d for d in config["dependencies"] if "rescan" in str(d["api_name"])]
    assert not [c for c in config["components"] if c["props"].get("elem_id") == "rescan"]
    assert not app.parse_args(["--photos", "DIR"]).rescan
    with pytest.raises(SystemExit):
        app.parse_args(["--rescan"])
    assert "--rescan needs --photos" in capsys.readouterr().err

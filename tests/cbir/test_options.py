"""An option is one field of `SearchOptions` and its texts: a test adds some, and looks everywhere for them."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from cbir.errors import CbirError, UnknownNameError
from cbir.options import OPTIONS, SearchOptions
from tests.conftest import ROOT

ADDED = """
    newest: bool = _option(False, "the newest first")
    spread: float = _option(0.0, "how far apart results should be", slider=(0, 1, 0.1))
    season: str = _option("any", "the season to wear it in", choices=("any", "summer", "winter"))
    sizes: tuple[str, ...] = _option((), "only pictures of these sizes", label="type")
"""
TEXTS = {
    **{"newest": "Newest first", "spread": "Spread", "season": "Season", "sizes": "Sizes"},
    **{f"season_{name}": name.title() for name in ("any", "summer", "winter")},
}
LOOK = """
import inspect, json, sys
import gradio as gr
from cbir.__main__ import _parser
from cbir.bundle import load_bundle
from cbir.export import result_json
from cbir.options import SearchOptions
from cbir.search import Retriever
from cbir.ui.address import SearchState
from cbir.ui.layout import build_demo

retriever = Retriever(load_bundle(sys.argv[1]))
given = ["--newest", "--spread", "0.5", "--season", "winter", "--sizes", "dress", "--sizes", "shirt"]
options = SearchOptions.of(vars(_parser().parse_args(["search", "--id", "x", *given])))
start = SearchState()
address = start.with_values(newest=True, spread=0.5, season="winter", sizes=["dress"]).query_string(start)
demo = build_demo(retriever)
parameters = demo.get_api_info()["named_endpoints"]["/search"]["parameters"]
docstring = next(fn.fn.__doc__ for fn in demo.fns.values() if fn.api_name == "search")
result = retriever.search_by_id(str(retriever.index.gallery.ids[0]), options)
config = demo.get_config_file()
refreshed = next(d["inputs"] for d in config["dependencies"] if d["api_name"] == "refresh")
print(json.dumps({
    "options": {name: getattr(options, name) for name in ("newest", "spread", "season", "sizes")},
    "json": result_json(result, retriever.bundle)["options"],
    "parameters": [[p["parameter_name"], p["type"], p["parameter_default"]] for p in parameters],
    "docstring": docstring,
    "address": address,
    "restored": dict(SearchState.from_query_string(address, start).values),
    "controls": {
        c["props"]["elem_id"]: [c["type"], c["props"].get("choices")]
        for c in config["components"] if c["id"] in refreshed
    },
}))
"""


def test_an_option_that_is_added_reaches_command_line_endpoints_address_and_page(tmp_path):
    shutil.copytree(ROOT / "cbir", tmp_path / "cbir", ignore=shutil.ignore_patterns("__pycache__"))
    options = tmp_path / "cbir" / "options.py"
    code = options.read_text()
    last = code.index("\n\n    def __post_init__")
    options.write_text(code[:last] + ADDED.rstrip() + code[last:])
    for locale in (tmp_path / "cbir" / "ui" / "locales").glob("*.json"):
        locale.write_text(json.dumps(json.loads(locale.read_text()) | TEXTS))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "GRADIO_ANALYTICS_ENABLED": "False"}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(ROOT / "samples" / "bundle")],
        **{"cwd": tmp_path, "env": environment, "capture_output": True, "text": True},
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])

    expected = {"newest": True, "spread": 0.5, "season": "winter", "sizes": ["dress", "shirt"]}
    assert seen["options"] == expected
    assert seen["json"].items() >= expected.items()
    added = [parameter for parameter in seen["parameters"] if parameter[0] in TEXTS]
    assert [(name, default) for name, _, default in added] == [
        *[("newest", False), ("spread", 0.0), ("season", "any"), ("sizes", None)]
    ]
    kinds = [{"type": "boolean"}, {"type": "number"}, {"enum": ["any", "summer", "winter"]}]
    assert [type for _, type, _ in added[:3]] == kinds
    assert seen["parameters"][-1][0] == "crop"
    assert "    newest: the newest first.\n" in seen["docstring"]
    assert "    season: the season to wear it in: any, summer, winter.\n" in seen["docstring"]
    assert seen["address"] == "spread=0.5&season=winter&sizes=dress&also=newest"
    assert seen["restored"].items() >= {"newest": True, "spread": 0.5, "season": "winter", "sizes": ["dress"]}.items()
    assert seen["controls"]["spread"][0] == "slider"
    assert seen["controls"]["season"] == ["radio", [["Any", "any"], ["Summer", "summer"], ["Winter", "winter"]]]
    assert ["dress (96)", "dress"] in seen["controls"]["sizes"][1]
    assert seen["controls"]["newest"][0] == "checkbox"


def test_options_and_their_parameters_say_the_same():
    options = SearchOptions("cosine", "type", 3, ("shirt",), ("red",), least_similar=True)
    parameters = options.parameters()
    assert list(parameters) == [option.parameter for option in OPTIONS]
    assert (parameters["match"], parameters["types"]) == ("type", ["shirt"])
    assert SearchOptions.of(parameters) == options
    assert SearchOptions.of({}) == SearchOptions.of(dict.fromkeys(parameters)) == SearchOptions()


@pytest.mark.parametrize("k", [0, -3, 2.5, "7", None, True])
def test_a_wrong_k_is_refused(k):
    with pytest.raises(CbirError, match="number of results of at least 1"):
        SearchOptions(k=k)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": 1.5}, "from 0 to 1, got 1.5"),
        ({"weight": True}, "from 0 to 1, got True"),
        ({"weight": "x"}, "from 0 to 1, got 'x'"),
        ({"weight": 0.5, "task": "type"}, "a weight needs two labels"),
        ({"weight": 0.5, "other_colors": True}, "a weight needs two labels"),
        ({"other_colors": True, "task": "color"}, "other colors cannot be asked for"),
        ({"least_similar": "yes"}, "true or false for least_similar, got 'yes'"),
        ({"types": "shirt"}, "types as a list of names, got 'shirt'"),
        ({"colors": [1]}, "colors as a list of names"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(CbirError, match=message):
        SearchOptions(**options)


def test_unknown_choices_are_refused_by_name():
    with pytest.raises(UnknownNameError, match="unknown task 'size': expected one of type, color, both"):
        SearchOptions(task="size")

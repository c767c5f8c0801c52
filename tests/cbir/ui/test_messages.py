"""What the library says to people is said in every language: the templates are read from the source."""

import ast
from string import Formatter

import pytest

import cbir.errors
from cbir.errors import CbirError, ImageError, Message, UnknownNameError
from cbir.labels import LABELS
from cbir.options import OPTIONS, SearchOptions
from cbir.ui.texts import LANGUAGES, Words
from tests.conftest import ROOT

ERRORS = {name for name, thing in vars(cbir.errors).items() if isinstance(thing, type) and issubclass(thing, CbirError)}
TEMPLATED = (ERRORS - {"UnknownNameError"}) | {"Message", "TooMuchError"}
# Modules whose errors reach visitors of the page -> what they raise that does.
MODULES = dict.fromkeys(
    (
        "errors",
        "columns",
        "options",
        "search",
        "ranking",
        "index",
        "milvus",
        "gallery",
        "explain",
        "compare",
        "export",
        "images",
        "headers",
        "words",
    ),
    TEMPLATED,
)
MODULES |= {"hub": {"HubUnreachableError", "Message"}, "bundle": {"Message"}, "photos": {"Message"}}
MODULES |= {f"ui/{path.stem}": TEMPLATED for path in (ROOT / "cbir" / "ui").glob("*.py") if path.stem != "charts"}
TRANSLATIONS = sorted(set(LANGUAGES) - {"en"})


def fields(template):
    return {field for _, field, _, _ in Formatter().parse(template) if field is not None}


def given(call):
    """The names of the values of a call: `name=...` and `**{"name": ...}`."""
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg
        else:
            yield from (key.value for key in keyword.value.keys)


def calls():
    """Where a message is made -> (file and line, template, names of its values)."""
    for module, names in MODULES.items():
        for node in ast.walk(ast.parse((ROOT / "cbir" / f"{module}.py").read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            is_made = isinstance(node.func, ast.Name) and node.func.id in names
            is_unknown_name = module == "errors" and ast.unparse(node.func) == "super().__init__" and node.keywords
            is_template = node.args and ast.unparse(node.args[0]) not in ("template", "str(self.message)")
            if (is_made or is_unknown_name) and is_template:
                yield f"{module}.py:{node.lineno}", node.args[0], set(given(node))


CALLS = list(calls())


def test_every_message_is_a_template_with_exactly_its_values():
    assert len(CALLS) > 50
    for place, template, values in CALLS:
        assert isinstance(template, ast.Constant), f"{place}: expected a template and its values, not an f-string"
        assert fields(template.value) == values, place


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_every_message_is_translated_with_the_same_values_and_no_translation_is_left_over(language):
    translated = {key.removeprefix("message."): text for key, text in LANGUAGES[language].items() if "message." in key}
    assert set(translated) == {template.value for _, template, _ in CALLS}
    for template, text in translated.items():
        assert fields(text) == fields(template), template


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_every_kind_of_name_is_translated(language):
    kinds = {*LABELS, "id", "method"} | {name for o in OPTIONS if o.choices for name in (o.name, o.parameter)}
    assert {key.removeprefix("word.") for key in LANGUAGES[language] if key.startswith("word.")} == kinds


def test_an_error_is_english_for_scripts_and_portuguese_on_the_page():
    error = UnknownNameError("method", "magic", ["cosine", "inverse_euclidean"])
    assert str(error) == "unknown method 'magic': expected one of cosine, inverse_euclidean"
    assert Words("en").message(error.message) == str(error)
    said = Words("pt").message(error.message)
    assert said == "não existe método 'magic': use um destes valores: cosine, inverse_euclidean"


def test_words_within_a_message_are_translated_too(retriever):
    with pytest.raises(CbirError) as error:
        retriever.check(SearchOptions("cosine", weight=0.9))
    assert str(error.value).startswith("Cosine does not tell type from color")
    assert Words("pt").message(error.value.message).startswith("Cosseno não distingue")
    template = "expected a photo that opens fast, but {name} {reason}: save it smaller, or as a plain JPEG"
    slow = ImageError(template, name="a.avif", reason=Message("has too many parts"))
    assert "mas a.avif tem partes demais: salve-a" in Words("pt").message(slow.message)


def test_a_message_that_nobody_translated_stays_english():
    assert Words("pt").message(Message("so {much}", much=1)) == "so 1"
    assert Words("pt").message("as it is {}") == "as it is {}"


def test_what_a_visitor_typed_is_never_taken_for_a_template():
    error = CbirError("expected {name} as a list of names, got {value!r}", name="types", value="{0.__class__}{name}")
    assert Words("pt").message(error.message) == "types deve ser uma lista de nomes, não '{0.__class__}{name}'"
    assert str(CbirError("{literal}")) == "{literal}"

"""Calls with wrong values: for each parameter of each endpoint and each control of each event of the page."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LONG = "x" * 100_000
# JSON texts, since some of them are none.
VALUES = [
    *("null", "true", "false", "0", "-0", "-1", "1", "2", "0.5", "-1.5", "1e308", "-1e308", "1e400", "NaN", "Infinity"),
    *("9007199254740993", "18446744073709551616", "1" + "0" * 400, "[]", "{}", "[[]]", "[null]", "[0]", "[1,2,3,4]"),
    *('""', '" "', '"0"', '"x"', r'"\u0000"', r'"a\nb\r\n"', r'"\u2028\u202e"', r'"\ud800"', r'"\ud83d\ude00"'),
    *('"../../etc/passwd"', '"/etc/passwd"', '"file:///etc/passwd"', '"http://127.0.0.1:9/"', '"http://[::1]/"'),
    *('"http://example.invalid/a.png"', '"data:image/png;base64,AAAA"', '"data:,"', '"<script>alert(1)</script>"'),
    *('"{0.__class__}"', '"%s%n"', '"\' OR 1=1 --"', '"=cmd()"', json.dumps(LONG), json.dumps([LONG]), '["shirt"]'),
    *('["red"]', '["x","x"]', "[0,0,1,1]", "[1,1,0,0]", '["0","0","1","1"]', "[0,0,0.5]", '{"a":1}', '[{"a":[1]}]'),
    *('{"path":null}', '{"path":1}', '{"path":"/etc/passwd"}', '{"path":"x","meta":{"_type":"gradio.FileData"}}'),
    *('{"path":"http://127.0.0.1:9/","meta":{"_type":"gradio.FileData"}}', '{"url":"http://127.0.0.1:9/"}'),
    *('{"path":["/etc/passwd"]}', '{"path":{"path":"/"}}', r'{"path":"\u0000"}', json.dumps({"path": LONG})),
    *('{"__type__":"update","value":1}', "[" * 200 + "]" * 200, "[" * 2000 + "]" * 2000, json.dumps(["x"] * 5000)),
    *(json.dumps({"path": "/etc/passwd", "orig_name": "a\nb"}), '{"value":{"image":{"path":"/etc/passwd"}}}'),
]
BODIES = [
    *(
        "",
        "null",
        "[]",
        "0",
        '"x"',
        "{",
        "{}",
        '{"data"}',
        '{"data":null}',
        '{"data":{}}',
        '{"data":"x"}',
        '{"data":[],}',
    ),
    *('{"data":[]}', '{"data":[],"fn_index":-1}', '{"data":[],"fn_index":1e9}', '{"data":[],"fn_index":"0"}'),
    *('{"data":[],"fn_index":null,"session_hash":"x"}', '{"data":[],"fn_index":0,"session_hash":1}'),
    *('{"data":[],"fn_index":0,"session_hash":null}', '{"data":[],"fn_index":0,"session_hash":"x","trigger_id":"x"}'),
    '{"data":[],"fn_index":0,"session_hash":"x","event_data":1,"trigger_id":999999}',
    *(json.dumps({"data": [0] * 10_000}), "[" * 100_000, '{"data":[' + "1," * 50_000 + "1]}", "\xff\xfe", "\x00"),
]
EVENTS: list[Any] = [None, 0, "x", [], {}, {"index": "x"}, {"index": 0, "value": None}]
EVENTS += [{"value": {"image": {"path": "/etc/passwd"}}}]


@dataclass(frozen=True)
class WrongCall:
    """A call with a wrong value: where it goes, with what, and what is wrong."""

    path: str
    body: bytes
    what: str


def endpoint_calls(info: dict[str, Any], item_id: str) -> Iterator[WrongCall]:
    """For each endpoint, as /gradio_api/info tells them, each parameter with each value."""
    for name, endpoint in info["named_endpoints"].items():
        parameters = endpoint["parameters"]
        fitting = {p["parameter_name"]: json.dumps(p.get("parameter_default")) for p in parameters}
        fitting |= {name: json.dumps(item_id) for name in ("id", "query_id") if name in fitting}
        for parameter in fitting:
            for value in VALUES:
                values = {**fitting, parameter: value}
                body = "{" + ",".join(f"{json.dumps(one)}:{text}" for one, text in values.items()) + "}"
                yield WrongCall(f"call/v2{name}", body.encode("utf-8", "surrogatepass"), f"{name} {parameter}")
        for body in BODIES:
            yield WrongCall(f"call{name}", body.encode("latin-1"), f"{name} body")


def page_calls(config: dict[str, Any], start: dict[int, Any]) -> Iterator[tuple[int, list[str], Any, str]]:
    """For each event of the page, as /config tells them, each control with some values, and odd events.

    Gives the number of the function, the JSON texts of the values, the event, and what is wrong.
    """
    for function in config["dependencies"]:
        if not function["backend_fn"] or function["api_visibility"] == "public":
            continue
        fitting = [json.dumps(start.get(id)) for id in function["inputs"]]
        for place in range(len(fitting)):
            for value in VALUES[::3]:
                values = [*fitting[:place], value, *fitting[place + 1 :]]
                yield function["id"], values, None, f"page {function['api_name']}"
        for event in EVENTS:
            yield function["id"], fitting, event, f"page {function['api_name']} event"
        for values in ([], fitting[:-1], [*fitting, "0"]):
            yield function["id"], values, None, f"page {function['api_name']} number of values"

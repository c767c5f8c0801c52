"""Calls with wrong values, for each parameter of each endpoint and each control of each event; odd requests."""

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
_CLICKED: list[Any] = [
    None,
    0,
    -1,
    1.5,
    True,
    [],
    ["x"],
    {},
    {"id": "x"},
    "",
    "x",
    "0",
    ":",
    "0:",
    ":1",
    "-1:5",
    "1:1e9",
]
_CLICKED += ["9" * 400 + ":1", "1:" + "9" * 7, "1:2:3", "\u0661:\u0661", "\0", "a\nb", "../../etc/passwd", LONG]
EVENTS += [{name: value} for name in ("pick", "browse", "example") for value in _CLICKED]

PATHS = [
    *("/", "/health", "/version", "/icon.svg", "/picture.jpg", "/config", "/manifest.json", "/robots.txt", "/nothing"),
    *("/thumbnails", "/thumbnails/", "/thumbnails/x.jpg", "/thumbnails/../../../etc/passwd", "/thumbnails/%2e%2e%2fx"),
    *("/thumbnails/%00", "/thumbnails/" + "x" * 5000, "/thumbnails//etc/passwd", "/thumbnails/%ff%fe", "/assets/x.js"),
    *("/static/../x", "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/app_id", "/gradio_api/user"),
    *(
        "/gradio_api/upload",
        "/gradio_api/upload_progress?upload_id[]=x",
        "/gradio_api/cancel",
        "/gradio_api/queue/join",
    ),
    *("/gradio_api/queue/data?session_hash=x", "/gradio_api/queue/data", "/gradio_api/queue/status"),
    *("/gradio_api/call/search", "/gradio_api/call/search/x", "/gradio_api/call/v2/search/x", "/gradio_api/call/%00"),
    *("/gradio_api/file=/etc/passwd", "/gradio_api/file=", "/gradio_api/file=%00", "/gradio_api/file=http://[::1]/"),
    *(
        "/gradio_api/mcp",
        "/gradio_api/mcp/",
        "/gradio_api/mcp/sse",
        "/gradio_api/mcp/schema",
        "/%0a%00%7f",
        "/x%0a",
        "/gradio_api/proxy=x",
    ),
    *(
        "/gradio_api/startup-events",
        "/gradio_api/theme.css",
        "/gradio_api/deep_link",
        "/gradio_api/",
        "/gradio_api/vibe",
    ),
    *(
        "/login",
        "/logout",
        "/monitoring",
        "/docs",
        "/redoc",
        "/openapi.json",
        "//",
        "/%",
        "/?__theme=%ff",
        "/?view=api&x",
    ),
    *("/?id[]=1&k=-1&words=%00%ff", "/?" + "a" * 5000, "/?" + "a" * 20_000, "*", "http://example.invalid/", "x"),
]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "X" * 200, "\xff"]
HEADERS = [
    *("Host: ", "Host: [", "Host: a b", "Host: <script>", "Host: x\r\nHost: y", "Host: \xff", "Host: " + "x" * 3000),
    *(
        "X-Forwarded-Host: [",
        "X-Forwarded-Host: ]:x",
        'X-Forwarded-Host: "><b>',
        "X-Forwarded-Proto: javascript",
        "X-Y",
    ),
    *(
        "X-Forwarded-Host: a:99999",
        "X-Forwarded-Host: \xff, y",
        "X-Forwarded-Proto: \xff",
        "X-Gradio-Server: http://[x",
    ),
    *("X-Forwarded-For: x", "X-Forwarded-For: ,,::1%x, 1.2.3.4.5", "X-Forwarded-For: " + "1.2.3.4," * 2000),
    *("Accept-Language: \xff;q=x", "Accept-Language: ;;,,q=1e999", "Accept-Language: " + "pt," * 3000, "Accept: \xff"),
    *("Accept-Encoding: gzip;q=x", "Accept-Encoding: \xff", "Range: bytes=0-1,5-4", "Range: bytes=-", "Range: x=\xff"),
    *(
        "If-None-Match: \xff",
        "If-Modified-Since: yesterday",
        "If-Range: \xff",
        "Cookie: a=b; \xff",
        "Cookie: access-token=x",
    ),
    *("Content-Type: multipart/form-data", "Content-Type: multipart/form-data; boundary=", "Content-Type: \xff/x;;="),
    *(
        "Content-Type: multipart/form-data; boundary=" + "x" * 500,
        "Content-Length: -1",
        "Content-Length: x",
        "Origin: \xff",
    ),
    *("Content-Length: 99999999999999999999", "Transfer-Encoding: chunked", "Origin: null", "Origin: http://[x"),
    *(
        "Upgrade: websocket",
        "Expect: 100-continue",
        "Authorization: Basic \xff",
        "Referer: http://[",
        "Connection: \xff",
    ),
]


@dataclass(frozen=True)
class WrongCall:
    """A call with a wrong value: where it goes, with what, and what is wrong."""

    path: str
    body: bytes
    what: str


def endpoint_calls(info: dict[str, Any], item_id: str, photo: str) -> Iterator[WrongCall]:
    """For each endpoint, as /gradio_api/info tells them, each parameter with each value; the others fit.

    Args:
        info: that.
        item_id: an item of the catalogue.
        photo: path of an upload.
    """
    for name, endpoint in info["named_endpoints"].items():
        parameters = endpoint["parameters"]
        fitting = {p["parameter_name"]: json.dumps(p.get("parameter_default")) for p in parameters}
        fitting |= {name: json.dumps(item_id) for name in ("id", "query_id") if name in fitting}
        if "id" not in fitting:
            file = json.dumps({"path": photo})
            fitting |= {name: text for name, text in (("image", file), ("images", f"[{file}]")) if name in fitting}
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
            for value in VALUES[place % 3 :: 3]:
                values = [*fitting[:place], value, *fitting[place + 1 :]]
                yield function["id"], values, None, f"page {function['api_name']}"
        for event in EVENTS:
            yield function["id"], fitting, event, f"page {function['api_name']} event"
        for values in ([], fitting[:-1], [*fitting, "0"]):
            yield function["id"], values, None, f"page {function['api_name']} number of values"


def agents_calls(info: dict[str, Any], item_id: str, photo: str) -> Iterator[bytes]:
    """What agents send (JSON-RPC): each tool with some wrong values of each parameter, and what is no call."""
    for place, call in enumerate(endpoint_calls(info, item_id, photo)):
        if place % 6 == 0 and call.path.startswith("call/v2/"):
            name = json.dumps(call.path.removeprefix("call/v2/"))
            params = b'{"name":' + name.encode() + b',"arguments":' + call.body + b"}"
            yield b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + params + b"}"
    for value in VALUES[::2]:
        for text in (value, f'{{"name":{value}}}', f'{{"name":"search","arguments":{value}}}'):
            yield f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{text}}}'.encode("utf-8", "surrogatepass")
        yield f'{{"jsonrpc":"2.0","id":{value},"method":"tools/list"}}'.encode("utf-8", "surrogatepass")
        yield f'{{"jsonrpc":"2.0","id":1,"method":{value}}}'.encode("utf-8", "surrogatepass")
    yield from (body.encode("latin-1") for body in BODIES)


def odd_requests() -> Iterator[bytes]:
    """For each route, each method, and GET and POST with each odd header -> all of the request."""
    for path in PATHS:
        for method in METHODS:
            yield _request(method, path)
        for header in HEADERS:
            for method in ("GET", "POST"):
                yield _request(method, path, header)


def _request(method: str, path: str, header: str = "") -> bytes:
    body = "" if method in ("GET", "HEAD") else "{}"
    if header == "Transfer-Encoding: chunked":
        body = "2\r\n{}\r\n0\r\n\r\n"
    lines = [f"{method} {path} HTTP/1.1", *(["Host: 127.0.0.1"] if not header.startswith("Host:") else [])]
    lines += [header] if header else []
    lines += [f"Content-Length: {len(body)}"] if not header.startswith(("Content-Length", "Transfer-")) else []
    return "\r\n".join([*lines, "Connection: close", "", body]).encode("latin-1")

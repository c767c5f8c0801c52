"""What the browser will need of Gradio's scripts, told to it at once.

By itself it would learn this step by step: the page names a script, which asks for others, which ask for those of each
kind of component. On a slow connection every step is a wait.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import gradio
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
_FILES = re.compile(r"m\.f=(\[.*?\])")  # what the numbers below stand for
_NEEDED = r"[,{{]{kind}:\{{(?:(?!import\.meta\.url\)\}}).)*?component:.*?__vite__mapDeps\(\[([\d,]+)\]\)"


def preloads(kinds: Iterable[str], assets: Path = ASSETS) -> str:
    """Links for the head of a page with these kinds of components; empty where Gradio's scripts are not as expected."""
    scripts: dict[str, None] = {}
    for core in sorted(assets.glob("core-*.js")):
        text = core.read_text(encoding="utf-8")
        files = json.loads(found[1]) if (found := _FILES.search(text)) else []
        for kind in sorted(set(kinds)):
            if needed := re.search(_NEEDED.format(kind=re.escape(kind)), text):
                scripts |= {f"./{core.name}": None}
                scripts |= dict.fromkeys(files[int(n)] for n in needed[1].split(","))
    return "".join(
        f'<link rel="modulepreload" href="{s.replace("./", "./assets/")}">' for s in scripts if s.endswith(".js")
    )


class Head:
    """Adds links to the head of the page itself; all other answers pass as they are."""

    def __init__(self, app: ASGIApp, links: str) -> None:
        self.app, self.links = app, links.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as an ASGI app."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].endswith("/"):
            await self.app(scope, receive, send)
            return
        start: Message = {}

        async def send_more(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start:
                headers = MutableHeaders(raw=start["headers"])
                before, end, after = message.get("body", b"").partition(b"</head>")
                if end and headers.get("content-type", "").startswith("text/html"):
                    message = {**message, "body": before + self.links + end + after}
                    headers["content-length"] = str(int(headers["content-length"]) + len(self.links))
                await send(start)
                start = {}
            await send(message)

        await self.app(scope, receive, send_more)

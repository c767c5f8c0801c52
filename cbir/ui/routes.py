"""What the server answers beside Gradio: is it up, what is it, and the catalogue's pictures.

/health       up; cheap, for whoever asks every few seconds
/version      versions, bundle and backbone
/thumbnails/  pictures of the catalogue, under addresses that never change their content
/             Gradio's page, with what shared links show of it: title, description, picture, icon
/picture.jpg  that picture: some garments of the catalogue
/icon.svg     that icon
/gradio_api/openapi.json  Gradio's description of the endpoints, with our version in place of Gradio's
"""

import functools
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, cast

import gradio as gr
from gradio.route_utils import API_PREFIX, get_root_url
from PIL import Image, ImageOps
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Scope

from cbir.index import Index
from cbir.search import Retriever
from cbir.ui import views
from cbir.ui.serving import Serving
from cbir.ui.texts import Words
from cbir.ui.thumbnails import THUMBNAILS
from cbir.ui.zero_gpu import device_of
from cbir.version import API_VERSION, __version__

OPENAPI = f"{API_PREFIX}/openapi.json"
ICON = Path(__file__).with_name("icon.svg")
# What Gradio says of itself to whoever shows a link.
_GRADIOS_HEAD = re.compile(rb'\s*<meta\s+(?:property="og:|name="twitter:)[^>]*>')
_PASSED = "apparel-cbir.passed"
FOREVER = "public, max-age=31536000, immutable"


class VersionJson(TypedDict):
    """What serves: `notice` says where it stands in for something else, else it is null."""

    software: str
    version: str
    api_version: str
    bundle: str | None
    repo: str | None
    revision: str
    photos: int
    backbone: str
    device: str
    notice: str | None


def routes(serving: Serving) -> list[BaseRoute]:
    """The routes over what is served; they go before Gradio's."""

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def version(request: Request) -> Response:
        return JSONResponse(version_json(serving.retriever))

    async def icon(request: Request) -> Response:
        return FileResponse(ICON)

    picture = functools.lru_cache(maxsize=1)(lambda retriever: shared_picture(retriever.index))

    async def shared(request: Request) -> Response:
        return Response(await run_in_threadpool(picture, serving.retriever), media_type="image/jpeg")

    def with_head(request: Request, page: bytes) -> bytes:
        root = get_root_url(request, route_path="/", root_path=request.app.root_path)
        head = views.head(serving.retriever.bundle, f"{root}/", Words.of(cast("gr.Request", request)))
        start = b'<meta charset="utf-8" />'
        return _GRADIOS_HEAD.sub(b"", page).replace(start, start + head.encode(), 1)

    return [
        _Rewritten("/", with_head),
        _Rewritten(OPENAPI, _with_our_version),
        Route("/health", health),
        Route("/version", version),
        Route("/icon.svg", icon),
        Route("/picture.jpg", shared),
        Mount(f"/{THUMBNAILS}", _Pictures(serving)),
    ]


def version_json(retriever: Retriever) -> VersionJson:
    """What serves."""
    bundle = retriever.bundle
    return {
        "software": "apparel-cbir",
        "version": __version__,
        "api_version": API_VERSION,
        "bundle": bundle.manifest.title,
        "repo": bundle.repo,
        "revision": bundle.revision,
        "photos": len(retriever.index),
        "backbone": bundle.manifest.backbone.name,
        "device": device_of(retriever.backbone),
        "notice": str(bundle.notice) if bundle.notice else None,
    }


def _with_our_version(request: Request, page: bytes) -> bytes:
    schema = json.loads(page)
    schema["info"] |= {"version": API_VERSION, "description": Words()("description")}
    return json.dumps(schema, ensure_ascii=False).encode()


def shared_picture(index: Index) -> bytes:
    """What shared links show: some garments, as a JPEG of `views.PICTURE_SIZE`."""
    width, height = views.PICTURE_SIZE
    picture = Image.new("RGB", (width, height), "white")
    columns, rows = 6, 3
    cell = (width // columns, height // rows)
    thumbnails = index.sample(0, columns * rows).thumbnails
    for place in range(columns * rows):  # of a small collection, some more than once
        with Image.open(io.BytesIO(thumbnails[place % len(thumbnails)])) as thumbnail:
            shown = ImageOps.fit(thumbnail.convert("RGB"), cell)
        picture.paste(shown, (place % columns * cell[0], place // columns * cell[1]))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()


class _Rewritten(Route):
    """What Gradio answers at a path, rewritten.

    A request is passed on to Gradio's own route of that path: this one takes it only once.
    """

    def __init__(self, path: str, rewrite: Callable[[Request, bytes], bytes]) -> None:
        async def endpoint(request: Request) -> Response:
            messages: list[Message] = []

            async def collect(message: Message) -> None:
                messages.append(message)

            await request.app.router({**request.scope, _PASSED: True}, request.receive, collect)
            start = next(message for message in messages if message["type"] == "http.response.start")
            body = b"".join(message.get("body", b"") for message in messages)
            headers = {k.decode(): v.decode() for k, v in start["headers"] if k.lower() != b"content-length"}
            body = rewrite(request, body) if start["status"] == 200 else body
            return Response(body, start["status"], headers)

        super().__init__(path, endpoint)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """No request twice."""
        return (Match.NONE, {}) if _PASSED in scope else super().matches(scope)


class _Pictures(StaticFiles):
    """Thumbnails, which are named after their content."""

    def __init__(self, serving: Serving) -> None:
        super().__init__(directory=serving.thumbnails.folder)
        self._serving = serving

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or not await run_in_threadpool(self._is_there_now, path):
                raise
            response = await super().get_response(path, scope)
        if response.status_code in (200, 304):
            response.headers["Cache-Control"] = FOREVER
        return response

    def _is_there_now(self, path: str) -> bool:
        thumbnails = self._serving.thumbnails
        return thumbnails.id_at(f"{thumbnails.folder}/{path}") is not None

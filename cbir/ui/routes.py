"""What the server answers beside Gradio: is it up, what is it, and the catalogue's pictures.

/health       up; cheap, for whoever asks every few seconds
/version      versions, bundle and backbone
/thumbnails/  pictures of the catalogue, under addresses that never change their content
/gradio_api/openapi.json  Gradio's description of the endpoints, with our version in place of Gradio's
"""

import json
from typing import TypedDict

from gradio.route_utils import API_PREFIX
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Scope

from cbir.search import Retriever
from cbir.ui.texts import Words
from cbir.ui.thumbnails import THUMBNAILS, Thumbnails
from cbir.ui.zero_gpu import device_of
from cbir.version import API_VERSION, __version__

OPENAPI = f"{API_PREFIX}/openapi.json"
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


def routes(retriever: Retriever, thumbnails: Thumbnails) -> list[BaseRoute]:
    """The routes over one retriever; they go before Gradio's."""

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def version(request: Request) -> Response:
        return JSONResponse(version_json(retriever))

    return [
        Route("/health", health),
        Route("/version", version),
        _Openapi(OPENAPI, _openapi),
        Mount(f"/{THUMBNAILS}", _Pictures(directory=thumbnails.folder)),
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
        "photos": len(bundle.gallery),
        "backbone": bundle.manifest.backbone.name,
        "device": device_of(retriever.backbone),
        "notice": str(bundle.notice) if bundle.notice else None,
    }


async def _openapi(request: Request) -> Response:
    body = bytearray()

    async def collect(message: Message) -> None:
        body.extend(message.get("body", b""))

    await request.app.router({**request.scope, _PASSED: True}, request.receive, collect)
    schema = json.loads(body)
    schema["info"] |= {"version": API_VERSION, "description": Words()("description")}
    return JSONResponse(schema)


class _Openapi(Route):
    """Takes a request once: passed on, it goes to Gradio's route of that address."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if _PASSED in scope else super().matches(scope)


class _Pictures(StaticFiles):
    """Files named after their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code in (200, 304):
            response.headers["Cache-Control"] = FOREVER
        return response

"""Thumbnails as files: the browser fetches them straight from disk, by far the fastest way."""

import base64
import contextlib
import copy
import hashlib
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import gradio as gr

from cbir.headers import format_of
from cbir.images import thumbnail
from cbir.index import Index
from cbir.search import Reader

NAMED_AT_START = 20_000  # items of a gallery, at most, so that addresses work that an earlier run of the app gave
THUMBNAILS = "thumbnails"  # under which the app serves them


def file_url(path: str) -> str:
    """Address of a file that the app may serve, relative to the app's own."""
    return f"gradio_api/file={quote(path)}"


def picture_url(path: str, reader: Reader) -> str:
    """Address of what a browser shows of a photo: the file, or a small JPEG where it is a TIFF, which few show."""
    with contextlib.suppress(OSError), Path(path).open("rb") as file:
        if format_of(file.read(64)) == "TIFF":
            jpeg = thumbnail(reader.picture(path))
            return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    return file_url(path)


class Thumbnails:
    """The thumbnails of what is searched, in a folder that holds nothing else and goes with the last of these objects.

    Files are named by the hash of id and content: an id may be any string, and an address that never shows anything
    else may be cached forever. Each is written when somebody asks for it. Everything in the folder is public.
    """

    def __init__(self, index: Index) -> None:
        self._folder = _Folder()
        self._paths: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._removed: set[str] = set()
        self._begin(index)
        gr.set_static_paths(self.folder)

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self._folder.path

    def updated(self, index: Index) -> "Thumbnails":
        """The thumbnails of another index in the same folder; those of the same items keep their addresses."""
        other = copy.copy(self)
        other._removed = set()
        other._paths, other._ids = {}, dict(self._ids)  # a page that is still open may name any that there were
        other._begin(index)
        return other

    def remove_all_but(self, others: "Thumbnails") -> None:
        """Deletes the files that others do not have, for good."""
        self._removed = set(self._paths.values()) - set(others._paths.values())
        for path in self._removed:
            Path(path).unlink(missing_ok=True)

    def _begin(self, index: Index) -> None:
        self._index = index
        gallery = index.gallery
        if gallery is not None and len(gallery) <= NAMED_AT_START:
            thumbnails = gallery.thumbnails[:]  # what a part has read goes with it
            for item_id, jpeg in zip(gallery.ids.tolist(), thumbnails, strict=True):
                self._name(item_id, jpeg)
        elif self._ids:
            self.fetch(index.found(list(self._ids.values())).ids.tolist())

    def fetch(self, ids: Sequence[str]) -> None:
        """Reads the thumbnails of these items together, as far as they have no address yet; errors as in `path`."""
        missing = [item_id for item_id in dict.fromkeys(ids) if item_id not in self._paths]
        if missing:
            for item_id, jpeg in zip(missing, self._index.items(missing).thumbnails, strict=True):
                self._write(self._name(item_id, jpeg), jpeg)

    def path(self, item_id: str) -> str:
        """Where the thumbnail of this item lies.

        Raises:
            UnknownNameError: there is no such item.
        """
        self.fetch([item_id])
        path = self._paths[item_id]
        if not Path(path).exists():
            self._write(path, self._index.items([item_id]).thumbnails[0])
        return path

    def url(self, item_id: str) -> str:
        """Address of the thumbnail, relative to the app's own."""
        self.fetch([item_id])
        return f"{THUMBNAILS}/{os.path.basename(self._paths[item_id])}"  # noqa: PTH119 - fast, for each result

    def id_at(self, path: str) -> str | None:
        """The gallery item whose thumbnail lies there, or lay there before an update; None for any other picture."""
        item_id = self._ids.get(path)
        if item_id is not None and self._paths.get(item_id) == path:
            self.path(item_id)
        return item_id

    def _name(self, item_id: str, jpeg: bytes) -> str:
        name = hashlib.sha256(item_id.encode(errors="surrogatepass") + b"\0" + jpeg).hexdigest()[:32]
        path = f"{self.folder}/{name}.jpg"
        self._ids[path] = item_id
        self._paths[item_id] = path
        return path

    def _write(self, path: str, jpeg: bytes) -> None:
        if path not in self._removed and not Path(path).exists():
            # Others may ask for it at the same time. The folder is this object's: nobody else left anything there.
            aside = self.folder / secrets.token_hex(8)
            aside.write_bytes(jpeg)
            aside.replace(path)


class _Folder:
    """A temporary folder that goes with this object."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="cbir-thumbnails-")).resolve()
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

"""The gallery's thumbnails as files: the browser fetches them straight from disk, by far the fastest way."""

import base64
import contextlib
import hashlib
import shutil
import tempfile
import weakref
from pathlib import Path
from urllib.parse import quote

import gradio as gr

from cbir.gallery import Gallery
from cbir.headers import format_of
from cbir.images import thumbnail
from cbir.search import Reader

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
    """A folder that holds the thumbnails and nothing else; it goes with this object.

    Files are named by the hash of id and content: an id may be any string, and an address that never shows anything
    else may be cached forever. Everything in the folder is public.
    """

    def __init__(self, gallery: Gallery) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cbir-thumbnails-")).resolve()
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._paths: dict[str, str] = {}
        for item_id, jpeg in zip(gallery.ids.tolist(), gallery.thumbnails, strict=True):
            name = hashlib.sha256(item_id.encode(errors="surrogatepass") + b"\0" + jpeg).hexdigest()[:32]
            path = self.folder / f"{name}.jpg"
            path.write_bytes(jpeg)
            self._paths[item_id] = str(path)
        self._ids = {path: item_id for item_id, path in self._paths.items()}
        gr.set_static_paths(self.folder)

    def path(self, item_id: str) -> str:
        """Where the thumbnail of this gallery item lies."""
        return self._paths[item_id]

    def url(self, item_id: str) -> str:
        """Address of the thumbnail, relative to the app's own."""
        return f"{THUMBNAILS}/{Path(self._paths[item_id]).name}"

    def id_at(self, path: str) -> str | None:
        """The gallery item whose thumbnail lies there, or None: then it is some other picture."""
        return self._ids.get(path)

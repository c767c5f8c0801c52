"""Reading what a browser or a program sent: it may be anything."""

import binascii
import contextlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import gradio as gr
from gradio.route_utils import API_PREFIX
from gradio.utils import get_upload_folder

from cbir.errors import CbirError, ImageError
from cbir.options import SearchOptions
from cbir.search import Crop, Photo
from cbir.ui.fetch import MAX_BYTES, fetch_image
from cbir.ui.limits import MAX_BROWSED, MAX_IDS, MAX_K, MAX_NAMES, MAX_PHOTOS, MAX_SEED, MAX_TEXT
from cbir.ui.thumbnails import THUMBNAILS, Thumbnails


def no_photo() -> ImageError:
    """What to raise where a photo is missing."""
    return ImageError("no photo: upload one, paste one, or press “Random photo” first")


def photo_source(payload: object, thumbnails: Thumbnails) -> tuple[Photo, str | None]:
    """The photo that a program gave.

    Args:
        payload: a file as Gradio describes it, or one of these texts: an http or https address, a data: URI in base64,
            the path or the address of an upload.
        thumbnails: pictures that count as uploaded.

    Returns:
        What `cbir.images.load_image` takes, and what the photo is called; None where it has no name.

    Raises:
        ImageError: there is no photo, it is too large, or its address cannot be fetched.
    """
    name = payload.get("orig_name") if isinstance(payload, dict) else None
    given = (payload.get("path") or payload.get("url")) if isinstance(payload, dict) else payload
    if not isinstance(given, str) or not given:
        raise no_photo() if not payload else _not_uploaded()
    if given.startswith("data:"):
        return _decoded(given), name
    if given.lower().startswith(("http://", "https://")):
        return photo_at(given, thumbnails)
    return upload_path({"path": given}, thumbnails), name or Path(given).name


def photo_at(address: str, thumbnails: Thumbnails) -> tuple[Photo, str | None]:
    """The photo at an address, http or https: of this app, or on a public host; otherwise as `photo_source`."""
    path = _path_here(address, thumbnails)
    return (fetch_image(address), address) if path is None else (path, Path(path).name)


def _path_here(address: str, thumbnails: Thumbnails) -> str | None:
    """The path of an upload or a thumbnail that this app has under that address, or None."""
    try:
        target = urlsplit(address).path
    except ValueError:  # not an address
        return None
    for prefix, folder in ((f"{API_PREFIX}/file=", ""), (f"/{THUMBNAILS}/", f"{thumbnails.folder}/")):
        _, found, rest = target.partition(prefix)
        if found:
            with contextlib.suppress(ImageError):
                return upload_path({"path": folder + unquote(rest)}, thumbnails)
    return None


def _decoded(uri: str) -> bytes:
    """The content of a data: URI."""
    head, _, content = uri.partition(",")
    if len(content) > MAX_BYTES * 4 // 3 + 4:
        raise ImageError(
            "expected a photo of at most {limit} MB, got more: give a smaller one", limit=MAX_BYTES // 2**20
        )
    try:
        if not head.endswith(";base64"):
            raise ValueError
        return binascii.a2b_base64(content, strict_mode=True)  # as base64.b64decode(validate=True), which is slow
    except ValueError:
        raise ImageError(
            "expected a photo as data:image/jpeg;base64, and its content in base64, got {got!r}", got=uri
        ) from None


def upload_path(payload: object, thumbnails: Thumbnails) -> str:
    """Path of a file that was uploaded, or of a thumbnail.

    Gradio checks only payloads that carry its mark, and browsers may send any: what counts is where the file lies.
    The error is the same for every other path, so that nobody learns which files there are.

    Raises:
        ImageError: there is no photo, or it is neither.
    """
    if not payload:
        raise no_photo()
    path = payload.get("path") if isinstance(payload, dict) else None
    if isinstance(path, str) and path:
        try:
            resolved = Path(path).resolve()
            uploads = Path(get_upload_folder()).resolve()
        except (OSError, RuntimeError, ValueError):  # a name too long, a loop of links, a null character
            raise _not_uploaded() from None
        if thumbnails.id_at(str(resolved)) or uploads in resolved.parents:
            return str(resolved)
    raise _not_uploaded()


def checked_batch(files: object) -> list[object]:
    """The photos of one call.

    Raises:
        CbirError: they are not a list, or too many.
    """
    if not isinstance(files, list) or len(files) > MAX_PHOTOS:
        got = len(files) if isinstance(files, list) else files
        raise CbirError("expected a list of at most {limit} photos, got {got!r}", limit=MAX_PHOTOS, got=got)
    return files


def checked_ids(ids: object) -> list[str]:
    """The ids of one call.

    Raises:
        CbirError: they are not a list of texts, or too many.
    """
    if not isinstance(ids, list) or len(ids) > MAX_IDS or not all(isinstance(id, str) for id in ids):
        got = len(ids) if isinstance(ids, list) and len(ids) > MAX_IDS else ids
        raise CbirError("expected a list of at most {limit} ids, got {got!r}", limit=MAX_IDS, got=got)
    return ids


def checked_text(name: str, text: object, limit: int = MAX_TEXT) -> str:
    """A text of a length that a person could have meant.

    Raises:
        CbirError: it is none.
    """
    if not isinstance(text, str) or len(text) > limit:
        raise CbirError(
            "expected {name} as a text of at most {limit} characters, got {value!r}",
            **{"name": name, "limit": limit, "value": text},
        )
    return text


def checked_names(name: str, names: object) -> list[str]:
    """A list of names, such as types.

    Raises:
        CbirError: it is none, or too long.
    """
    if not isinstance(names, list) or len(names) > MAX_NAMES or not all(isinstance(one, str) for one in names):
        raise CbirError(
            "expected {name} as a list of at most {limit} names, got {value!r}",
            **{"name": name, "limit": MAX_NAMES, "value": names},
        )
    return names


def checked_options(options: SearchOptions) -> SearchOptions:
    """Options of a search that somebody else pays for.

    Raises:
        CbirError: they ask for more results than one answer gives.
    """
    if options.k > MAX_K:
        raise CbirError("expected at most {limit} results, got {value!r}: ask for fewer", limit=MAX_K, value=options.k)
    return options


def checked_seed(seed: object) -> int:
    """A seed.

    Raises:
        CbirError: it is not a whole number of at least 0, or too large for JavaScript.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise CbirError(
            "expected a seed that is a whole number from 0 to {limit}, got {seed!r}", limit=MAX_SEED, seed=seed
        )
    return seed


def event_value(event: gr.EventData, name: str) -> str:
    """What a click on something with `data-<name>` was on; "" where it was on nothing."""
    data = event._data
    value = data.get(name) if isinstance(data, dict) else None
    return checked_text(name, value) if isinstance(value, str) else ""


def browsed(event: gr.EventData) -> tuple[int, int]:
    """Seed and number of pictures of the catalogue that were asked for, e.g. "1:48".

    Raises:
        CbirError: these are not two whole numbers that the page could have asked for.
    """
    text = event_value(event, "browse")
    seed, _, n = text.partition(":")
    if not all(part.isascii() and part.isdigit() and len(part) < 8 for part in (seed, n)):
        raise CbirError("expected a seed and a number of pictures, got {text!r}", text=text)
    return int(seed), min(int(n), MAX_BROWSED)


def crop_of(text: object) -> Crop | None:
    """Reads "left, top, right, bottom" in percent of width and height, as fractions; None for the whole photo.

    Raises:
        CbirError: these are not four numbers. Whether they make a part is for `cbir.images.crop_image` to say.
    """
    text = checked_text("crop", text)
    if not text.strip():
        return None
    try:
        left, top, right, bottom = (float(number) / 100 for number in text.replace(";", ",").split(","))
    except ValueError:
        raise CbirError(
            "expected a crop as four percentages left, top, right, bottom, e.g. 10, 0, 90, 50, got {text!r}",
            text=text,
        ) from None
    return left, top, right, bottom


def _not_uploaded() -> ImageError:
    return ImageError("image must be an uploaded file (gradio_client.handle_file(path)), an address, or a data: URI")

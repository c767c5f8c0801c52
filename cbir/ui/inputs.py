"""Reading what a browser or a program sent: it may be anything."""

from pathlib import Path

from gradio.utils import get_upload_folder

from cbir.errors import CbirError, ImageError
from cbir.options import SearchOptions
from cbir.search import Crop
from cbir.ui.limits import MAX_IDS, MAX_K, MAX_NAMES, MAX_PHOTOS, MAX_SEED, MAX_TEXT
from cbir.ui.thumbnails import Thumbnails


def no_photo() -> ImageError:
    """What to raise where a photo is missing."""
    return ImageError("no photo: upload one, paste one, or press “Random photo” first")


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


def checked_text(name: str, text: object) -> str:
    """A text of a length that a person could have meant.

    Raises:
        CbirError: it is none.
    """
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise CbirError(
            "expected {name} as a text of at most {limit} characters, got {value!r}",
            **{"name": name, "limit": MAX_TEXT, "value": text},
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
    return ImageError("image must be an uploaded file: pass gradio_client.handle_file(path)")

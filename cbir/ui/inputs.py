"""Reading what a browser or a program sent: it may be anything."""

from pathlib import Path

from gradio.utils import get_upload_folder

from cbir.errors import CbirError, ImageError
from cbir.search import Crop
from cbir.ui.thumbnails import Thumbnails

MAX_BATCH = 64  # photos of one call: they are held at once, and a batch holds a place of the queue until it is done


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
    """The files of one call.

    Raises:
        CbirError: they are not a list, or too many.
    """
    if not isinstance(files, list) or len(files) > MAX_BATCH:
        got = repr(len(files) if isinstance(files, list) else files)
        raise CbirError("expected a list of at most {limit} photos, got {got}", limit=MAX_BATCH, got=got)
    return files


def checked_seed(seed: object) -> int:
    """A seed.

    Raises:
        CbirError: it is not a whole number of at least 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise CbirError("expected a seed that is a whole number of at least 0, got {seed!r}", seed=seed)
    return seed


def crop_of(text: str) -> Crop | None:
    """Reads "left, top, right, bottom" in percent of width and height, as fractions; None for the whole photo.

    Raises:
        CbirError: these are not four numbers. Whether they make a part is for `cbir.images.crop_image` to say.
    """
    if not text.strip():
        return None
    try:
        left, top, right, bottom = (float(number) / 100 for number in text.replace(";", ",").split(","))
    except ValueError:
        raise CbirError(
            "expected a crop as four percentages left, top, right, bottom, e.g. 10, 0, 90, 50, got {text!r}",
            text=text[:60],
        ) from None
    return left, top, right, bottom


def _not_uploaded() -> ImageError:
    return ImageError("image must be an uploaded file: pass gradio_client.handle_file(path)")

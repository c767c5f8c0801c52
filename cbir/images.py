"""One safe way from whatever a person hands in to an RGB photo (`load_image`), and back out (`thumbnail`).

Photos come from strangers. So what a file declares is read by `cbir.headers` before any decoder is asked: its size,
what decoding would take of memory and time, how it is turned. The one decoder of its format then sees pixels and colors
alone, and photos that take much memory are decoded one at a time. Nothing here changes global state of Pillow or of
`warnings`, so any number of threads may load photos at once.
"""

import io
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from math import ceil, floor
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageChops, ImageCms, UnidentifiedImageError
from PIL.Image import Resampling, Transpose

from cbir import headers
from cbir.errors import ImageError, Message
from cbir.headers import JPEG_END, Readable, TooMuchError, exif_orientation, plain_profile

MAX_BYTES = 25 * 2**20  # of the encoded file
MAX_PIXELS = 64_000_000  # of the decoded photo, as the header gives it: above any phone's usual output
MAX_EDGE = 65_535  # pixels, of the longest side: what a JPEG can have
MAX_MEMORY = 384 * 2**20  # bytes, to decode one photo
SMALL_MEMORY = 64 * 2**20  # bytes; photos that take more are decoded one at a time
MAX_SIDE = 1024  # pixels; backbones look at 224, the rest is for people

# MPO (phone photos with a second view) has no decoder of its own: Pillow's JPEG decoder opens it.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_UNNAMED = Message("this one")  # in messages, where there is no file name
_WHITE = (255, 255, 255)
_PREMULTIPLIED = {"LA": "La", "RGBA": "RGBa"}  # so that a transparent color does not tint its neighbors
_ANYTHING = b"\xa5\x5a\x3c" * 20  # read as the blocks of a JPEG, not those that were there
_LARGE = threading.Lock()
_BAND = 2_000_000  # pixels converted at once

# EXIF orientation -> what turns the stored pixels upright.
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def load_image(source: bytes | str | os.PathLike | Image.Image) -> Image.Image:
    """Decode a photo into what the rest of the code works with.

    The first frame of animations is taken, EXIF orientation applied, transparency laid on white, and colors
    brought to sRGB by the embedded profile where it is valid. 16-bit and float photos are scaled to 8 bits.

    Args:
        source: the encoded bytes, the path of a file, or a Pillow image of any mode (left unchanged).

    Returns:
        A new image of mode RGB without metadata, longest side at most `MAX_SIDE` pixels, never enlarged.

    Raises:
        ImageError: whatever is wrong with `source`.
    """
    if isinstance(source, Image.Image):
        if source.format is not None and source.format not in (*FORMATS, "MPO"):
            raise _not_a_photo(_UNNAMED)  # opened but maybe not decoded yet, by a decoder that we never run
        return _decode(source, _UNNAMED)
    name: str = _UNNAMED
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        _check_bytes(len(data), name)
    elif isinstance(source, str | os.PathLike):
        # Only the file's name appears in messages: the app shows them, and folders are nobody's business.
        name = repr(_shortened(Path(source).name))
        data = _read(Path(source), name)
    else:
        raise ImageError("expected a photo as bytes, path or Pillow image, got {type}", type=type(source).__name__)
    if not data:
        raise ImageError("expected a photo, but {name} is empty (0 bytes): choose another file", name=name)
    try:
        readable = headers.read(data)
    except TooMuchError as error:
        raise _too_much(name, error.reason) from None
    except (ValueError, LookupError, struct.error) as error:
        raise _damaged(name) from error
    if readable is None:
        raise _not_a_photo(name)
    _check_size(readable.size, name)
    if readable.too_slow:
        raise _too_much(name, readable.too_slow)
    memory = readable.memory + len(data) + len(readable.data)
    if memory > MAX_MEMORY:
        raise _too_much(name, Message("takes {memory:,.0f} MB of memory", memory=memory / 2**20))
    # Photos that take much wait for each other: together they take no more than one.
    with _LARGE if memory > SMALL_MEMORY else nullcontext():
        try:
            image = Image.open(io.BytesIO(readable.data), formats=[readable.format])
        except UnidentifiedImageError:
            raise _not_a_photo(name) from None
        except Exception as error:  # decoders fed with arbitrary bytes raise nearly anything
            raise _damaged(name) from error
        with image:
            if image.width * image.height > readable.size[0] * readable.size[1]:
                raise _damaged(name)
            return _decode(image, name, readable)


def crop_image(image: Image.Image, crop: Sequence[float]) -> Image.Image:
    """Cut a part out of a photo.

    Args:
        image: from `load_image`, hence upright.
        crop: left, top, right and bottom edge as fractions of width and height: (0, 0, 1, 1) is the whole photo.

    Returns:
        The part, widened to whole pixels, hence at least one.

    Raises:
        ImageError: the crop is not four numbers with 0 <= left < right <= 1 and 0 <= top < bottom <= 1.
    """
    is_numbers = isinstance(crop, Sequence) and all(type(edge) in (int, float) for edge in crop)
    if not is_numbers or len(crop) != 4 or not (0 <= crop[0] < crop[2] <= 1 and 0 <= crop[1] < crop[3] <= 1):
        raise ImageError(
            "expected a crop as left, top, right, bottom, fractions with 0 <= left < right <= 1 and "
            "0 <= top < bottom <= 1, got {crop!r}",
            crop=crop,
        )
    left, top, right, bottom = crop
    box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
    return image.crop((floor(box[0]), floor(box[1]), ceil(box[2]), ceil(box[3])))


def thumbnail(image: Image.Image, side: int = 224) -> bytes:
    """Encode a small copy of a photo as JPEG without metadata.

    Args:
        image: from `load_image`.
        side: longest side in pixels; smaller photos are not enlarged.

    Returns:
        JPEG bytes, about 8 kB for the default side.
    """
    small = _shrunk(image.convert("RGB"), side)
    small.info = {}  # Pillow would write an inherited color profile or comment
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _read(path: Path, name: str) -> bytes:
    """Read a regular file of at most `MAX_BYTES`."""
    try:
        if path.is_dir():
            raise ImageError("expected a photo, but {name} is a folder: choose a file in it", name=name)
        if not path.is_file():  # pipes and devices too: reading one may never end
            raise ImageError("expected a photo, but there is no file {name}: check the path", name=name)
        _check_bytes(path.stat().st_size, name)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # a file may grow after it was measured
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ImageError(
            "cannot read {name} ({reason}): check the path and its permissions", name=name, reason=reason.lower()
        ) from error
    _check_bytes(len(data), name)
    return data


def _decode(image: Image.Image, name: str, readable: Readable | None = None) -> Image.Image:
    """Check the size, decode, and bring any mode to upright, small, opaque sRGB.

    `readable` is the file that `image` was opened from, by nobody else; None for an image that somebody else holds.
    """
    _check_size(image.size, name)
    try:
        if readable:
            _load(image, readable)
            if readable.missing_end:
                _check_end(image, readable)
        image.load()
        orientation = readable.orientation if readable else 1
        if orientation == 1:
            exif = image.info.get("exif")  # after load: PNG may end with its EXIF
            orientation = exif_orientation(exif) if isinstance(exif, bytes) else 1
        profile = (readable and readable.profile) or image.info.get("icc_profile")
        small = _small(image, readable.bit_depth if readable else 8)
        alpha = small.getchannel("A") if small.mode in ("LA", "RGBA") else None
        colors = _srgb(small.convert(small.mode[:-1]) if alpha else small, profile)
        if readable and readable.box:
            covered = Image.new("L", small.size)
            scale = small.width / readable.size[0], small.height / readable.size[1]
            left, top, right, bottom = (round(edge * scale[i % 2]) for i, edge in enumerate(readable.box))
            covered.paste(255, (left, top, right, bottom))
            alpha = ImageChops.darker(alpha, covered) if alpha else covered
        result = colors
        if alpha:
            result = Image.new("RGB", colors.size, _WHITE)
            result.paste(colors, mask=alpha)
        if orientation in _UPRIGHT:
            result = result.transpose(_UPRIGHT[orientation])
        if result is image:
            result = result.copy()
    except Exception as error:  # as above: truncated or damaged data, or a decoder's own limits
        raise _damaged(name) from error
    result.info = {}
    return result


def _load(image: Image.Image, readable: Readable) -> None:
    if readable.missing_end != "details":
        # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size; other formats ignore this.
        image.draft(None, _fitting(image.size, MAX_SIDE))
    image.load()


def _check_end(image: Image.Image, readable: Readable) -> None:
    """Raises where a JPEG without its end marker lacks more than that.

    A decoder that needs more than there is takes what it finds: then other bytes at the end give another picture.
    """
    jpeg = readable.data.removesuffix(JPEG_END) + _ANYTHING + JPEG_END
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as other:
        _load(other, readable)
        if ImageChops.difference(image, other).getbbox():
            raise ValueError("cut short")


def _small(image: Image.Image, bit_depth: int) -> Image.Image:
    """Bring any mode to L, LA, RGB, RGBA or CMYK, 8 bits a channel, and the longest side to `MAX_SIDE`.

    A large photo is averaged band by band: a copy of all of it in another mode would take as much memory again.
    """
    size = _fitting(image.size, MAX_SIDE)
    # The slow filter begins at twice the size, as by Pillow's `reducing_gap`, which does nothing where there is alpha.
    factors = (int(image.width / size[0] / 2) or 1, int(image.height / size[1] / 2) or 1)
    levels = _levels(image)
    if factors == (1, 1):
        plain = _plain_mode(image, bit_depth, levels)
        return plain if plain.size == size else plain.resize(size, Resampling.LANCZOS)
    whole: Image.Image | None = None
    top = 0
    for band in _bands(image, factors[1]):
        plain = _plain_mode(band, bit_depth, levels)
        reduced = plain.convert(_PREMULTIPLIED.get(plain.mode, plain.mode)).reduce(factors)
        whole = whole or Image.new(reduced.mode, (reduced.width, ceil(image.height / factors[1])))
        whole.paste(reduced, (0, top))
        top += reduced.height
    box = (0, 0, image.width / factors[0], image.height / factors[1])
    small = cast("Image.Image", whole).resize(size, Resampling.LANCZOS, box)  # there is at least one band
    return next((small.convert(mode) for mode, other in _PREMULTIPLIED.items() if other == small.mode), small)


def _bands(image: Image.Image, step: int = 1) -> Iterator[Image.Image]:
    """The photo in bands of about `_BAND` pixels, their height a multiple of `step`."""
    height = ceil(_BAND / (image.width * step)) * step
    for top in range(0, image.height, height):
        yield image.crop((0, top, image.width, min(top + height, image.height)))


def _plain_mode(image: Image.Image, bit_depth: int, levels: tuple[float, float] | None) -> Image.Image:
    """Convert any mode to L, LA, RGB, RGBA or CMYK, 8 bits a channel.

    `bit_depth` is the one of the file where it is a PNG, as its transparent color is given in that depth; `levels` are
    black and white of the whole photo, from `_levels`.
    """
    transparent = image.info.get("transparency")
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        plain = Image.fromarray(_eight_bits(values, levels))
        if isinstance(transparent, int):
            plain.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
        return plain
    if image.mode == "CMYK" or (image.mode in ("L", "LA", "RGB", "RGBA") and transparent is None):
        return image
    if image.mode in ("1", "L", "RGB") and transparent is not None:
        scaled = [_scaled(value, bit_depth) for value in np.atleast_1d(transparent).tolist()]
        image = image.copy()
        image.info["transparency"] = scaled[0] if len(scaled) == 1 else tuple(scaled)
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "La":
        return image.convert("LA")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _scaled(value: int, bit_depth: int) -> int:
    """A sample of 1, 2, 4, 8 or 16 bits as Pillow's PNG decoder brings it to 8 bits."""
    return value >> 8 if bit_depth == 16 or value > 255 else value * 255 // (2**bit_depth - 1)


def _levels(image: Image.Image) -> tuple[float, float] | None:
    """Black and white of a photo of integers or floats beyond 16 bits; None for other modes.

    Files do not say what white is, so the range decides: 65,535 for integers within 16 bits; 1, 255 or 65,535
    for floats, the least that fits; anything else is stretched from its least to its largest value.
    """
    if image.mode not in ("I", "F"):
        return None
    ranges = [(float(values.min()), float(values.max())) for values in map(_finite, map(np.asarray, _bands(image)))]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    whites = (65535.0,) if image.mode == "I" else (1.0, 255.0, 65535.0)
    if low >= 0 and high <= whites[-1]:
        low, high = 0.0, next(white for white in whites if high <= white)
    return low, high


def _finite(values: np.ndarray) -> np.ndarray:
    """As float32, with 0 for what is not finite."""
    return np.nan_to_num(values.astype(np.float32), nan=0, posinf=0, neginf=0)


def _eight_bits(values: np.ndarray, levels: tuple[float, float] | None) -> np.ndarray:
    """Scale one channel of integers or floats, (h, w), to uint8; Pillow's own conversion clips at 255."""
    if levels is None:  # 16 bits
        return (values >> 8).astype(np.uint8)
    low, high = levels
    scale = 255 / ((high - low) or 1.0)
    return np.clip(np.rint(_finite(values) * scale - low * scale), 0, 255).astype(np.uint8)


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert L, RGB or CMYK to RGB, by the embedded profile where there is a valid one for that mode."""
    profile = plain_profile(profile) if isinstance(profile, bytes) else None
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = source.profile.xcolor_space.strip().replace("GRAY", "L")
            if (image.mode, space) == ("L", "RGB"):
                image = image.convert("RGB")
            if space == image.mode:  # Pillow would take any numbers for those of the profile's space
                target = ImageCms.createProfile("sRGB")
                converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a broken profile, or one for another mode: the plain conversion is the best there is
    return image if image.mode == "RGB" else image.convert("RGB")


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    """The image itself where it fits into side x side, else a smaller one."""
    size = _fitting(image.size, side)
    return image if size == image.size else image.resize(size, Resampling.LANCZOS, reducing_gap=2.0)


def _fitting(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height within side x side, same proportions, at least 1 pixel, never enlarged."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(
            "expected a photo, but {name} has no pixels ({width} x {height}): choose another file",
            **{"name": name, "width": width, "height": height},
        )
    if width * height > MAX_PIXELS:
        raise ImageError(
            "expected a photo of at most {limit} megapixels, but {name} has {width} x {height}: choose or save "
            "a smaller one",
            **{"limit": MAX_PIXELS // 1_000_000, "name": name, "width": width, "height": height},
        )
    if max(size) > MAX_EDGE:
        raise _too_much(name, Message("is {width} x {height} pixels", width=width, height=height))


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def _check_bytes(n_bytes: int, name: str) -> None:
    if n_bytes > MAX_BYTES:
        raise ImageError(
            "expected a photo of at most {limit} MB, but {name} is larger: choose or save a smaller one",
            **{"limit": MAX_BYTES // 2**20, "name": name},
        )


def _too_much(name: str, reason: Message) -> ImageError:
    return ImageError(
        "expected a photo that opens fast, but {name} {reason}: save it smaller, or as a plain JPEG",
        **{"name": name, "reason": reason},
    )


def _not_a_photo(name: str) -> ImageError:
    return ImageError(
        "expected a photo (JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF), but {name} is not one of them: save it as JPEG or "
        "PNG",
        name=name,
    )


def _damaged(name: str) -> ImageError:
    return ImageError("expected a complete photo, but {name} is damaged or cut short: get the file again", name=name)

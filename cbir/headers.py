"""What the file of a photo says of itself, read with bounded work before any decoder sees it.

Decoders believe what a file declares, and a stranger's may declare anything: a directory whose thousands of tags all
point at the same megabyte, which is then copied for each of them; a picture that is gone over a thousand times; 64
megapixels in 46 bytes. So no decoder sees metadata: `read` leaves of a file what shows, pixels and colors, finds the
orientation itself, and tells what decoding would take. Nothing here decodes a pixel.
"""

import itertools
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cbir.errors import Message

MAX_PARTS = 100_000  # segments, chunks, blocks, strips or tiles of a file; ordinary files of 25 MB have some thousands
MAX_PROFILE = 4 * 2**20  # bytes of a color profile; those of printing presses have 3 MB
MAX_HEAD = 2 * MAX_PROFILE  # bytes of a JPEG's profile and tables; those of the tables are some hundreds
MAX_TAG = 2**19  # bytes of one tag of a TIFF; the largest is a palette of 65,536 colors
MAX_TABLE = 2**16  # bytes of a table of the parts of an AVIF; that of a photo of a hundred tiles has some kB

# A progressive JPEG of a camera or a web site goes over its picture in about 10 scans, and a decoder over all blocks of
# each, however few bytes it has. 14 million blocks are 10 scans of 64 megapixels, colors at full resolution; 20 million
# take a second. libtiff stops at the 100th scan too.
MAX_SCANS = 100
MAX_SCANNED_BLOCKS = 20_000_000

# What else takes a second or two.
MAX_PNG_BYTES = 400_000_000  # unpacked: 64 megapixels of 16-bit color
MAX_TILED_PIXELS = 64_000_000  # of a TIFF, in all tiles, what hangs over the edges included
MAX_AV1_PIXELS = 100_000_000  # in all frames of an AVIF, shown or not
MAX_AVIF_BYTES = 12 * 2**20  # 7 MB of AV1 take a second; photos of 24 megapixels have 8 MB at most
MAX_RLE_PIXELS, MAX_RLE_BYTES = 4_000_000, 4 * 2**20  # of a compressed BMP, which Pillow reads by Python code

# White of profiles, and how strongly X, Y, Z excite the eye's cones, by Bradford: both as ICC profiles have it.
_D50 = np.array([0.9642, 1.0, 0.8249])
_CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_COLORS = (b"rXYZ", b"gXYZ", b"bXYZ")

# Pillow's names of the formats, and how their files begin.
_MAGIC = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF....WEBPVP8[ LX]",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM",
    "TIFF": rb"II[*+]\0|MM\0\*",  # not MM\0+: Pillow would look for the directory elsewhere
    "AVIF": rb"....ftyp(avif|avis|mif1|msf1)",
}


class TooMuchError(Exception):
    """To decode this file would take too long; arguments as for `Message`, which `reason` is and says what it has."""

    def __init__(self, template: str, /, **values: object) -> None:
        self.reason = Message(template, **values)
        super().__init__(str(self.reason))


@dataclass(frozen=True)
class Readable:
    """A file that a decoder may see.

    Attributes:
        format: Pillow's name of its format.
        data: the file without its metadata.
        size: width and height of the picture, as declared.
        memory: bytes that a decoder takes, beside the file.
        too_slow: what else keeps a decoder busy too long; None for nothing.
        orientation: as in EXIF, 1 to 8: 1 is upright.
        bit_depth: of the samples of a PNG; else 8.
        profile: the color profile, where it was taken out of the file.
        missing_end: where a damaged JPEG would differ, if it had no marker for its end before it was put behind `data`:
            in "blocks" of 8 x 8 pixels, or in "details".
        box: left, top, right and bottom of what the picture covers of its size, where that is not all.
    """

    format: str
    data: bytes
    size: tuple[int, int]
    memory: int
    too_slow: Message | None = None
    orientation: int = 1
    bit_depth: int = 8
    profile: bytes | None = None
    missing_end: str | None = None
    box: tuple[int, int, int, int] | None = None


def read(data: bytes) -> Readable | None:
    """Find out what a file is, and leave out what is not to be decoded.

    Returns:
        None where it is no photo of a known format.

    Raises:
        TooMuchError: a decoder would take too long.
        ValueError, LookupError, struct.error: the file is damaged or cut short.
    """
    readers = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif, "BMP": _bmp, "TIFF": _tiff, "AVIF": _avif}
    name = format_of(data)
    return readers[name](data) if name else None


def format_of(data: bytes) -> str | None:
    """Pillow's name of the format that a file begins like; None where that is none of ours."""
    names = (name for name, magic in _MAGIC.items() if re.match(magic, data, re.DOTALL))
    return next(names, None) if len(data) > 16 else None


def exif_orientation(exif: bytes) -> int:
    """The orientation that an EXIF block gives; 1 where it gives none, or is broken."""
    try:
        directory = _Directory(exif.removeprefix(b"Exif\0\0"))
        kind, count, _ = directory.entries.get(_ORIENTATION, (0, 0, b""))
        return _known(directory.values(_ORIENTATION)) if (kind, count) == (_SHORT, 1) else 1  # as browsers do
    except (ValueError, struct.error):
        return 1


def _known(orientation: tuple[int, ...]) -> int:
    return orientation[0] if orientation and 1 <= orientation[0] <= 8 else 1


def plain_profile(profile: bytes) -> bytes | None:
    """A color profile without its chains of calculations, which may be of any length and browsers do not know.

    Returns:
        None where it is too long, or none of a device.
    """
    if len(profile) > MAX_PROFILE or profile[12:16] not in (b"scnr", b"mntr", b"prtr", b"spac"):
        return None
    plain = bytearray(profile)
    n = int.from_bytes(plain[128:132])
    for at in range(132, min(132 + 12 * n, len(plain)), 12):
        if plain[at : at + 3] in (b"D2B", b"B2D"):
            plain[at : at + 4] = b"none"
    return bytes(plain)


def profile_of(gamma: float, corners: Sequence[float]) -> bytes | None:
    """The color profile of a screen, as a PNG may give it.

    Args:
        gamma: what light is raised to.
        corners: x and y of white, red, green and blue, as the CIE measured them in 1931.

    Returns:
        None where no screen is like that.
    """
    x, y = np.reshape(corners, (4, 2)).T
    if gamma <= 0 or (y <= 0).any():
        return None
    (white, *primaries) = np.stack([x / y, np.ones(4), (1 - x - y) / y], axis=1)
    try:
        colors = np.transpose(primaries) * np.linalg.solve(np.transpose(primaries), white)
        adapted = np.linalg.inv(_CONES) @ np.diag(_CONES @ _D50 / (_CONES @ white)) @ _CONES @ colors
    except np.linalg.LinAlgError:
        return None
    if not (np.abs(adapted) < 10).all():
        return None
    curve = b"para" + bytes(8) + struct.pack(">i", min(round(65536 / gamma), 2**24))
    tags = {name: b"XYZ " + bytes(4) + _fixed(column) for name, column in zip(_COLORS, adapted.T, strict=True)}
    tags |= {b"wtpt": b"XYZ " + bytes(4) + _fixed(_D50)} | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    body = table = b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(value))
        body += value
    head = bytes(4) + struct.pack(">I", 0x04200000) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + _fixed(_D50)
    body = head.ljust(124, b"\0") + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", 4 + len(body)) + body


def _fixed(values: np.ndarray) -> bytes:
    return b"".join(struct.pack(">i", round(65536 * float(value))) for value in values)


# --- JPEG

# What begins a segment: no stuffed zero, and neither a restart (D0 to D7) nor TEM (01), which have no length.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _APP14, _COMMENT = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
JPEG_END = bytes([0xFF, _EOI])
_PROGRESSIVE = 0xC2
_FRAMES = {0xC0, 0xC1, _PROGRESSIVE}  # baseline, extended and progressive
_OTHER_FRAMES = {*range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC}  # lossless or arithmetic: no browser shows these


def _jpeg(data: bytes) -> Readable | None:
    kept, exif, at = [data[:2]], b"", 2
    for _ in range(MAX_PARTS):
        marker, start, end = _segment(data, at)
        if marker in _OTHER_FRAMES:
            return None
        if marker == _SOS:
            break
        body = data[start + 4 : end]
        if marker == _APP1 and body.startswith(b"Exif\0\0") and not exif:
            exif = body
        is_metadata = marker == _COMMENT or marker & 0xF0 == _APP0
        is_color = marker in (_APP0, _APP14) or (marker == _APP2 and body.startswith(b"ICC_PROFILE\0"))
        if is_color or not is_metadata:
            kept.append(data[start:end])
        at = end
    else:
        raise ValueError("too many segments")
    if sum(map(len, kept)) > MAX_HEAD:
        raise ValueError("too many tables")
    scans = _Scans(data)
    scans.check()
    if not scans.is_ended and scans.is_partial:
        raise ValueError("scans are missing")
    n_pixels = scans.size[0] * scans.size[1]
    missing_end = None if scans.is_ended else "details" if scans.memory else "blocks"
    # What is not wanted at full size is decoded at 1/2, 1/4 or 1/8 of it, to about 2,000 pixels a side. Not so where
    # details tell whether it is whole: then two pictures, and how they differ.
    memory = scans.memory + (12 * n_pixels if missing_end == "details" else 4 * min(n_pixels, 2**22))
    jpeg = b"".join([*kept, memoryview(data)[start : scans.end]])
    if missing_end:
        jpeg = jpeg.rstrip(b"\xff") + JPEG_END
    return Readable("JPEG", jpeg, scans.size, memory, orientation=exif_orientation(exif), missing_end=missing_end)


def _segment(data: bytes, at: int) -> tuple[int, int, int]:
    """The next segment of a JPEG -> its marker, start and end."""
    found = _MARKER.search(data, at)
    if not found:
        raise ValueError("no more segments")
    marker, start = found[1][0], found.start()
    if marker in (_SOI, _EOI):
        return marker, start, start + 2
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
    if end < start + 4 or end > len(data):
        raise ValueError("segment cut short")
    return marker, start, end


class _Scans:
    """The scans of a JPEG, found as a decoder finds them.

    Attributes:
        size: width and height.
        n_scans: how many there are; what is beyond `MAX_SCANS` is not looked at.
        n_blocks: how many blocks of 8 x 8 samples a decoder goes over in all of them.
        memory: bytes of all blocks, where a decoder has to keep them for the next scan; else 0.
        end: where the last scan ends, or the marker behind it.
        is_ended: there is that marker.
        is_partial: something is said in no scan.
    """

    def __init__(self, jpeg: bytes) -> None:
        self.n_scans = self.n_blocks = self.memory = 0
        self.size, self.end, self.is_ended = (0, 0), len(jpeg), False
        blocks: dict[int, int] = {}
        unsaid: dict[int, set[int]] = {}  # of each component, which of the 64 numbers of a block
        is_progressive, at = False, 2
        for _ in range(MAX_PARTS):
            found = _MARKER.search(jpeg, at)
            if not found:
                break
            self.end = found.start()
            try:
                marker, start, at = _segment(jpeg, at)
            except ValueError:
                break
            body = jpeg[start + 4 : at]
            if marker == _EOI:
                self.end, self.is_ended = at, True
                break
            if marker in _FRAMES:
                self.size, blocks = _frame(body)
                unsaid = {component: set(range(64)) for component in blocks}
                is_progressive = marker == _PROGRESSIVE
            elif marker == _SOS:
                n = body[0]
                components, (first, last, precision) = body[1 : 1 + 2 * n : 2], body[1 + 2 * n : 4 + 2 * n]
                self.n_scans += 1
                self.n_blocks += sum(blocks[component] for component in components)
                for component in components:
                    unsaid[component] -= set(range(first, last + 1) if precision & 15 == 0 else ())
                if is_progressive or self.n_scans > 1 or len(components) < len(blocks):
                    self.memory = 64 * 2 * sum(blocks.values())
                if self.n_scans > MAX_SCANS:
                    break
                self.end = len(jpeg)
        else:
            raise ValueError("too many segments")
        self.is_partial = any(unsaid.values())

    def check(self) -> None:
        """Raises where there is more to go over than any camera makes."""
        if self.n_scans > MAX_SCANS or self.n_blocks > MAX_SCANNED_BLOCKS:
            raise TooMuchError("has too many scans")


def _frame(body: bytes) -> tuple[tuple[int, int], dict[int, int]]:
    """Width and height of a JPEG, and how many blocks each component has, edges filled up."""
    height, width, n = struct.unpack_from(">HHB", body, 1)
    components = [(body[at], body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, 6 + 3 * n, 3)]
    most_across, most_down = max(x for _, x, _ in components), max(y for _, _, y in components)
    if not most_across or not most_down:
        raise ValueError("no samples")
    units = -(-width // (8 * most_across)) * -(-height // (8 * most_down))
    blocks: dict[int, int] = {}
    for component, x, y in components:
        blocks[component] = max(blocks.get(component, 0), units * x * y)
    return (width, height), blocks


# --- PNG

_SRGB_GAMMA = 45455
_SRGB_CORNERS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def _png(data: bytes) -> Readable:
    """Leaves of an animation its first picture, which may be another than the one for who knows no animations."""
    view = memoryview(data)
    kept: dict[bytes, bytes] = {}
    said: dict[bytes, bytes] = {}  # by the first chunk of each kind
    pixels, moving, at = [], [], 8
    is_hidden, n_moving = False, 0
    for _ in range(MAX_PARTS):
        length, kind = int.from_bytes(view[at : at + 4]), data[at + 4 : at + 8]
        body, crc = view[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        at += 12 + length
        is_whole = crc == zlib.crc32(body, zlib.crc32(kind)).to_bytes(4)
        if not is_whole and kind in (b"IHDR", b"PLTE", b"IDAT") and at <= len(data):
            raise ValueError("wrong checksum")
        if kind == b"IDAT":
            pixels.append(body)
        elif kind in (b"IHDR", b"PLTE") or (kind == b"tRNS" and is_whole and not pixels):
            kept.setdefault(kind, bytes(body))
        elif kind == b"eXIf" or (kind in (b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"acTL") and not pixels):
            if is_whole:
                said.setdefault(kind, bytes(body))
        elif kind == b"fcTL" and b"acTL" in said:
            n_moving += 1
            is_hidden |= n_moving == 1 and bool(pixels) and bytes(body[4:20]) == kept[b"IHDR"][:8] + bytes(8)
        elif kind == b"fdAT" and is_hidden and n_moving == 1:
            moving.append(body[4:])
        if kind == b"IEND" or at >= len(data):
            break
    else:
        raise ValueError("too many chunks")
    width, height, bit_depth, color_type = struct.unpack_from(">IIBB", kept[b"IHDR"])
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color_type]
    n_bits = channels * bit_depth
    too_slow = None
    if width * height * n_bits // 8 > MAX_PNG_BYTES:
        too_slow = Message("has {width} x {height} pixels of {n} bits", width=width, height=height, n=n_bits)
    memory = width * height * (4 if channels > 1 else 2 if bit_depth == 16 else 1) + 3 * 8 * width
    chunks: list[tuple[bytes, Sequence[bytes | memoryview]]] = [(kind, [body]) for kind, body in kept.items()]
    chunks += [(b"IDAT", moving or pixels), (b"IEND", [])]
    png: list[bytes | memoryview] = [data[:8]]
    for name, parts in chunks:
        checksum = zlib.crc32(name)
        for part in parts:
            checksum = zlib.crc32(part, checksum)
        png += [sum(map(len, parts)).to_bytes(4), name, *parts, checksum.to_bytes(4)]
    orientation = exif_orientation(said.get(b"eXIf", b""))
    return Readable("PNG", b"".join(png), (width, height), memory, too_slow, orientation, bit_depth, _png_profile(said))


def _png_profile(said: dict[bytes, bytes]) -> bytes | None:
    """The color profile, or what takes its place."""
    if b"iCCP" in said:
        return _inflated(said[b"iCCP"].partition(b"\0")[2][1:])
    if b"sRGB" in said or b"gAMA" not in said:
        return None
    (gamma,) = struct.unpack_from(">I", said[b"gAMA"])
    corners = struct.unpack_from(">8I", said[b"cHRM"]) if b"cHRM" in said else _SRGB_CORNERS
    if (gamma, corners) == (_SRGB_GAMMA, _SRGB_CORNERS):
        return None
    return profile_of(gamma / 100_000, [corner / 100_000 for corner in corners])


def _inflated(profile: bytes) -> bytes | None:
    """What a compressed profile holds; None where that is broken or too long."""
    try:
        inflated = zlib.decompressobj().decompress(profile, MAX_PROFILE + 1)
    except zlib.error:
        return None
    return inflated if len(inflated) <= MAX_PROFILE else None


# --- WebP

_HAS_METADATA = 0x08 | 0x04  # flags for EXIF and XMP


def _webp(data: bytes) -> Readable:
    """Leaves out all pictures of an animation but the first, too."""
    kept: list[tuple[bytes, bytes]] = []
    exif, has_picture, at = b"", False, 12
    data = data[: 8 + int.from_bytes(data[4:8], "little")]
    for _ in range(MAX_PARTS):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + length]
        if kind == b"EXIF":
            exif = exif or body
        elif kind == b"VP8X":
            kept.append((kind, bytes([body[0] & ~_HAS_METADATA]) + body[1:]))
        elif kind in (b"ALPH", b"ICCP", b"ANIM") or (kind in (b"VP8 ", b"VP8L", b"ANMF") and not has_picture):
            has_picture |= kind in (b"VP8 ", b"VP8L", b"ANMF")
            kept.append((kind, body))
        at += 8 + length + length % 2
        if at + 8 > len(data):
            break
    else:
        raise ValueError("too many chunks")
    if at > len(data) + 1:
        raise ValueError("cut short")
    kind, body = kept[0]
    if kind == b"VP8X":
        size = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    elif kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        size = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        size = int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    parts = [b"WEBP"]
    for kind, body in kept:
        parts += [kind, len(body).to_bytes(4, "little"), body, bytes(len(body) % 2)]
    webp = b"".join([b"RIFF", sum(map(len, parts)).to_bytes(4, "little"), *parts])
    # 4 bytes a pixel for this picture, the one before, the one that is decoded, its copy in Python, and Pillow's.
    return Readable("WEBP", webp, size, 16 * size[0] * size[1], orientation=exif_orientation(exif))


# --- GIF


def _gif(data: bytes) -> Readable:
    """Leaves out all that comes before the first picture but its transparency."""
    at = 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    head, control = data[:at], b""
    for _ in range(MAX_PARTS):
        if data[at] == 0x2C:
            break
        if data[at] != 0x21:
            raise ValueError("no picture")
        start, kind = at, data[at + 1]
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
        if kind == 0xF9:
            control = data[start:at]
    else:
        raise ValueError("too many blocks")
    width, height = struct.unpack_from("<HH", data, 6)
    left, top, across, down = struct.unpack_from("<HHHH", data, at + 1)
    size = max(width, left + across), max(height, top + down)
    box = left, top, left + across, top + down
    gif = b"".join([head, control, memoryview(data)[at:]])
    return Readable("GIF", gif, size, 3 * size[0] * size[1], box=box if box != (0, 0, *size) else None)


# --- BMP


def _bmp(data: bytes) -> Readable:
    if data[14] == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<IiHHI", data, 18)
    size = width, abs(height)
    is_packed = compression in (1, 2)
    is_slow = is_packed and (size[0] * size[1] > MAX_RLE_PIXELS or len(data) > MAX_RLE_BYTES)
    too_slow = Message("has {width} x {height} packed pixels", width=size[0], height=size[1]) if is_slow else None
    return Readable("BMP", data, size, size[0] * size[1] * (4 if bits > 8 else 3 if is_packed else 1), too_slow)


# --- TIFF

# Types of tags as `struct` writes them.
_TYPES = {1: "s", 2: "s", 3: "H", 4: "I", 5: "Q", 6: "b", 7: "s", 8: "h", 9: "i", 10: "q", 11: "f", 12: "d", 13: "I"}
_TYPES |= {16: "Q", 17: "q", 18: "Q"}
_BYTE, _SHORT, _LONG, _UNDEFINED, _LONG8 = 1, 3, 4, 7, 16
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION, _CHANNELS, _PROFILE = 256, 257, 258, 259, 274, 277, 34675
_STRIPS, _STRIP_HEIGHT, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 273, 278, 279, 322, 323, 324, 325
# Tags that say where the pixels are and what they mean.
_LISTS = {_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES}
_NUMBERS = {_WIDTH, _HEIGHT, _COMPRESSION, _CHANNELS, _STRIP_HEIGHT, _TILE_WIDTH, _TILE_HEIGHT}
_PIXELS = _LISTS | _NUMBERS | {_BITS, 254, 262, 266, 284, 292, 293, 317, 320, 332, 338, 339, 347, 529, 530, 531, 532}
# None, fax, LZW, JPEG, deflate and packed bits. The others are rare, and some of them bombs of their own.
_IS_JPEG = 7
_COMPRESSIONS = {1, 2, 3, 4, 5, _IS_JPEG, 8, 32773, 32946}


class _Directory:
    """The first directory of a TIFF, which is also what EXIF is: type, number and raw value of each tag."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
        if not self.order:
            raise ValueError("no directory")
        self.is_big = 43 in data[2:4]
        (start,) = self._unpack("Q" if self.is_big else "I", 8 if self.is_big else 4)
        (n,) = self._unpack("Q" if self.is_big else "H", start)
        start += 8 if self.is_big else 2
        size = 20 if self.is_big else 12
        if n > min(MAX_PARTS, (len(data) - start) // size):
            raise ValueError("directory cut short")
        form = "HHQ8s" if self.is_big else "HHI4s"
        entries = (self._unpack(form, start + i * size) for i in range(n))
        self.entries: dict[int, tuple[int, int, bytes]] = {
            tag: (kind, count, value) for tag, kind, count, value in entries if kind in _TYPES
        }

    def n_bytes(self, tag: int) -> int:
        """Size of a tag's values, as declared."""
        kind, count, _ = self.entries[tag]
        return count * struct.calcsize(f"={_TYPES[kind]}")

    def values(self, tag: int) -> tuple:
        """The values of a tag, none where it is missing; whoever asks has bounded how many there are."""
        if tag not in self.entries:
            return ()
        kind, count, value = self.entries[tag]
        form = f"{count}{_TYPES[kind]}"
        if self.n_bytes(tag) <= len(value):
            return struct.unpack_from(self.order + form, value)
        return self._unpack(form, *struct.unpack(self.order + ("Q" if self.is_big else "I"), value))

    def number(self, tag: int, default: int) -> int:
        """The value of a tag of one number."""
        values = self.values(tag)
        return values[0] if values else default

    def without_metadata(self) -> bytes:
        """The file with a directory of `_PIXELS` alone, behind what there was."""
        tags = sorted(self.entries.keys() & _PIXELS)
        form, size = ("HHQ8s", 8) if self.is_big else ("HHI4s", 4)
        head = self.data[:2] + struct.pack(self.order + "H", 43 if self.is_big else 42)
        head += self.data[4:8] if self.is_big else b""
        start = len(self.data) + len(self.data) % 2
        head += struct.pack(self.order + ("Q" if self.is_big else "I"), start)
        parts: list[bytes | memoryview] = [head, memoryview(self.data)[len(head) :], bytes(len(self.data) % 2)]
        parts.append(struct.pack(self.order + ("Q" if self.is_big else "H"), len(tags)))
        parts += (struct.pack(self.order + form, tag, *self.entries[tag]) for tag in tags)
        return b"".join([*parts, bytes(size)])

    def _unpack(self, form: str, start: int) -> tuple:
        if start > len(self.data):
            raise ValueError("cut short")
        return struct.unpack_from(self.order + form, self.data, start)


def _tiff(data: bytes) -> Readable | None:
    directory = _Directory(data)
    tags = directory.entries.keys() & _PIXELS
    for tag in tags & (_LISTS | _NUMBERS):
        kind, count, _ = directory.entries[tag]
        if kind not in (_SHORT, _LONG, _LONG8) or count > (MAX_PARTS if tag in _LISTS else 1):
            raise ValueError("not what this tag may hold")
    if (
        any(directory.n_bytes(tag) > MAX_TAG for tag in tags - _LISTS)
        or sum(map(directory.n_bytes, tags)) > len(data)
        # Each strip is copied before it is decoded, so strips that share their bytes are as bad as tags that do.
        or sum(directory.values(_STRIP_BYTES) + directory.values(_TILE_BYTES)) > len(data)
    ):
        raise ValueError("more declared than the file holds")
    compression = directory.number(_COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        return None
    places = _places(directory)
    if compression != 1 and not all(n_bytes for _, n_bytes in places):
        raise ValueError("strips without a size")  # libtiff would take the rest of the file for each
    size = directory.number(_WIDTH, 0), directory.number(_HEIGHT, 0)
    memory = 4 * size[0] * size[1] + _memory_of_part(directory, size)
    if compression == _IS_JPEG:
        memory += _memory_of_jpegs(data, places)
    kind, count, _ = directory.entries.get(_ORIENTATION, (0, 0, b""))
    orientation = directory.values(_ORIENTATION) if kind in (_SHORT, _LONG) and count == 1 else ()
    kind, count, _ = directory.entries.get(_PROFILE, (0, 0, b""))
    profile = directory.values(_PROFILE)[0] if kind in (_BYTE, _UNDEFINED) and count <= MAX_PROFILE else None
    tiff = directory.without_metadata()
    return Readable("TIFF", tiff, size, memory, orientation=_known(orientation), profile=profile)


def _places(directory: _Directory) -> list[tuple[int, int]]:
    """Where strips and tiles start, and their lengths."""
    lists = ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES))
    pairs = [(directory.values(starts), directory.values(sizes)) for starts, sizes in lists]
    return [place for starts, sizes in pairs for place in itertools.zip_longest(starts, sizes, fillvalue=0)]


def _memory_of_part(directory: _Directory, size: tuple[int, int]) -> int:
    """Bytes of the largest strip or tile, decoded."""
    width, height = size[0], min(size[1], directory.number(_STRIP_HEIGHT, size[1]))
    if tags := directory.entries.keys() & {_TILE_WIDTH, _TILE_HEIGHT, _TILES}:
        if len(tags) < 3:
            raise ValueError("tiles without a size")
        width, height = directory.number(_TILE_WIDTH, 0), directory.number(_TILE_HEIGHT, 0)
        if not width or not height:
            raise ValueError("tiles without a size")
        if -(-size[0] // width) * width * -(-size[1] // height) * height > MAX_TILED_PIXELS:
            raise TooMuchError("has tiles of {width} x {height} pixels", width=width, height=height)
    bits = [value for value in directory.values(_BITS) if isinstance(value, int)]
    return width * height * max(4, directory.number(_CHANNELS, 1) * max(bits, default=1) // 8)


def _memory_of_jpegs(data: bytes, places: list[tuple[int, int]]) -> int:
    """Bytes that a decoder takes for the largest JPEG that is a strip or tile."""
    memory, together = 0, _Scans(b"")
    for start, n_bytes in places:
        scans = _Scans(data[start : start + n_bytes])
        memory = max(memory, scans.memory)
        together.n_scans = scans.n_scans
        together.n_blocks += scans.n_blocks
        together.check()
    return memory


# --- AVIF

# What declares an item to be EXIF: a box "infe" of version 2 or 3 with flags, number, protection and type.
_EXIF_ITEM = re.compile(rb"(infe(?:\x02.{3}.{2}|\x03.{3}.{4}).{2})Exif", re.DOTALL)
_Box = tuple[int, int]  # where its body starts and ends


def _avif(data: bytes) -> Readable | None:
    """Hides EXIF and animation. EXIF may turn no AVIF; from what may, Pillow makes an EXIF block of its own."""
    top = _boxes(data, (0, len(data)))
    meta = _boxes(data, (top[b"meta"][0] + 4, top[b"meta"][1]))
    properties = _boxes(data, meta[b"iprp"])
    tables = [meta[kind] for kind in (b"iinf", b"iloc", b"iref") if kind in meta]
    tables += [where for kind, where in _all_boxes(data, meta[b"iprp"]) if kind == b"ipma"]
    if any(end - start > MAX_TABLE for start, end in tables):
        raise TooMuchError("has too many parts")
    types = _item_types(data, meta[b"iinf"])
    if b"av01" not in types.values():
        return None
    if len(data) > MAX_AVIF_BYTES:
        raise TooMuchError("has more than {limit} MB of AVIF", limit=MAX_AVIF_BYTES // 2**20)
    extents = _item_extents(data, meta[b"iloc"], meta.get(b"idat", (0, 0)))
    if any(sum(length for _, length in parts) > len(data) for parts in extents.values()):
        raise ValueError("more declared than the file holds")
    size = max(_declared_sizes(data, properties[b"ipco"]), key=lambda size: size[0] * size[1])
    n_pixels = memory = most_bytes = 0
    for item, parts in extents.items():
        if types.get(item) == b"av01":
            video = b"".join(data[start : start + length] for start, length in parts)
            n, n_frames, n_bytes = _video(video)
            n_pixels += n * n_frames
            memory += n * n_bytes * min(n_frames, 9)  # one and the eight that it may refer to
            most_bytes = max(most_bytes, n_bytes)
            if n_pixels > MAX_AV1_PIXELS:
                raise TooMuchError("has too many frames")
    memory *= 2 if b"grid" in types.values() else 1
    # What is decoded is scaled to the size declared, and becomes three pictures of 4 bytes a pixel on its way to us.
    memory = max(memory, most_bytes * size[0] * size[1]) + 12 * size[0] * size[1]
    shown = bytearray(_EXIF_ITEM.sub(rb"\1none", data))
    start, end = top[b"ftyp"]
    shown[start:end] = shown[start:end].replace(b"avis", b"avif")
    for kind, (start, _) in _all_boxes(data, (0, len(data))):
        if kind == b"moov":
            shown[start - 4 : start] = b"free"
    return Readable("AVIF", bytes(shown), size, memory)


def _boxes(data: bytes, where: _Box) -> dict[bytes, _Box]:
    """The first box of each kind."""
    found: dict[bytes, _Box] = {}
    for kind, body in _all_boxes(data, where):
        found.setdefault(kind, body)
    return found


def _all_boxes(data: bytes, where: _Box) -> Iterator[tuple[bytes, _Box]]:
    at, end = where
    for _ in range(MAX_PARTS):
        if at + 8 > end:
            return
        length, kind, head = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16]), 16
        elif length == 0:
            length = end - at
        if length < head or at + length > end:
            raise ValueError("box cut short")
        yield kind, (at + head, at + length)
        at += length
    raise ValueError("too many boxes")


def _item_types(data: bytes, where: _Box) -> dict[int, bytes]:
    start, end = where
    types = {}
    for kind, (at, _) in _all_boxes(data, (start + (6 if data[start] == 0 else 8), end)):
        if kind == b"infe":
            width = 2 if data[at] < 3 else 4
            types[int.from_bytes(data[at + 4 : at + 4 + width])] = data[at + 6 + width : at + 10 + width]
    return types


def _item_extents(data: bytes, where: _Box, own_data: _Box) -> dict[int, list[tuple[int, int]]]:
    """Where the bytes of each item lie: starts and lengths."""
    at = where[0]

    def number(n_bytes: int) -> int:
        nonlocal at
        if at + n_bytes > where[1]:
            raise ValueError("table cut short")
        at += n_bytes
        return int.from_bytes(data[at - n_bytes : at])

    version = number(4) >> 24
    sizes = number(2)
    of_offset, of_length, of_base, of_index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    extents: dict[int, list[tuple[int, int]]] = {}
    for _ in range(number(2 if version < 2 else 4)):
        item = number(2 if version < 2 else 4)
        method = number(2) & 15 if version else 0
        number(2)
        base = number(of_base) + (own_data[0] if method == 1 else 0)
        for _ in range(number(2)):
            number(of_index if version else 0)
            start = base + number(of_offset)
            extents.setdefault(item, []).append((start, number(of_length)))
    return extents


def _declared_sizes(data: bytes, where: _Box) -> list[tuple[int, int]]:
    return [struct.unpack_from(">II", data, at + 4) for kind, (at, _) in _all_boxes(data, where) if kind == b"ispe"]


def _video(data: bytes) -> tuple[int, int, int]:
    """What AV1 data have: pixels of the largest frame, how many frames, and bytes of a pixel at most."""
    n_pixels = n_frames = n_bytes = at = 0
    for _ in range(MAX_PARTS):
        if at >= len(data):
            return n_pixels, n_frames, n_bytes
        kind, is_extended, has_length = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + is_extended
        length = 0
        for i in range(8 if has_length else 0):
            at += 1
            length |= (data[at - 1] & 127) << 7 * i
            if data[at - 1] < 128:
                break
        if not has_length:
            length = len(data) - at
        if kind == 1:
            width, height, profile = _sequence(data[at : at + min(length, 1000)])
            n_pixels = max(n_pixels, width * height)
            n_bytes = max(n_bytes, 3 if profile == 0 else 6)
        elif kind in (3, 6):
            n_frames += 1
        at += length
    raise ValueError("too many parts")


def _sequence(header: bytes) -> tuple[int, int, int]:
    """Width, height and profile that a sequence header of AV1 gives; the names are those of its specification."""
    bits, left = int.from_bytes(header), 8 * len(header)

    def f(n: int) -> int:
        nonlocal left
        left -= n
        if left < 0:
            raise ValueError("header cut short")
        return bits >> left & (1 << n) - 1

    profile, _, reduced_still_picture_header = f(3), f(1), f(1)
    if reduced_still_picture_header:
        f(5)
    else:
        delay_length = 0
        if f(1):  # timing_info_present_flag
            f(64)
            if f(1):  # equal_picture_interval
                n_zeros = 0
                while not f(1):
                    n_zeros += 1
                f(n_zeros)
            if f(1):  # decoder_model_info_present_flag
                delay_length = f(5) + 1
                f(42)
        initial_display_delay_present_flag = f(1)
        for _ in range(f(5) + 1):  # operating_points_cnt_minus_1
            f(12)
            if f(5) > 7:  # seq_level_idx
                f(1)
            if delay_length and f(1):  # decoder_model_present_for_this_op
                f(2 * delay_length + 1)
            if initial_display_delay_present_flag and f(1):
                f(4)
    width_bits, height_bits = f(4) + 1, f(4) + 1
    return f(width_bits) + 1, f(height_bits) + 1, profile

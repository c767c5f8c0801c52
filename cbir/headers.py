"""What the file of a photo says of itself, read with bounded work before any decoder sees it.

Decoders believe what a file declares, and a stranger's may declare anything: a directory whose thousands of tags all
point at the same megabyte, which is then copied for each of them. So no decoder sees metadata: `read` leaves of a file
what shows, pixels and colors, and finds the orientation itself. Nothing here decodes a pixel.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_PARTS = 100_000  # segments, chunks, blocks, strips or tiles of a file; ordinary files of 25 MB have some thousands
MAX_PROFILE = 4 * 2**20  # bytes of a color profile; those of printing presses have 3 MB
MAX_TAG = 2**19  # bytes of one tag of a TIFF; the largest is a palette of 65,536 colors

# A progressive JPEG of a camera or a web site goes over its picture in about 10 scans, and a decoder over all blocks of
# each, however few bytes it has. 14 million blocks are 10 scans of 64 megapixels, colors at full resolution; 20 million
# take a second. libtiff stops at the 100th scan too.
MAX_SCANS = 100
MAX_SCANNED_BLOCKS = 20_000_000

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
    """To decode this file would take too much time or memory; the text says what it has."""


@dataclass(frozen=True)
class Readable:
    """A file that a decoder may see.

    Attributes:
        format: Pillow's name of its format.
        data: the file without its metadata.
        orientation: as in EXIF, 1 to 8: 1 is upright.
        bit_depth: of the samples of a PNG; else 8.
        profile: the color profile, where it was taken out of the file.
    """

    format: str
    data: bytes
    orientation: int = 1
    bit_depth: int = 8
    profile: bytes | None = None


def read(data: bytes) -> Readable | None:
    """Find out what a file is, and leave out what is not to be decoded.

    Returns:
        None where it is no photo of a known format.

    Raises:
        TooMuchError: a decoder would need too much time or memory.
        ValueError, LookupError, struct.error: the file is damaged or cut short.
    """
    readers = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif, "TIFF": _tiff, "AVIF": _avif}
    for name, magic in _MAGIC.items():
        if len(data) > 16 and re.match(magic, data, re.DOTALL):
            return readers[name](data) if name in readers else Readable(name, data)
    return None


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


# --- JPEG

# What begins a segment: no stuffed zero, and neither a restart (D0 to D7) nor TEM (01), which have no length.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _APP14, _COMMENT = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive
_OTHER_FRAMES = {*range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC}  # lossless or arithmetic: no browser shows these


def _jpeg(data: bytes) -> Readable | None:
    kept, exif, at = [data[:2]], b"", 2
    for _ in range(MAX_PARTS):
        marker, start, end = _segment(data, at)
        if marker in _OTHER_FRAMES:
            return None
        if marker == _SOS:
            _check_scans([data])
            return Readable("JPEG", b"".join([*kept, data[start:]]), exif_orientation(exif))
        body = data[start + 4 : end]
        if marker == _APP1 and body.startswith(b"Exif\0\0") and not exif:
            exif = body
        is_metadata = marker == _COMMENT or marker & 0xF0 == _APP0
        is_color = marker in (_APP0, _APP14) or (marker == _APP2 and body.startswith(b"ICC_PROFILE\0"))
        if is_color or not is_metadata:
            kept.append(data[start:end])
        at = end
    raise ValueError("too many segments")


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


def _check_scans(jpegs: Iterable[bytes]) -> None:
    """Raises where scans are more work than those of any camera."""
    n_scans, n_blocks = 0, 0
    for jpeg in jpegs:
        for n in _scans(jpeg):
            n_scans += 1
            n_blocks += n
            if n_scans > MAX_SCANS or n_blocks > MAX_SCANNED_BLOCKS:
                raise TooMuchError("too many scans")
        n_scans = 0


def _scans(jpeg: bytes) -> Iterator[int]:
    """The number of blocks in each scan, found as a decoder does. The last may be cut short: that, decoders tell."""
    blocks: dict[int, int] = {}
    at = 2
    for _ in range(MAX_PARTS):
        try:
            marker, start, at = _segment(jpeg, at)
        except ValueError:
            return
        body = jpeg[start + 4 : at]
        if marker == _EOI:
            return
        if marker in _FRAMES:
            blocks = _blocks(body)
        elif marker == _SOS:
            yield sum(blocks[component] for component in body[1 : 1 + 2 * body[0] : 2])
    raise ValueError("too many segments")


def _blocks(frame: bytes) -> dict[int, int]:
    """How many blocks of 8 x 8 samples each component of a JPEG has, edges filled up."""
    height, width, n = struct.unpack_from(">HHB", frame, 1)
    components = [(frame[at], frame[at + 1] >> 4, frame[at + 1] & 15) for at in range(6, 6 + 3 * n, 3)]
    most_across, most_down = max(x for _, x, _ in components), max(y for _, _, y in components)
    if not most_across or not most_down:
        raise ValueError("no samples")
    units = -(-width // (8 * most_across)) * -(-height // (8 * most_down))
    blocks: dict[int, int] = {}
    for component, x, y in components:
        blocks[component] = max(blocks.get(component, 0), units * x * y)
    return blocks


# --- PNG


def _png(data: bytes) -> Readable:
    kept: dict[bytes, bytes] = {}
    pixels, profile, orientation, at = [], None, 1, 8
    for _ in range(MAX_PARTS):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        body, crc = data[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        at += 12 + length
        is_whole = crc == zlib.crc32(kind + body).to_bytes(4)
        if not is_whole and kind in (b"IHDR", b"PLTE", b"IDAT") and at <= len(data):
            raise ValueError("wrong checksum")
        if kind == b"IDAT":
            pixels.append(body)
        elif kind in (b"IHDR", b"PLTE") or (kind == b"tRNS" and is_whole and not pixels):
            kept.setdefault(kind, body)
        elif kind == b"iCCP" and is_whole and not pixels:
            profile = _inflated(body.partition(b"\0")[2][1:])
        elif kind == b"eXIf" and is_whole:
            orientation = exif_orientation(body)
        if kind == b"IEND" or at >= len(data):
            break
    else:
        raise ValueError("too many chunks")
    header = kept[b"IHDR"]
    chunks = [*kept.items(), (b"IDAT", b"".join(pixels)), (b"IEND", b"")]
    png = b"".join([data[:8], *(_png_chunk(kind, body) for kind, body in chunks)])
    return Readable("PNG", png, orientation, header[8], profile)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(body, zlib.crc32(kind)).to_bytes(4)


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
    kept, exif, at = [], b"", 12
    for _ in range(MAX_PARTS):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + length]
        if kind == b"EXIF":
            exif = exif or body
        elif kind == b"VP8X":
            kept.append(data[at : at + 8] + bytes([body[0] & ~_HAS_METADATA]) + body[1:])
        elif kind in (b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"ANIM", b"ANMF"):
            kept.append(data[at : at + 8] + body + bytes(length % 2))
        at += 8 + length + length % 2
        if at + 8 > len(data):
            break
    else:
        raise ValueError("too many chunks")
    chunks = b"WEBP" + b"".join(kept)
    return Readable("WEBP", b"RIFF" + len(chunks).to_bytes(4, "little") + chunks, exif_orientation(exif))


# --- GIF


def _gif(data: bytes) -> Readable:
    """Leaves out all that comes before the first picture but its transparency."""
    at = 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    head, control = data[:at], b""
    for _ in range(MAX_PARTS):
        if data[at] == 0x2C:
            return Readable("GIF", head + control + data[at:])
        if data[at] != 0x21:
            raise ValueError("no picture")
        start, kind = at, data[at + 1]
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
        if kind == 0xF9:
            control = data[start:at]
    raise ValueError("too many blocks")


# --- TIFF

# Types of tags as `struct` writes them.
_TYPES = {1: "s", 2: "s", 3: "H", 4: "I", 5: "Q", 6: "b", 7: "s", 8: "h", 9: "i", 10: "q", 11: "f", 12: "d", 13: "I"}
_TYPES |= {16: "Q", 17: "q", 18: "Q"}
_BYTE, _SHORT, _LONG, _UNDEFINED, _LONG8 = 1, 3, 4, 7, 16
_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES, _ORIENTATION, _PROFILE = 273, 279, 324, 325, 274, 34675
_COMPRESSION, _IS_JPEG = 259, 7
# Tags that say where the pixels are and what they mean.
_LISTS = {_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES}
_PIXELS = _LISTS | {254, 256, 257, 258, 259, 262, 266, 277, 278, 284, 292, 293, 317, 320, 322, 323, 332, 338, 339, 347}
_PIXELS |= {529, 530, 531, 532}


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

    def without_metadata(self) -> bytes:
        """The file with a directory of `_PIXELS` alone, behind what there was."""
        tags = sorted(self.entries.keys() & _PIXELS)
        form, size = ("HHQ8s", 8) if self.is_big else ("HHI4s", 4)
        head = self.data[:2] + struct.pack(self.order + "H", 43 if self.is_big else 42)
        head += self.data[4:8] if self.is_big else b""
        start = len(self.data) + len(self.data) % 2
        head += struct.pack(self.order + ("Q" if self.is_big else "I"), start)
        parts = [head, self.data[len(head) :], bytes(len(self.data) % 2)]
        parts.append(struct.pack(self.order + ("Q" if self.is_big else "H"), len(tags)))
        parts += (struct.pack(self.order + form, tag, *self.entries[tag]) for tag in tags)
        return b"".join([*parts, bytes(size)])

    def _unpack(self, form: str, start: int) -> tuple:
        if start > len(self.data):
            raise ValueError("cut short")
        return struct.unpack_from(self.order + form, self.data, start)


def _tiff(data: bytes) -> Readable:
    directory = _Directory(data)
    tags = directory.entries.keys() & _PIXELS
    for tag in tags & _LISTS:
        kind, count, _ = directory.entries[tag]
        if kind not in (_SHORT, _LONG, _LONG8) or count > MAX_PARTS:
            raise ValueError("not a list of strips or tiles")
    if (
        any(directory.n_bytes(tag) > MAX_TAG for tag in tags - _LISTS)
        or sum(map(directory.n_bytes, tags)) > len(data)
        # Each strip is copied before it is decoded, so strips that share their bytes are as bad as tags that do.
        or sum(directory.values(_STRIP_BYTES) + directory.values(_TILE_BYTES)) > len(data)
    ):
        raise ValueError("more declared than the file holds")
    if directory.values(_COMPRESSION) == (_IS_JPEG,):
        for starts, sizes in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
            places = zip(directory.values(starts), directory.values(sizes), strict=True)
            _check_scans(data[start : start + size] for start, size in places)
    kind, count, _ = directory.entries.get(_ORIENTATION, (0, 0, b""))
    orientation = directory.values(_ORIENTATION) if kind in (_SHORT, _LONG) and count == 1 else ()
    kind, count, _ = directory.entries.get(_PROFILE, (0, 0, b""))
    profile = directory.values(_PROFILE)[0] if kind in (_BYTE, _UNDEFINED) and count <= MAX_PROFILE else None
    return Readable("TIFF", directory.without_metadata(), _known(orientation), profile=profile)


# --- AVIF

# What declares an item to be EXIF: a box "infe" of version 2 or 3 with flags, number, protection and type.
_EXIF_ITEM = re.compile(rb"(infe(?:\x02.{3}.{2}|\x03.{3}.{4}).{2})Exif", re.DOTALL)


def _avif(data: bytes) -> Readable:
    """Hides which part is EXIF, as it may turn no AVIF; from what may, Pillow makes an EXIF block of its own."""
    return Readable("AVIF", _EXIF_ITEM.sub(rb"\1none", data))

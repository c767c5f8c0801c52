"""Small files that make decoders take gigabytes or minutes, each by a way of its own.

    python -m tests.bombs [--write]

loads each in a process of limited memory, and prints what came of them, and the most memory and seconds of the
processor that one took; --write puts the table into docs/reliability.md.
"""

import argparse
import io
import struct
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def photo() -> Image.Image:
    """A small picture to hide things in: red, its top left corner blue."""
    image = Image.new("RGB", (64, 48), (200, 30, 40))
    image.paste((40, 60, 190), (0, 0, 16, 16))
    return image


def tiff(entries: list[tuple], rest: bytes = b"", big: bool = False) -> bytes:
    """A little-endian TIFF of one directory of (tag, type, count, value), at the end, behind `rest` at 16."""
    head = b"II+\0\x08\0\0\0" if big else b"II*\0"
    form, number, last = ("<HHQQ", "<Q", 8) if big else ("<HHII", "<H", 4)
    start = struct.pack("<Q" if big else "<I", 16 + len(rest))
    directory = struct.pack(number, len(entries)) + b"".join(struct.pack(form, *entry) for entry in entries)
    return (head + start).ljust(16, b"\0") + rest + directory + bytes(last)


def grey_tiff(side: int = 8, compression: int = 1, strips: Sequence[tuple] = ()) -> list[tuple]:
    """Entries of a grey picture; without others of one raw strip at 16."""
    values = [(256, 3, 1, side), (257, 3, 1, side), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)]
    return [*values, *(strips or ((273, 4, 1, 16), (278, 3, 1, side), (279, 4, 1, side * side)))]


def shared_tags(n: int = 3000, kind: int = 7, n_bytes: int = 2**20, first: int = 1000, big: bool = False) -> bytes:
    """A TIFF of 8 x 8 pixels with n tags that share their bytes; it is EXIF too."""
    size = {7: 1, 3: 2, 4: 4, 5: 8}[kind]
    tags = [(first + i, kind, n_bytes // size, 16) for i in range(n)]
    return tiff(sorted(grey_tiff() + tags), bytes(n_bytes), big)


def many_strips(n: int, width: int, compression: int, n_bytes: int, rest: bytes) -> bytes:
    """A TIFF of n rows that all are at `rest`, each a strip of that many bytes."""
    lists = struct.pack("<I", 16 + 8 * n) * n + struct.pack("<I", n_bytes) * n
    entries = [(256, 4, 1, width), (257, 4, 1, n), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)]
    return tiff([*entries, (273, 4, n, 16), (278, 4, 1, 1), (279, 4, n, 16 + 4 * n)], lists + rest)


def in_jpeg(exif: bytes) -> bytes:
    """A JPEG with EXIF of any length, as Pillow joins it from segments."""
    jpeg = encoded(photo(), "JPEG")
    segments = (exif[i : i + 65_000] for i in range(0, len(exif), 65_000))
    parts = (b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in segments)
    return jpeg[:2] + b"".join(parts) + jpeg[2:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def in_png(exif: bytes, is_last: bool = False) -> bytes:
    """A PNG with EXIF, before the pixels or behind them."""
    png = encoded(photo(), "PNG")
    at = len(png) - 12 if is_last else 33
    return png[:at] + png_chunk(b"eXIf", exif) + png[at:]


def in_avif(exif: bytes) -> bytes:
    """An AVIF with EXIF, which Pillow would unpack to write it: so it writes one whose directory is empty."""
    empty = exif[:4] + struct.pack("<I", 16) + exif[8:]
    avif = encoded(photo(), "AVIF", exif=empty)
    assert empty in avif
    return avif.replace(empty[:16], exif[:16])


def jpeg_with_view(n: int = 3000) -> bytes:
    """A JPEG whose list of further views is such a directory."""
    jpeg = encoded(photo(), "JPEG")
    body = b"MPF\0" + shared_tags(n, n_bytes=2**14)[:65_000]
    return jpeg[:2] + b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def long_comment(n_bytes: int = 20 * 2**20) -> bytes:
    """A GIF with a comment in small blocks, each of which is appended to a copy of those before."""
    gif = encoded(photo(), "GIF")
    palette = 13 + 3 * 2 ** ((gif[10] & 7) + 1)
    comment = b"!\xfe" + (b"\xff" + bytes(255)) * (n_bytes // 256) + b"\0"
    return gif[:palette] + comment + gif[palette:]


def many_tables() -> bytes:
    """Tables of a JPEG, all but the last for nothing."""
    return segment(0xDB, (b"\0" + b"\1" * 64) * 1000) * 370


def many_profiles(n: int = 5000) -> bytes:
    """A PNG of n color profiles of 4 MB each, packed."""
    png = encoded(photo(), "PNG")
    return png[:33] + png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**22))) * n + png[33:]


TAGS = {
    "tags.tif": lambda: shared_tags(),
    "tags_big.tif": lambda: shared_tags(big=True),
    "tags_of_pixels.tif": lambda: tiff(
        [(tag, 7, 2**20, 16) for tag in (254, 266, 284, 292, 293, 317, 320, 332, 338, 339, 347, 530)], bytes(2**20)
    ),
    "strips.tif": lambda: tiff(grey_tiff(strips=((273, 4, 2**20, 16), (279, 4, 2**20, 16))), bytes(2**22)),
    "shared_strips.tif": lambda: many_strips(250, 250, 5, 2**20, bytes(2**20)),
    "strips_of_no_size.tif": lambda: many_strips(20_000, 1000, 8, 0, zlib.compress(bytes(1000)) + bytes(20 * 2**20)),
    "tables.jpg": lambda: encoded(photo(), "JPEG").replace(b"\xff\xdb", many_tables() + b"\xff\xdb", 1),
    "tags.jpg": lambda: in_jpeg(shared_tags()),
    "rationals.jpg": lambda: in_jpeg(shared_tags(1, 5, 16 * 2**20, 282)),
    "views.jpg": lambda: jpeg_with_view(),
    "tags.png": lambda: in_png(shared_tags()),
    "tags_last.png": lambda: in_png(shared_tags(), is_last=True),
    "tags.webp": lambda: encoded(photo(), "WEBP", exif=b"Exif\0\0" + shared_tags()),
    "tags.avif": lambda: in_avif(shared_tags()),
    "comment.gif": lambda: long_comment(),
    "profiles.png": lambda: many_profiles(),
}


# --- scans


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def bits(text: str) -> bytes:
    """Bits as the data of a scan."""
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8).replace(b"\xff", b"\xff\0")


def many_scans(n: int, width: int = 8000, height: int = 7992, between: bytes = b"") -> bytes:
    """A progressive grey JPEG of n scans, all but the first of which leave every block as it is."""
    n_blocks = -(-width // 8) * -(-height // 8)
    one_code = b"\x01" + bytes(15)  # a Huffman table of one code: a 0
    start = segment(0xDB, b"\0" + b"\1" * 64) + segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")
    # DC: no difference. AC: the end of band for the next 16,384 blocks and as many more as 14 bits say.
    start += segment(0xC4, b"\0" + one_code + b"\0") + segment(0xC4, b"\x10" + one_code + b"\xe0")
    first = segment(0xDA, b"\1\1\0\0\0\0") + bits("0" * n_blocks)
    codes = ""
    for at in range(0, n_blocks, 2**15 - 1):
        codes += "0" + format(max(0, min(2**15 - 1, n_blocks - at) - 2**14), "014b")
    second = segment(0xDA, b"\1\1\0\1\x3f\1") + bits(codes)
    refinement = segment(0xDA, b"\1\1\0\1\x3f\x10") + bits(codes)
    return b"\xff\xd8" + start + first + second + (between + refinement) * (n - 2) + b"\xff\xd9"


def in_tiff(jpeg: bytes, width: int, height: int) -> bytes:
    """A grey JPEG as the only strip of a TIFF."""
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 7), (262, 3, 1, 1)]
    return tiff([*entries, (273, 4, 1, 16), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, len(jpeg))], jpeg)


SCANS = {
    "scans.jpg": lambda: many_scans(1000),
    "scans_between_comments.jpg": lambda: many_scans(1000, between=segment(0xFE, b"\xff\xd9")),
    "scans_between_garbage.jpg": lambda: many_scans(1000, between=b"\xff\x01\xff\xd0\0\xff\xff\0"),
    "scans_not_too_many.jpg": lambda: many_scans(90),
    "scans_of_a_strip.jpg": lambda: many_scans(50_000, 8, 8),
    "scans.tif": lambda: in_tiff(many_scans(99, 8000, 7992), 8000, 7992),
}


# --- small files, large pictures


def flat_png(width: int, height: int, bit_depth: int = 8, color_type: int = 6, filter: int = 0) -> bytes:
    """A PNG of zeros, whatever its size."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color_type]
    row = bytes([filter]) + bytes(-(-width * channels * bit_depth // 8))
    deflate = zlib.compressobj(1)
    pixels = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, bit_depth, color_type, 0, 0, 0)
    palette = png_chunk(b"PLTE", bytes(3)) if color_type == 3 else b""
    body = png_chunk(b"IHDR", header) + palette + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def flat_webp(side: int) -> bytes:
    """A WebP of one color, of any size."""
    small = encoded(Image.new("RGBA", (8, 8), (1, 2, 3, 4)), "WEBP", lossless=True, method=0, quality=0)
    at = small.index(b"VP8L") + 9
    bits = int.from_bytes(small[at : at + 4], "little") & ~0xFFFFFFF | (side - 1) << 14 | side - 1
    webp = small[:at] + bits.to_bytes(4, "little") + small[at + 4 :]
    if b"VP8X" not in webp:
        return webp
    at, edge = webp.index(b"VP8X") + 12, (side - 1).to_bytes(3, "little")
    return webp[:at] + edge + edge + webp[at + 6 :]


def flat_gif(width: int, height: int) -> bytes:
    """A GIF that ends after its first row, but declares all."""
    data = bytearray(encoded(Image.new("P", (8, 8)), "GIF"))
    at = data.index(b",")
    data[6:10] = data[at + 5 : at + 9] = struct.pack("<HH", width, height)
    return bytes(data)


def tiled_tiff(side: int, tile: int, n: int = 1, compression: int = 8, bits: int = 8, channels: int = 1) -> bytes:
    """A TIFF of n tiles that are larger than the picture."""
    pixels = zlib.compress(bytes(1000))
    entries = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, bits), (259, 3, 1, compression), (262, 3, 1, 1)]
    entries += [(277, 3, 1, channels), (322, 4, 1, tile), (323, 4, 1, tile), (324, 4, n, 16), (325, 4, n, len(pixels))]
    return tiff(entries, pixels)


def packed_bmp(width: int, height: int, n_steps: int) -> bytes:
    """A BMP of many steps that each bring nothing."""
    head = struct.pack("<IIIIiiHHIIiiII", 0, 0, 54 + 1024, 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + head + bytes(range(256)) * 4 + b"\x01\0" * n_steps


def avif_of(video: bytes, width: int, height: int) -> bytes:
    """An AVIF of these AV1 data, whatever their size, that declares this one."""
    avif = encoded(Image.new("RGB", (16, 16), (200, 30, 40)), "AVIF")
    at = avif.index(b"iloc") + 4
    start = int.from_bytes(avif[at + 14 : at + 18])
    assert avif[start - 4 : start] == b"mdat"
    head = avif[: at + 18] + struct.pack(">I", len(video)) + avif[at + 22 : start - 8]
    at = head.index(b"ispe") + 8
    head = head[:at] + struct.pack(">II", width, height) + head[at + 8 :]
    return head + struct.pack(">I", 8 + len(video)) + b"mdat" + video


def av1_of(side: int = 16) -> bytes:
    """The AV1 data of a small picture, with another size in the header of the sequence."""
    avif = encoded(Image.new("RGB", (16, 16), (200, 30, 40)), "AVIF")
    video = avif[avif.index(b"mdat") + 4 :]
    at = video.index(b"\x0a")
    return video if side == 16 else video[:at] + sequence(side) + video[at + 2 + video[at + 1] :]


def sequence(side: int) -> bytes:
    """The header of a sequence of still pictures, up to its size."""
    width = f"{side - 1:016b}"
    return b"\x0a\x08" + int(("000" + "11" + "00000" + "1111" + "1111" + 2 * width).ljust(64, "0"), 2).to_bytes(8)


def profile_of_many_steps(n: int) -> bytes:
    """A color profile that calculates the same n times."""
    step = b"matf" + bytes(4) + struct.pack(">HH12f", 3, 3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    chain = b"mpet" + bytes(4) + struct.pack(">HHI", 3, 3, n) + struct.pack(">II", 16 + 8 * n, len(step)) * n + step
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061)
    table = struct.pack(">I4sII4sII", 2, b"D2B0", 156, len(chain), b"wtpt", 156 + len(chain), len(white))
    head = b"    " + struct.pack(">I", 0x04300000) + b"mntrRGB XYZ " + bytes(12) + b"acsp"
    head = head.ljust(64, b"\0") + struct.pack(">iii", 63190, 65536, 54061)
    body = head.ljust(124, b"\0") + table + chain + white
    return struct.pack(">I", 4 + len(body)) + body


REFUSED_FOR_SIZE = {
    "small.webp": lambda: flat_webp(8000),
    "wide.png": lambda: flat_png(16_000_000, 4),
    "high.png": lambda: flat_png(4, 70_000),
    "deep.png": lambda: flat_png(8000, 8000, 16, 6),
    "large.png": lambda: flat_png(8001, 8000, 1, 0),
    "large.gif": lambda: flat_gif(65_535, 65_535),
    "far.gif": lambda: flat_gif(8, 8).replace(b",\0\0\0\0", b",\xff\xff\xff\xff"),
    "tile.tif": lambda: tiled_tiff(16, 32_768),
    "tiles.tif": lambda: tiled_tiff(8192, 9000),
    "deep_tile.tif": lambda: tiled_tiff(16, 7984, bits=64, channels=6),
    "strip.tif": lambda: tiff(
        [(256, 4, 1, 7000), (257, 4, 1, 7000), (258, 3, 1, 64), (259, 3, 1, 8), (273, 4, 1, 8), (279, 4, 1, 8)]
    ),
    "packed.bmp": lambda: packed_bmp(2048, 2048, 10),
    "steps.bmp": lambda: packed_bmp(100, 100, 5_000_000),
    "large.avif": lambda: avif_of(av1_of(), 7000, 7000),
    "large_inside.avif": lambda: avif_of(av1_of(16_384), 16, 16),
    "frames.avif": lambda: avif_of(av1_of(4000) * 10, 4000, 4000),
}
TAKEN = {
    "fit.webp": lambda: flat_webp(4896),
    "fit.png": lambda: flat_png(8000, 8000),
    "fit_deep.png": lambda: flat_png(8000, 8000, 16, 2),
    "fit_palette.png": lambda: flat_png(8000, 8000, 8, 3),
    "fit_wide.png": lambda: flat_png(65_535, 900),
    "fit.gif": lambda: encoded(Image.new("P", (8000, 8000)), "GIF"),
    "fit.jpg": lambda: encoded(Image.new("RGB", (8000, 8000), (200, 30, 40)), "JPEG"),
    "fit_progressive.jpg": lambda: encoded(Image.new("RGB", (8000, 8000)), "JPEG", progressive=True),
    "fit.tif": lambda: encoded(Image.new("F", (6000, 6000)), "TIFF", compression="tiff_adobe_deflate"),
    "fit.avif": lambda: encoded(Image.new("RGB", (4600, 4600), (200, 30, 40)), "AVIF", speed=10),
    "rows.tif": lambda: many_strips(65_000, 900, 1, 1, bytes(900)),
    "profile.png": lambda: encoded(photo(), "PNG", icc_profile=profile_of_many_steps(100_000)),
}


def table() -> str:
    """What came of each group."""
    from tests.limited import load_all
    from train.evaluation.markdown import markdown_table

    groups = {"tags that share their bytes": TAGS, "scans": SCANS, "large pictures": REFUSED_FOR_SIZE}
    groups["as large as may be"] = TAKEN
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, makers in groups.items():
            paths = [Path(folder) / file for file in makers]
            for path, make in zip(paths, makers.values(), strict=True):
                path.write_bytes(make())
            done = load_all(paths, seconds=600)
            n_read = sum("expected" not in one["answer"] for one in done)
            largest = max(path.stat().st_size for path in paths) / 1024
            most = f"{max(one['mb'] for one in done):,} MB", f"{max(one['seconds'] for one in done):.2f} s"
            counts = [len(done), n_read, len(done) - n_read]
            rows.append([name, *map(str, counts), f"{largest:,.0f} kB", *most])
    return markdown_table(["files", "tried", "read", "refused", "largest file", "most memory", "most time"], rows)


def main() -> None:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    args = parser.parse_args()
    text = table()
    print(text)
    if args.write:
        from tests.limited import ROOT
        from train.cli import write_section

        write_section(ROOT / "docs" / "reliability.md", "bombs", text)


if __name__ == "__main__":
    main()

"""Files made to take all memory or time: each is read or refused, in little of both."""

import contextlib
import io
import os
import re
import struct
import sys
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageCms

from cbir import images
from cbir.errors import ImageError
from cbir.headers import exif_orientation, read
from cbir.images import load_image
from tests import bombs
from tests.bombs import encoded, photo, png_chunk
from tests.cbir.test_images import GREEN, RED, WHITE, assert_close, pixel, swapped_srgb_profile

if sys.platform != "linux":
    pytest.skip("limits a process as Linux does", allow_module_level=True)

from tests.fuzz_images import fuzz
from tests.limited import MAX_MB, load_all


def answers(makers, tmp_path, seconds=300):
    """What comes of each bomb in a limited process, and the check that it took little memory."""
    for name, make in makers.items():
        (tmp_path / name).write_bytes(make())
    loaded = load_all([tmp_path / name for name in makers], seconds)
    assert [took for took in loaded if took["mb"] >= MAX_MB] == []
    return {took["file"]: took["answer"] for took in loaded}


# --- tags that share their bytes


def test_tags_that_share_their_bytes(tmp_path):
    loaded = answers(bombs.TAGS, tmp_path)
    refused = {name for name, answer in loaded.items() if "damaged or cut short" in answer}
    # What a decoder has to see.
    assert refused == {
        "tables.jpg",
        *(f"{name}.tif" for name in ("tags_of_pixels", "strips", "shared_strips", "strips_of_no_size")),
    }
    assert loaded.pop("tags.tif") == loaded.pop("tags_big.tif") == "8 x 8"
    assert {loaded[name] for name in loaded.keys() - refused} == {"64 x 48"}


@pytest.mark.parametrize("name", ["tags.jpg", "tags.png", "tags_last.png", "tags.webp", "tags.avif"])
def test_photos_with_refused_metadata_look_as_they_do_without(name):
    image = load_image(bombs.TAGS[name]())
    assert_close(pixel(image, 40, 30), (200, 30, 40), 12)
    assert_close(pixel(image, 5, 5), (40, 60, 190), 12)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF"])
def test_decoders_see_no_metadata(format):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "secret of EXIF"
    options = {} if format == "GIF" else {"exif": exif}
    if format in ("JPEG", "WEBP", "AVIF"):
        options["xmp"] = b"<x:xmpmeta>tiff:Orientation='6'</x:xmpmeta>"
    if format in ("JPEG", "GIF"):
        options["comment"] = b"secret of a comment"
    readable = read(encoded(photo(), format, **options))
    assert readable.orientation == (1 if format in ("GIF", "AVIF") else 6)
    image = Image.open(io.BytesIO(readable.data), formats=[format])
    image.load()
    assert not {"comment", "xmp", "mp", "photoshop"} & set(image.info) or format == "AVIF"
    assert not image.getexif().get(0x010E)
    assert image.convert("RGB").tobytes() == Image.open(io.BytesIO(readable.data)).convert("RGB").tobytes()
    if format in ("PNG", "GIF", "TIFF"):
        assert image.convert("RGB").tobytes() == photo().tobytes()


# --- scans


def test_jpegs_of_too_many_scans_are_refused_unread(tmp_path):
    loaded = answers(bombs.SCANS, tmp_path)
    assert {name for name, answer in loaded.items() if "too many scans" in answer} == bombs.SCANS.keys()


@pytest.mark.parametrize("n", [2, 10, 99])
def test_jpegs_of_some_scans_are_read(n):
    data = bombs.many_scans(n, 80, 40)
    assert data.count(b"\xff\xda") == n
    assert load_image(data).size == (80, 40)
    assert load_image(bombs.in_tiff(data, 80, 40)).size == (80, 40)


def test_what_encoders_make_has_few_scans():
    noise = Image.effect_noise((640, 480), 80)
    for image in (noise, noise.convert("RGB"), noise.convert("CMYK")):
        data = encoded(image, "JPEG", progressive=True, quality=95, subsampling=0)
        assert data.count(b"\xff\xda") <= 24
        assert load_image(data).size == (640, 480)


@pytest.mark.parametrize("marker", [0xC3, 0xC9, 0xCA])
def test_jpegs_that_no_browser_shows_are_refused(marker):
    data = encoded(photo(), "JPEG").replace(b"\xff\xc0", bytes([0xFF, marker]))
    with pytest.raises(ImageError, match="is not one of them"):
        load_image(data)


# --- small files, large pictures


def test_what_takes_too_much_is_refused(tmp_path):
    loaded = answers(bombs.REFUSED_FOR_SIZE, tmp_path)
    reasons = ("opens fast", "at most 64 megapixels")
    assert {name: answer for name, answer in loaded.items() if not any(reason in answer for reason in reasons)} == {}


def test_what_is_as_large_as_may_be_is_read(tmp_path):
    loaded = answers(bombs.TAKEN, tmp_path)
    assert {name: answer for name, answer in loaded.items() if not re.fullmatch(r"\d+ x \d+", answer)} == {}


def test_large_photos_are_decoded_one_at_a_time(monkeypatch):
    lock = threading.Lock()
    monkeypatch.setattr(images, "_LARGE", lock)
    monkeypatch.setattr(images, "SMALL_MEMORY", 2**20)
    done = threading.Event()
    thread = threading.Thread(target=lambda: (load_image(bombs.flat_png(1000, 1000)), done.set()))
    with lock:
        thread.start()
        assert load_image(bombs.flat_png(100, 100)).size == (100, 100)
        assert not done.wait(0.2)
    assert done.wait(10)
    thread.join()


# --- orientation


def exif_with(order, kind, count, value):
    form = "<" if order == "II" else ">"
    number = struct.pack(form + ("H" if kind == 3 else "I"), value).ljust(4, b"\0")
    return order.encode() + struct.pack(form + "HIHHHI", 42, 8, 1, 0x0112, kind, count) + number + bytes(4)


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize(
    ("kind", "count", "value", "expected"),
    [(3, 1, 6, 6), (3, 1, 8, 8), (3, 1, 9, 1), (3, 1, 0, 1), (3, 2, 6, 1), (4, 1, 6, 1), (99, 1, 6, 1)],
)
def test_orientation_is_one_short_number(order, kind, count, value, expected):
    assert exif_orientation(b"Exif\0\0" + exif_with(order, kind, count, value)) == expected
    assert exif_orientation(exif_with(order, kind, count, value)) == expected


@pytest.mark.parametrize("length", range(22))
def test_orientation_of_cut_exif_is_none(length):
    assert exif_orientation(exif_with("II", 3, 1, 6)[:length]) == 1


def test_orientation_of_exif_that_leads_elsewhere_is_none():
    for start in (0, 7, 2**31, 2**32 - 1):
        assert exif_orientation(b"II*\0" + struct.pack("<I", start) + bytes(20)) == 1
    assert exif_orientation(b"II*\0\x08\0\0\0\xff\xff" + bytes(24)) == 1


@pytest.mark.parametrize(("mode", "big", "start"), [("L", False, "II*"), ("L", True, "II+"), ("I;16B", False, "MM")])
def test_tiff_of_either_order_and_size_is_upright(mode, big, start):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new(mode, (64, 48)), "TIFF", exif=exif, big_tiff=big)
    assert data.startswith(start.encode())
    assert load_image(data).size == (48, 64)


def test_a_tiff_in_which_pillow_finds_another_directory_is_refused():
    with pytest.raises(ImageError, match="is not one of them"):
        load_image(encoded(Image.new("I;16B", (64, 48)), "TIFF", big_tiff=True))


# --- what browsers show


def test_png_with_metadata_that_nobody_reads_is_read():
    png = encoded(photo(), "PNG")
    long_text = png_chunk(b"zTXt", b"note\0\0" + zlib.compress(b"a" * 3_000_000))
    broken_text = png_chunk(b"tEXt", b"note\0text")[:-4] + b"abcd"
    broken_exif = png_chunk(b"eXIf", exif_with("II", 3, 1, 6))[:-4] + b"abcd"
    for chunk in (long_text, broken_text, broken_exif, png_chunk(b"abCd", b"?")):
        for at in (33, len(png) - 12):
            assert load_image(png[:at] + chunk + png[at:]).tobytes() == photo().tobytes()
    for cut in (4, 12, 16):  # the checksum of the end, the end, and the checksum of the pixels
        assert load_image(png[:-cut]).tobytes() == photo().tobytes()


def test_png_with_a_long_profile_has_its_colors():
    profile = swapped_srgb_profile()
    profile = struct.pack(">I", 2_000_000) + profile[4:] + bytes(2_000_000 - len(profile))
    assert_close(pixel(load_image(encoded(Image.new("RGB", (8, 8), RED), "PNG", icc_profile=profile))), GREEN, 8)
    profile += bytes(2**22)
    assert_close(pixel(load_image(encoded(Image.new("RGB", (8, 8), RED), "PNG", icc_profile=profile))), RED)


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_png_with_a_wrong_checksum_of_what_shows_is_refused(kind):
    png = encoded(photo(), "PNG")
    at = png.index(kind)
    at += 4 + int.from_bytes(png[at - 4 : at])
    with pytest.raises(ImageError, match="damaged"):
        load_image(png[:at] + b"abcd" + png[at + 4 :])


def noise(size=(160, 120)):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


# What is behind the last block of a JPEG: nothing, half of the end marker, zeros of a disk, an unknown segment.
@pytest.mark.parametrize("end", [b"", b"\xff", bytes(100), b"\xff\x30\0\x04ab"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(160, 120), (3200, 1600)])
def test_jpeg_that_lacks_only_its_end_marker_is_read(end, progressive, size):
    for image in (noise(size), noise(size).convert("L"), Image.new("RGB", size, RED)):
        data = encoded(image, "JPEG", progressive=progressive)
        assert data.endswith(b"\xff\xd9")
        if progressive and size[0] > 1000:  # not decoded at a part of its size
            difference = ImageChops.difference(load_image(data[:-2] + end), load_image(data))
            assert np.asarray(difference).mean() < 10
        else:
            assert load_image(data[:-2] + end).tobytes() == load_image(data).tobytes()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_that_lacks_more_is_damaged(progressive, mode):
    for image in (noise(), Image.effect_noise((160, 120), 20)):
        data = encoded(image.convert(mode), "JPEG", progressive=progressive, restart_marker_rows=2)
        for share in (*np.linspace(0.1, 0.98, 30), 0.995):
            with pytest.raises(ImageError, match="damaged"):
                load_image(data[: int(len(data) * share)])


def test_progressive_jpeg_that_ends_between_scans_is_damaged():
    data = encoded(noise(), "JPEG", progressive=True)
    starts = [found.start() for found in re.finditer(rb"\xff[\xc4\xda]", data)][1:]
    assert len(starts) > 10
    for start in starts:
        with pytest.raises(ImageError, match="damaged"):
            load_image(data[:start])


def test_the_hidden_first_picture_of_an_animated_png_is_not_taken():
    first, shown = encoded(photo(), "PNG"), encoded(Image.new("RGB", (64, 48), GREEN), "PNG")

    def pixels(png):
        at = png.index(b"IDAT")
        return png[at + 4 : at + 4 + int.from_bytes(png[at - 4 : at])]

    def animated(*chunks):
        return first[:33] + png_chunk(b"acTL", struct.pack(">II", 1, 0)) + b"".join(chunks) + first[-12:]

    still = png_chunk(b"IDAT", pixels(first))
    control = png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 64, 48, 0, 0, 1, 1, 0, 0))
    moving = png_chunk(b"fdAT", struct.pack(">I", 1) + pixels(shown))
    assert pixel(load_image(animated(still, control, moving)), 5, 5) == GREEN
    assert pixel(load_image(animated(control, still, moving)), 30, 30) == (200, 30, 40)


def test_what_the_first_picture_of_a_gif_does_not_cover_is_white():
    gif = bytearray(encoded(Image.new("RGB", (64, 48), RED).quantize(2), "GIF"))
    gif[6:10] = struct.pack("<HH", 100, 80)
    at = gif.index(b",\0\0\0\0") + 1
    gif[at : at + 4] = struct.pack("<HH", 20, 10)
    image = load_image(bytes(gif))
    assert image.size == (100, 80)
    colors = {pixel(image, *place) for place in ((19, 30), (84, 30), (40, 9), (40, 58), (99, 79))}
    assert colors == {WHITE}
    assert {pixel(image, *place) for place in ((20, 10), (83, 57))} == {RED}


# As Chromium shows them.
@pytest.mark.parametrize(
    ("gamma", "corners", "color", "expected"),
    [
        (45_455, None, (200, 30, 40), (200, 30, 40)),
        (100_000, None, (200, 30, 40), (229, 96, 110)),
        (45_455, (31_270, 32_900, 21_000, 71_000, 64_000, 33_000, 15_000, 6_000), RED, GREEN),
        (0, None, (200, 30, 40), (200, 30, 40)),
        (45_455, (31_270, 0, 0, 0, 0, 0, 0, 0), (200, 30, 40), (200, 30, 40)),
    ],
)
def test_gamma_and_corners_of_a_png_are_applied(gamma, corners, color, expected):
    png = encoded(Image.new("RGB", (8, 8), color), "PNG")
    chunks = png_chunk(b"gAMA", struct.pack(">I", gamma))
    if corners:
        chunks += png_chunk(b"cHRM", struct.pack(">8I", *corners))
    assert_close(pixel(load_image(png[:33] + chunks + png[33:])), expected, 3)
    srgb = png_chunk(b"sRGB", b"\0")
    assert pixel(load_image(png[:33] + srgb + chunks + png[33:])) == color


def test_a_profile_of_another_space_is_ignored():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for kind in (b"abst", b"mntr"):
        png = encoded(Image.new("RGB", (8, 8), RED), "PNG", icc_profile=profile[:12] + kind + profile[16:])
        assert pixel(load_image(png)) == RED


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_what_follows_a_file_is_ignored(format):
    data = encoded(photo(), format)
    assert load_image(data + b"more" * 100).tobytes() == load_image(data).tobytes()


# --- damage


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_every_cut_of_a_file_is_read_or_refused(format):
    data = encoded(photo(), format)
    for length in range(len(data)):
        with contextlib.suppress(ImageError):
            load_image(data[:length])


# --- chance


def test_mutants_of_photos_and_bombs_are_read_or_refused():
    counts = fuzz(int(os.environ.get("CBIR_FUZZ", 1000)), max_seconds=60).counts
    assert counts["is read"] > 100
    assert counts["is damaged or cut short"] > 100


def test_the_fuzzer_names_the_mutant_that_took_too_long():
    with pytest.raises(AssertionError, match=r"seed 5, mutant 7: (.|\n)*took 0\.0 s"):
        fuzz(3, seed=5, first=7, max_seconds=0)

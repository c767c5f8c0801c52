import io
import os
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from cbir import images
from cbir.errors import ImageError
from cbir.images import MAX_SIDE, load_image, thumbnail

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def encode(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(width, height, bit_depth, color_type, rows=b"", **chunks):
    """A PNG written by hand: Pillow cannot write 16-bit colors or a lying header."""

    def chunk(kind, body):
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, bit_depth, color_type, 0, 0, 0)
    middle = b"".join(chunk(kind.encode(), body) for kind, body in chunks.items())
    body = chunk(b"IHDR", header) + middle + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def pixel(image, x=0, y=0):
    assert image.mode == "RGB"
    return image.getpixel((x, y))


def assert_close(color, expected, tolerance=6):
    assert np.abs(np.subtract(color, expected)).max() <= tolerance, f"{color} is not near {expected}"


# --- what may come in


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_every_format_keeps_its_colors(format):
    data = encode(Image.new("RGB", (32, 16), (200, 40, 90)), format)
    image = load_image(data)
    assert image.size == (32, 16)
    assert_close(pixel(image, 5, 5), (200, 40, 90))


def test_mpo_gives_its_first_picture():
    second = Image.new("RGB", (16, 16), BLUE)
    data = encode(Image.new("RGB", (16, 16), RED), "MPO", save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert_close(pixel(load_image(data)), RED)


def test_sources_are_equivalent(tmp_path):
    photo = Image.new("RGB", (8, 8), GREEN)
    path = tmp_path / "photo.png"
    photo.save(path)
    for source in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), photo):
        assert pixel(load_image(source)) == GREEN
    with Image.open(path) as opened:
        assert pixel(load_image(opened)) == GREEN


def test_pillow_image_is_not_changed_and_not_returned():
    photo = Image.new("RGB", (8, 8), GREEN)
    photo.info["comment"] = b"private"
    loaded = load_image(photo)
    loaded.putpixel((0, 0), RED)
    assert photo.getpixel((0, 0)) == GREEN
    assert photo.info == {"comment": b"private"}
    assert loaded.info == {}


def test_one_pixel_is_a_photo():
    assert load_image(encode(Image.new("RGB", (1, 1), BLUE))).size == (1, 1)


# --- size


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((2048, 1024), (1024, 512)),
        ((1000, 3000), (341, 1024)),
        ((5000, 1), (1024, 1)),
        ((900, 600), (900, 600)),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_longest_side_is_bounded_and_nothing_is_enlarged(size, expected, format):
    image = load_image(encode(Image.new("RGB", size, (200, 40, 90)), format))
    assert abs(image.width - expected[0]) <= 1
    assert abs(image.height - expected[1]) <= 1
    assert max(image.size) <= MAX_SIDE
    assert_close(pixel(image), (200, 40, 90))


@pytest.mark.parametrize(("mode", "size"), [("RGB", (6001, 4999)), ("L", (9001, 3003)), ("CMYK", (5000, 7))])
def test_averaging_in_bands_is_averaging(mode, size):
    photo = Image.effect_noise(size, 80).convert(mode)
    whole = photo.resize(images._fitting(size, MAX_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0).convert("RGB")
    assert load_image(photo).tobytes() == whole.tobytes()


def test_transparent_pixels_do_not_bleed_when_shrunk():
    # Red under full transparency must not tint the edge of the opaque half.
    photo = Image.new("RGBA", (3000, 10), (255, 0, 0, 0))
    photo.paste((0, 0, 255, 255), (1501, 0, 3000, 10))
    image = np.asarray(load_image(photo)).astype(int)
    assert (image[..., 0] <= image[..., 1] + 1).all()  # on the way from white to blue, red and green fall together


# --- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "MPO"])
def test_photo_is_upright(orientation, format):
    upright = Image.new("RGB", (64, 32), WHITE)
    upright.paste(RED, (0, 0, 16, 16))  # top left
    upright.paste(BLUE, (48, 0, 64, 16))  # top right
    # The inverse of each of EXIF's eight transforms, as a camera would store it.
    stored = {
        1: lambda photo: photo,
        2: lambda photo: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda photo: photo.rotate(180),
        4: lambda photo: photo.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda photo: photo.transpose(Image.Transpose.TRANSPOSE),
        6: lambda photo: photo.rotate(90, expand=True),
        7: lambda photo: photo.transpose(Image.Transpose.TRANSVERSE),
        8: lambda photo: photo.rotate(-90, expand=True),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = load_image(encode(stored, format, exif=exif))
    assert image.size == (64, 32)
    assert_close(pixel(image, 8, 8), RED, 40)
    assert_close(pixel(image, 56, 8), BLUE, 40)
    assert_close(pixel(image, 8, 24), WHITE, 40)
    assert "exif" not in image.info


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_is_ignored():
    data = encode(Image.new("RGB", (8, 8), RED), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    assert_close(pixel(load_image(data)), RED)


# --- transparency


def palette_photo():
    photo = Image.new("P", (2, 1))
    photo.putpalette([*RED, *BLUE])
    photo.putdata([0, 1])
    return photo


@pytest.mark.parametrize(
    "source",
    [
        encode(Image.merge("RGBA", [*Image.new("RGB", (1, 1), RED).split(), Image.new("L", (1, 1), 0)])),
        encode(Image.new("LA", (1, 1), (0, 0))),
        Image.new("PA", (1, 1), (0, 0)),
        encode(palette_photo(), transparency=bytes([0, 255])),
        encode(palette_photo(), transparency=0),
        encode(palette_photo(), "GIF", transparency=0),
        encode(Image.new("RGB", (1, 1), RED), transparency=RED),
        encode(Image.new("L", (1, 1), 7), transparency=7),
        png(1, 1, 1, 0, b"\0\x00", tRNS=b"\0\0"),
        png(1, 1, 2, 0, b"\0\x40", tRNS=b"\0\1"),
        png(1, 1, 4, 0, b"\0\x50", tRNS=b"\0\5"),
        png(1, 1, 16, 0, b"\0\x12\x34", tRNS=b"\x12\x34"),
        png(1, 1, 16, 2, b"\0" + b"\x12\x34" * 3, tRNS=b"\x12\x34" * 3),
        encode(Image.new("RGBA", (1, 1), (255, 0, 0, 0)), "WEBP", lossless=True, exact=True),
        encode(Image.new("RGBA", (1, 1), (255, 0, 0, 0)), "TIFF"),
    ],
    ids=[
        *("RGBA", "LA", "PA", "P bytes", "P index", "GIF", "RGB tRNS", "L tRNS", "1-bit tRNS", "2-bit tRNS"),
        *("4-bit tRNS", "16-bit tRNS", "16-bit RGB tRNS", "WebP", "TIFF"),
    ],
)
def test_transparent_becomes_white(source):
    assert pixel(load_image(source)) == WHITE


def test_opaque_parts_of_transparent_photos_keep_their_color():
    assert pixel(load_image(encode(palette_photo(), transparency=bytes([0, 255]))), 1, 0) == BLUE
    assert pixel(load_image(encode(palette_photo(), transparency=0)), 1, 0) == BLUE
    assert pixel(load_image(png(2, 1, 16, 0, b"\0\x12\x34\x12\x35", tRNS=b"\x12\x34")), 1, 0) == (18, 18, 18)
    assert pixel(load_image(png(2, 1, 2, 0, b"\0\x60", tRNS=b"\0\1")), 1, 0) == (170, 170, 170)


def test_half_transparent_is_half_white():
    assert_close(pixel(load_image(encode(Image.new("RGBA", (1, 1), (255, 0, 0, 128))))), (255, 127, 127), 1)


# --- other modes


def test_palette_without_transparency():
    image = load_image(encode(palette_photo()))
    assert [pixel(image, 0), pixel(image, 1)] == [RED, BLUE]


def test_one_bit():
    photo = Image.new("1", (2, 1))
    photo.putpixel((1, 0), 1)
    for format in ("PNG", "TIFF", "BMP"):
        image = load_image(encode(photo, format))
        assert [pixel(image, 0), pixel(image, 1)] == [BLACK, WHITE]


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_16_bit_grey_is_scaled_not_clipped(mode):
    values = np.array([[0, 0x8000, 0xFFFF]], np.uint16)
    photo = Image.new(mode, (3, 1))
    for x, value in enumerate(values[0].tolist()):
        photo.putpixel((x, 0), value)
    image = load_image(photo)
    assert [pixel(image, x)[0] for x in range(3)] == [0, 128, 255]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_files(format):
    photo = Image.fromarray(np.array([[0, 0x4000, 0xFFFF]], np.uint16))
    image = load_image(encode(photo, format))
    assert [pixel(image, x)[0] for x in range(3)] == [0, 64, 255]


def test_16_bit_color_png():
    image = load_image(png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 0xFFFF, 0x8000, 0)))
    assert pixel(image) == (255, 128, 0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.5, 1], [0, 128, 255]),
        ([0, 100, 255], [0, 100, 255]),
        ([0, 0x8000, 0xFFFF], [0, 128, 255]),
        ([-1, 0, 1], [0, 128, 255]),
        ([0, 0, 0], [0, 0, 0]),
        ([float("nan"), float("inf"), 1], [0, 0, 255]),
        ([-3e38, 0, 3e38], [0, 128, 255]),
    ],
)
def test_float_tiff(values, expected):
    image = load_image(encode(Image.fromarray(np.array([values], np.float32)), "TIFF"))
    assert_close([pixel(image, x)[0] for x in range(3)], expected, 1)


@pytest.mark.parametrize("values", [[-10, 0, 10], [0, 2**20, 2**21]])
def test_wide_integers_are_stretched(values):
    image = load_image(encode(Image.fromarray(np.array([values], np.int32)), "TIFF"))
    assert_close([pixel(image, x)[0] for x in range(3)], [0, 128, 255], 1)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])  # Pillow writes Adobe's inverted CMYK into JPEG
def test_cmyk_without_profile(format):
    image = load_image(encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), format))
    assert_close(pixel(image), RED)


@pytest.mark.parametrize("mode", ["La", "RGBa", "RGBX", "YCbCr", "HSV", "LAB"])
def test_rare_modes(mode):
    photo = Image.new(mode, (2, 2))
    assert load_image(photo).mode == "RGB"


# --- color profiles


def swapped_srgb_profile():
    """SRGB with its red and green primaries swapped: wrong on purpose, so that using it shows."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    tags = {}
    for i in range(count):
        at = 132 + 12 * i
        tags[bytes(profile[at : at + 4])] = at
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_color_profile_is_applied_and_dropped(format):
    data = encode(Image.new("RGB", (16, 16), RED), format, icc_profile=swapped_srgb_profile())
    image = load_image(data)
    assert_close(pixel(image), GREEN, 8)
    assert image.info == {}


def test_color_profile_and_transparency():
    photo = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    photo.putpixel((1, 0), (255, 0, 0, 0))
    image = load_image(encode(photo, icc_profile=swapped_srgb_profile()))
    assert_close(pixel(image, 0), GREEN, 2)
    assert pixel(image, 1) == WHITE


def test_grey_photo_with_srgb_profile():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_close(pixel(load_image(encode(Image.new("L", (2, 2), 90), icc_profile=profile))), (90, 90, 90), 1)


@pytest.mark.parametrize("profile", [b"not a profile", swapped_srgb_profile()[:200]])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_broken_profile_is_ignored(profile, mode):
    photo = Image.new("RGB", (16, 16), WHITE).convert(mode)
    assert_close(pixel(load_image(encode(photo, "JPEG", icc_profile=profile))), WHITE)


def test_profile_for_another_mode_is_ignored():
    photo = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    data = encode(photo, "JPEG", icc_profile=swapped_srgb_profile())
    assert_close(pixel(load_image(data)), RED)


def green_cmyk_profile():
    """A CMYK profile whose magenta plus yellow is green: wrong on purpose too."""
    white, green, black = bytes([255, 128, 128]), bytes([118, 81, 177]), bytes([0, 128, 128])  # L*, a*, b*
    inks = b"".join(white if i == 0 else green if i == 6 else black for i in range(16))  # bits C, M, Y, K
    identity = b"".join(struct.pack(">i", round(65536 * value)) for value in np.eye(3).ravel())
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * ramp + inks + 3 * ramp
    header = struct.pack(">II", 0, 0x02400000).rjust(12, b"\0") + b"prtrCMYKLab " + bytes(12) + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">iii", 63190, 65536, 54061)  # D50
    header = header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    return struct.pack(">I", 144 + len(table)) + header[4:] + table


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_profile_is_applied(format):
    photo = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image = load_image(encode(photo, format, icc_profile=green_cmyk_profile()))
    assert_close(pixel(image), (0, 128, 0), 10)


# --- animations


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_animation_gives_its_first_frame(format):
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, GREEN, BLUE)]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert_close(pixel(load_image(data), 8, 8), RED)


# --- what may not come in


def noise(size=(200, 200)):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_file(format, share):
    data = encode(noise(), format)
    with pytest.raises(ImageError, match=r"damaged|not one of them"):
        load_image(data[: int(len(data) * share)])


def test_empty_file_and_bytes(tmp_path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"'empty.jpg' is empty"):
        load_image(tmp_path / "empty.jpg")
    with pytest.raises(ImageError, match="empty"):
        load_image(b"")


@pytest.mark.parametrize("data", [b"hello", b"\0" * 1000, b"<svg/>", b"%PDF-1.4", b"\xff\xd8\xff", b"GIF89a"])
def test_not_an_image(data):
    with pytest.raises(ImageError, match=r"expected a photo \(JPEG, PNG"):
        load_image(data)


@pytest.mark.parametrize("format", ["EPS", "PPM", "ICO", "PDF", "TGA", "PCX"])
def test_other_formats_are_refused(format):
    with pytest.raises(ImageError, match=r"expected a photo \(JPEG, PNG"):
        load_image(encode(Image.new("RGB", (16, 16), RED), format))


def test_opened_image_of_another_format_is_refused_undecoded():
    opened = Image.open(io.BytesIO(encode(Image.new("RGB", (16, 16), RED), "EPS")))
    with pytest.raises(ImageError, match=r"expected a photo \(JPEG, PNG"):
        load_image(opened)


def test_folder_missing_file_and_pipe(tmp_path):
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(ImageError, match=r"no file 'gone.jpg'"):
        load_image(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match="no file"):
        load_image("nul\0byte.jpg")
    with pytest.raises(ImageError) as raised:
        load_image("a" * 5000)
    assert len(str(raised.value)) < 200
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(ImageError, match="no file"):
            load_image(tmp_path / "pipe.jpg")


def test_messages_do_not_show_folders(tmp_path):
    for path in (tmp_path / "gone.jpg", tmp_path):
        with pytest.raises(ImageError) as raised:
            load_image(path)
        assert str(tmp_path.parent) not in str(raised.value)


@pytest.mark.parametrize("source", [None, 3, ["photo.jpg"], np.zeros((2, 2, 3))])
def test_other_types(source):
    with pytest.raises(ImageError, match=f"got {type(source).__name__}"):
        load_image(source)


def test_too_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    data = encode(noise())
    (tmp_path / "large.png").write_bytes(data)
    for source in (data, tmp_path / "large.png"):
        with pytest.raises(ImageError, match="at most 0 MB"):
            load_image(source)


@pytest.mark.parametrize("size", [(50_000, 50_000), (8_001, 8_000), (10_000, 9_500), (2**31 - 1, 1)])
def test_pixels_are_counted_in_the_header(size):
    with pytest.raises(ImageError, match="at most 64 megapixels"):
        load_image(png(*size, 8, 2))


def test_too_many_pixels_in_a_pillow_image(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 99)
    with pytest.raises(ImageError, match="has 10 x 10"):
        load_image(Image.new("RGB", (10, 10)))
    with pytest.raises(ImageError, match="no pixels"):
        load_image(Image.new("RGB", (0, 10)))


@pytest.mark.filterwarnings("ignore")  # Pillow talks about damaged metadata
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_flipped_bytes_give_an_image_or_an_image_error(format):
    rng = np.random.default_rng(1)
    data = encode(noise((24, 24)), format)
    messages = []
    for _ in range(150):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), 3)] = rng.integers(0, 256, 3)
        try:
            assert load_image(damaged.tobytes()).mode == "RGB"
        except ImageError as error:
            messages.append(str(error))
    assert not any("\n" in message for message in messages)


def test_threads_do_not_disturb_each_other():
    good, bad = encode(noise(), "JPEG"), encode(noise(), "JPEG")[:5000]
    wrong = []

    def work():
        for _ in range(10):
            if load_image(good).size != (200, 200):
                wrong.append("size")
            try:
                load_image(bad)
                wrong.append("no error")
            except ImageError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- thumbnails


def test_thumbnail():
    data = thumbnail(Image.new("RGB", (1000, 500), (200, 40, 90)))
    small = Image.open(io.BytesIO(data))
    assert small.format == "JPEG"
    assert small.size == (224, 112)
    assert_close(pixel(small), (200, 40, 90))


def test_thumbnail_is_not_enlarged_and_has_no_metadata():
    photo = Image.new("RGB", (30, 20), RED)
    photo.info = {"icc_profile": swapped_srgb_profile(), "comment": b"private", "exif": b"Exif\0\0"}
    small = Image.open(io.BytesIO(thumbnail(photo)))
    assert small.size == (30, 20)
    assert not {"icc_profile", "comment", "exif"} & set(small.info)
    assert photo.info["comment"] == b"private"
    assert Image.open(io.BytesIO(thumbnail(photo, 10))).size == (10, 7)

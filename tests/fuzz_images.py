"""Changes photos and bombs at random and loads what comes of them, in a process of limited memory.

    python -m tests.fuzz_images --n 20000 [--seed 1] [--first 0] [--write]

Every mutant is read or refused as an `ImageError`, in less than 400 MB and 3 seconds of the processor. One that is not
is named: the same seed and number give it again. --write puts the counts into docs/reliability.md.
"""

import argparse
import faulthandler
import json
import re
import subprocess
import sys
import time
import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tests import bombs
from tests.bombs import encoded, photo
from tests.limited import MAX_MB, ROOT, forget_peak, limit_memory, memory, outcome

MAX_SECONDS = 3.0
STALLED_SECONDS = 60.0  # without a mutant done; then the process is ended
LONG = {"strips.tif", "strips_of_no_size.tif", "rationals.jpg", "tables.jpg", "comment.gif", "profiles.png", "wide.png"}
LONG |= {"deep.png", "steps.bmp"}
# What lengths, counts and sizes are set to.
NUMBERS = [0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x1000, 0x1FFF, 0x2000, 0x3FFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000]
NUMBERS += [0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def originals() -> list[bytes]:
    """Files that are changed: each format in its variants, and bombs that are not long."""
    image = photo()
    alpha = image.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    grey, palette = image.convert("L"), image.quantize(8)
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = {"save_all": True, "append_images": [image.transpose(Image.Transpose.ROTATE_180)]}
    files = [
        *(encoded(picture, "JPEG", exif=exif) for picture in (image, grey, image.convert("CMYK"))),
        *(encoded(image, "JPEG", progressive=True, subsampling=n) for n in range(3)),
        encoded(image, "MPO", **frames),
        *(encoded(picture, "PNG", exif=exif) for picture in (image, alpha, grey, palette, image.convert("1"))),
        bombs.flat_png(64, 48, 16, 2),
        *(encoded(picture, "WEBP", exif=exif, lossless=n) for picture in (image, alpha) for n in (False, True)),
        encoded(alpha, "WEBP", **frames),
        encoded(palette, "GIF", transparency=3, comment=b"comment"),
        encoded(palette, "GIF", **frames),
        *(encoded(picture, "BMP") for picture in (image, grey, palette)),
        *(encoded(image, "TIFF", compression=kind, exif=exif) for kind in (None, "tiff_lzw", "tiff_adobe_deflate")),
        *(encoded(image, "TIFF", compression=kind) for kind in ("jpeg", "packbits")),
        encoded(image.convert("1"), "TIFF", compression="group4"),
        encoded(image, "TIFF", big_tiff=True),
        encoded(grey.convert("F"), "TIFF"),
        *(encoded(picture, "AVIF", exif=exif) for picture in (image, alpha)),
        encoded(image, "AVIF", **frames),
    ]
    groups = (bombs.TAGS, bombs.SCANS, bombs.REFUSED_FOR_SIZE)
    return files + [make() for group in groups for name, make in group.items() if name not in LONG]


def mutant(files: list[bytes], seed: int, number: int) -> bytes:
    """A file with some changes, most of them near its start, where headers are."""
    rng = np.random.default_rng([seed, number])
    data = bytearray(files[rng.integers(len(files))])
    for _ in range(rng.integers(1, 4)):
        at = int(len(data) * rng.random() ** rng.integers(1, 6))
        length = int(2 ** (rng.random() * 12))
        match rng.integers(10):
            case 0 | 7 | 8 | 9:
                data[at : at + 1] = rng.bytes(1)
            case 1 | 2:
                width = int(rng.choice([1, 2, 3, 4, 8]))
                value = NUMBERS[rng.integers(len(NUMBERS))] & (1 << 8 * width) - 1
                data[at : at + width] = value.to_bytes(width, "big" if rng.integers(2) else "little")
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length] * int(rng.choice([1, 2, 50]))
            case 5:
                other = files[rng.integers(len(files))]
                start = rng.integers(len(other))
                data[at : at + length] = other[start : start + length]
            case 6:
                data = data[: max(at, 20)] if rng.integers(4) == 0 else data
    return with_checksums(bytes(data)) if rng.integers(4) else bytes(data)


def with_checksums(data: bytes) -> bytes:
    """A PNG with its checksums put right, so that what was changed is looked at."""
    if not data.startswith(b"\x89PNG"):
        return data
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        parts += [data[at : at + 8], body, zlib.crc32(kind + body).to_bytes(4)]
        at += 12 + length
    return b"".join([*parts, data[at:]])


@dataclass(frozen=True)
class Outcomes:
    """What came of mutants: how many were read or refused why, and the most memory and time that one took."""

    counts: dict[str, int]
    mb: int
    seconds: float


def fuzz(n: int, seed: int = 0, first: int = 0, max_seconds: float = MAX_SECONDS) -> Outcomes:
    """Load n mutants in a process of its own.

    Raises:
        AssertionError: a mutant took too much, or ended the process.
    """
    options = {"n": n, "seed": seed, "first": first, "max-seconds": max_seconds}
    command = [sys.executable, "-m", "tests.fuzz_images", "--child", *(f"--{k}={v}" for k, v in options.items())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    *_, last = done.stdout.splitlines() or [""]
    assert done.returncode == 0, f"seed {seed}, mutant {last or first}: {done.stderr[-3000:]}"
    return Outcomes(**json.loads(last))


def child(n: int, seed: int, first: int, max_seconds: float) -> None:
    """Load mutants one after the other; the number of each is printed before."""
    files = originals()
    limit_memory()
    counts: Counter[str] = Counter()
    most_mb, longest = 0, 0.0
    for number in range(first, first + n):
        print(number, flush=True)
        data = mutant(files, seed, number)
        forget_peak()
        before, start = memory("VmRSS"), time.process_time()
        faulthandler.dump_traceback_later(STALLED_SECONDS, exit=True)
        answer = outcome(data)
        faulthandler.cancel_dump_traceback_later()
        seconds, mb = time.process_time() - start, (memory("VmHWM") - before) >> 20
        assert seconds < max_seconds, f"took {seconds:.1f} s, answered {answer}"
        assert mb < MAX_MB, f"took {mb} MB, answered {answer}"
        assert "\n" not in answer
        most_mb, longest = max(most_mb, mb), max(longest, seconds)
        counts[reason_of(answer) or "is read"] += 1
    print(json.dumps({"counts": counts, "mb": most_mb, "seconds": longest}))


def reason_of(answer: str) -> str:
    """Why a photo was refused, without its numbers; "" where it was read."""
    reason = answer.partition("but this one ")[2].partition(":")[0]
    return re.sub(r"[0-9][0-9,.]*", "n", re.sub(r" \(.*?\)", "", reason))


def main() -> None:
    """Fuzz from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20_000, help="mutants to load (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--max-seconds", type=float, default=MAX_SECONDS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="put the counts into docs/reliability.md")
    args = parser.parse_args()
    if args.child:
        child(args.n, args.seed, args.first, args.max_seconds)
        return
    found = fuzz(args.n, args.seed, args.first, args.max_seconds)
    print(found)
    if args.write:
        from train.cli import write_section
        from train.evaluation.markdown import markdown_table

        rows = [[what, f"{n:,}"] for what, n in sorted(found.counts.items(), key=lambda one: -one[1])]
        text = (
            f"{args.n:,} mutants, seed {args.seed}: each was read or refused within {MAX_MB} MB and "
            f"{args.max_seconds:g} s of the processor, or this table would not be here. The most that one took: "
            f"{found.mb} MB; {found.seconds:.2f} s."
        )
        table = markdown_table(["the file", "mutants"], rows)
        write_section(ROOT / "docs" / "reliability.md", "fuzz", f"{text}\n\n{table}")


if __name__ == "__main__":
    main()

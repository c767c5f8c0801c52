"""Damages the cache of features, and kills what writes bundles, at random.

    python -m tests.try_faults --flips 500 --kills 200 [--seed 1] [--write]

A cache with changed files has to give the features that it was made of. A bundle whose writing was killed has to be
the old one or the new one, and what was left beside it has to go at the next writing. --write puts the table into
docs/reliability.md.
"""

import argparse
import dataclasses
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
N_PHOTOS, IN_SHARD = 24, 8
KINDS = ("a flipped bit", "a flipped bit", "a byte", "cut short", "a hole", "longer", "another file")


def flip(path: Path, rng: np.random.Generator) -> str:
    """Changes a file -> how."""
    data = bytearray(path.read_bytes())
    at = int(rng.integers(len(data)))
    kind = KINDS[rng.integers(len(KINDS))]
    match kind:
        case "a flipped bit":
            data[at] ^= 1 << int(rng.integers(8))
        case "a byte":
            data[at] = (data[at] + int(rng.integers(1, 256))) % 256
        case "cut short":
            del data[at:]
        case "a hole":
            data[at : at + 4096] = bytes(len(data[at : at + 4096]) or 1)
            data[at] ^= 255
        case "longer":
            data += rng.bytes(10)
        case "another file":
            data = bytearray(rng.bytes(1000))
    path.write_bytes(data)
    return kind


def try_flips(n: int, seed: int = 0) -> Counter[str]:
    """Changes one file of a cache at a time -> how many of each kind were noticed, or failed.

    The environment names the cache (CBIR_CACHE).
    """
    from cbir.features import cache, index
    from cbir.features.index import index_photos
    from cbir.files import cache_root
    from tests.conftest import TOY_COLORS, TOY_SHAPES, ToyBackbone, png, toy_photo

    logging.getLogger("cbir.features.cache").setLevel(logging.ERROR)
    usual = index.BATCH_SIZE, cache.SHARD_SIZE
    index.BATCH_SIZE = cache.SHARD_SIZE = IN_SHARD
    kinds = [(color, type) for color in TOY_COLORS for type in TOY_SHAPES]
    photos = [(str(i), png(toy_photo(*kinds[i % len(kinds)], i).resize((40, 40)))) for i in range(N_PHOTOS)]
    expected = index_photos(photos, len(photos), ToyBackbone())
    thumbnails = list(expected.thumbnails)
    shards = sorted(cache_root().rglob("*.parquet"))
    kept = {path: path.read_bytes() for path in shards}
    counts: Counter[str] = Counter()
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        path = shards[rng.integers(len(shards))]
        kind = flip(path, rng)
        backbone = ToyBackbone()
        try:
            found = index_photos(photos, len(photos), backbone)
            same = all(
                np.array_equal(getattr(found.features, part), getattr(expected.features, part))
                for part in ("embedding", "color")
            )
            is_noticed = backbone.n_embedded > 0
            good = same and is_noticed and list(found.thumbnails) == thumbnails
        except Exception as error:  # whatever it is, it is a failure
            print(f"seed {seed}, flip {number} ({kind}): {type(error).__name__}: {error}")
            good = False
        counts[f"cache: {kind}|{'survived' if good else 'failed'}"] += 1
        for other in cache_root().rglob("*.parquet"):
            if other not in kept:
                other.unlink()
        for other, data in kept.items():
            other.write_bytes(data)
    logging.getLogger("cbir.features.cache").setLevel(logging.NOTSET)
    index.BATCH_SIZE, cache.SHARD_SIZE = usual
    return counts


def try_kills(folder: Path, n: int, seed: int = 0) -> Counter[str]:
    """Kills n times what replaces a bundle by another -> how many times either was there, or not.

    Args:
        folder: a bundle to begin with; it stays as it is.
        n: how often.
        seed: of the times.
    """
    from cbir.bundle import load_bundle, save_bundle

    counts: Counter[str] = Counter()
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / "target"
        shutil.copytree(folder, target)
        command = [sys.executable, "-m", "tests.try_faults", "--child", str(target), "--kills", str(n)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:  # one for each process that it starts; it ends when the last one is gone
                time.sleep(float(rng.random() ** 2 * 0.2))
                os.kill(int(line), signal.SIGKILL)
                title = load_bundle(target).manifest.title
                counts[f"bundle: killed while it is replaced|{'survived' if title in TITLES else 'failed'}"] += 1
        save_bundle(load_bundle(target), target)
        left = [path.name for path in target.parent.iterdir() if path != target]
        counts[f"bundle: what was left is cleaned|{'survived' if not left else 'failed'}"] += 1
    return counts


TITLES = ("one", "two")


def child(target: Path, n: int) -> None:
    """Starts n processes, one after the other, that replace the bundle until they are killed; prints their numbers."""
    from cbir.bundle import load_bundle, save_bundle

    bundle = load_bundle(target)
    bundles = [dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, title=t)) for t in TITLES]
    save_bundle(bundles[0], target)
    for _ in range(n):
        process = os.fork()
        if not process:
            while True:
                for one in bundles:
                    save_bundle(one, target)
        print(process, flush=True)
        os.waitpid(process, 0)


def table(counts: Counter[str]) -> str:
    """The counts in Markdown."""
    lines = ["| fault | tried | survived | failed |", "|---|--:|--:|--:|"]
    for kind in dict.fromkeys(key.partition("|")[0] for key in counts):
        survived, failed = counts[f"{kind}|survived"], counts[f"{kind}|failed"]
        lines.append(f"| {kind} | {survived + failed:,} | {survived:,} | {failed:,} |")
    return "\n".join(lines)


def main() -> None:
    """Tries faults from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=200, help="changes of the cache (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=100, help="killed writers (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", type=Path, default=ROOT / "samples" / "bundle")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.child, args.kills)
    with tempfile.TemporaryDirectory() as place:
        os.environ["CBIR_CACHE"] = place
        counts = try_flips(args.flips, args.seed) + try_kills(args.bundle, args.kills, args.seed)
    print(table(counts))
    if args.write:
        from train.cli import write_section

        write_section(ROOT / "docs" / "reliability.md", "faults", table(counts))


if __name__ == "__main__":
    main()

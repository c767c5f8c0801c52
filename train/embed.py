"""Embeds big collections into parquet files that training, bundles and Milvus read.

    python -m train.embed --data PHOTOS --out FOLDER [--backbone NAME | --bundle BUNDLE] [--ray]

PHOTOS is a folder or zip of photos, a folder of parquet files with photos, or the id of a dataset on the Hub that is
stored in such files. The photos are embedded part by part, each into a file of its own: a job that was killed goes on
where it stopped, and photos that were added since are embedded then. --bundle takes the backbone, and the color network
where there is one, of that bundle, whose gallery the photos may join: `python -m cbir add BUNDLE FOLDER`.

With --ray, Ray Data spreads the parts over the CPUs or GPUs of this machine, or over the cluster whose address is in
RAY_ADDRESS, whose machines must see PHOTOS, FOLDER and BUNDLE under the same paths.
"""

import argparse
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote

from tqdm import tqdm

from cbir.bundle import load_bundle, load_bundle_backbone
from cbir.embedded import count_embedded, embedded_files, read_ids, read_info
from cbir.errors import DataError
from cbir.features.backbone import BACKBONES, Backbone, load_backbone
from cbir.gallery import report_unreadable
from cbir.photos import list_photos, report_listing
from cbir.starting import run_main
from train.data.photo_shards import PhotoShards, find_photo_shards
from train.embedding.parts import PART_SIZE, Done, Job, Work, Worker


def embed(job: Job, data: str, spread: Callable[[Job, Sequence[Work]], Iterable[Done]] | None = None) -> Done:
    """Embeds a collection, or what is missing of it, with a progress bar.

    Args:
        job: says into which folder; what is there already stays.
        data: folder or zip of photos, where the job has no parquet files of photos.
        spread: runs the work somewhere else; None to do it in this process.

    Returns:
        What came of the photos that were not there yet.

    Raises:
        DataError: there are no photos, or the folder holds something else.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    worker = Worker(job)
    _check_out(job, worker.backbone)
    work = _missing_shards(job, job.shards) if job.shards else _missing_photos(job, data)
    done = (part for one in work for part in worker.run(one)) if spread is None else spread(job, work)
    n_photos = None if job.shards else sum(len(one.records) for one in work)
    n_embedded, unreadable = 0, dict[str, str]()
    with tqdm(desc=f"embedding ({worker.backbone.name})", total=n_photos, unit="photo") as bar:
        for part in done:
            n_embedded += part.n_embedded
            unreadable |= part.unreadable
            bar.update(part.n_embedded + len(part.unreadable))
    return Done(n_embedded, unreadable)


def _check_out(job: Job, backbone: Backbone) -> None:
    for left in job.out.glob(".*.part"):  # of a job that was killed
        left.unlink(missing_ok=True)
    if not embedded_files(job.out):
        return
    made = read_info(job.out)
    if made.backbone.fingerprint != backbone.fingerprint:
        raise DataError(
            f"expected files by {backbone.name} in {str(job.out)!r}, but those there are by "
            f"{made.backbone.name} or other weights: give another --out"
        )
    if made.source != job.source:
        raise DataError(
            f"expected photos of {job.source} in {str(job.out)!r}, but those there are of {made.source}: "
            "give another --out"
        )


def _missing_photos(job: Job, data: str) -> list[Work]:
    """The photos of a folder or zip that are not embedded yet, in parts named after their ids."""
    there = read_ids(job.out)
    listing = list_photos(Path(data), any_folders=True)
    report_listing(listing, data)
    records = [record for record in listing.records if record.id not in there]
    parts = [tuple(records[start : start + job.part_size]) for start in range(0, len(records), job.part_size)]
    return [Work(hashlib.sha256("\n".join(r.id for r in part).encode()).hexdigest()[:16], part) for part in parts]


def _missing_shards(job: Job, shards: PhotoShards) -> list[Work]:
    """The parquet files of photos of which something is not embedded yet."""
    found = (re.fullmatch(r"(.+)-\d{5}-of-(\d{5})\.parquet", path.name) for path in embedded_files(job.out))
    parts = Counter((match[1], int(match[2])) for match in found if match)
    finished = {name for (name, n_parts), n in parts.items() if n == n_parts}
    work = [Work(quote(name.removesuffix(".parquet"), safe=""), shard=name) for name in shards.names]
    return [one for one in work if one.name not in finished]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="photos: see above")
    parser.add_argument("--revision", help="branch, tag or commit of a dataset on the Hub")
    parser.add_argument("--out", required=True, type=Path, help="folder of the files")
    parser.add_argument("--part-size", type=int, default=PART_SIZE, help="photos in a file (default: %(default)s)")
    parser.add_argument("--weights", type=Path, help="local safetensors file with the backbone's weights")
    parser.add_argument("--ray", action="store_true", help="spread the work by Ray: see above")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--backbone", default="vgg16", help=f"{', '.join(BACKBONES)} or a timm model id (default: vgg16)"
    )
    which.add_argument("--bundle", help="folder or Hub repository of a bundle whose backbone to take")
    args = parser.parse_args(argv)
    if args.part_size < 1:
        parser.error(f"expected a part size of at least 1, got {args.part_size}")
    return args


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    args = parse_args(argv)
    shards = find_photo_shards(args.data, args.revision)
    source = shards.source if shards and shards.repo else str(Path(args.data).resolve())
    load = partial(load_of_bundle if args.bundle else load_backbone, args.bundle or args.backbone, args.weights)
    job = Job(args.out.resolve(), source, load, shards, args.part_size)
    if args.ray:
        from train.embedding.cluster import spread

        done = embed(job, args.data, spread)
    else:
        done = embed(job, args.data)
    report_unreadable(done.unreadable, args.data)
    n_photos, files = count_embedded(job.out), embedded_files(job.out)
    print(f"embedded {done.n_embedded:,} photos; {args.out} holds {n_photos:,} in {len(files):,} files")
    return 0


def load_of_bundle(source: str, weights: Path | None = None) -> Backbone:
    """The backbone of a bundle, with its color network where it has one."""
    return load_bundle_backbone(load_bundle(source), weights)


if __name__ == "__main__":
    run_main(main)

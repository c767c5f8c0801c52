"""What is embedded at a time, and where it goes: jobs, their work, and who does it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cbir.embedded import EmbeddedInfo, write_embedded
from cbir.features.backbone import Backbone
from cbir.features.index import extract_photos
from cbir.photos import PhotoRecord
from train.data.photo_shards import PhotoShards, count_photos, read_shard

PART_SIZE = 1024  # photos in a file: what a killed job embeds again at most, per worker

Row = tuple[str, bytes | str, str, str]  # id, file or path, color, type


@dataclass(frozen=True)
class Work:
    """What one worker does at a time: a part of a folder's photos, or a parquet file of photos.

    Attributes:
        name: of the files that come of it.
        records: the photos.
        shard: or the parquet file, by its name in the `PhotoShards`.
    """

    name: str
    records: tuple[PhotoRecord, ...] = ()
    shard: str = ""


@dataclass(frozen=True)
class Done:
    """What came of a part.

    Attributes:
        n_embedded: photos.
        unreadable: for every other photo its id and why.
    """

    n_embedded: int
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What all workers need to know.

    Attributes:
        out: folder of the files.
        source: of the photos.
        load: loads the backbone.
        shards: where the photos are in parquet files.
        part_size: photos in a file.
    """

    out: Path
    source: str
    load: Callable[[], Backbone]
    shards: PhotoShards | None = None
    part_size: int = PART_SIZE


class Worker:
    """Embeds parts of a job, one after the other."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.backbone = job.load()
        self._info = EmbeddedInfo(job.source, self.backbone.describe())

    def run(self, work: Work) -> Iterator[Done]:
        """Embeds what is not there yet, and tells of each file that it wrote."""
        size, out = self.job.part_size, self.job.out
        rows: Iterator[Row]
        if work.shard:
            assert self.job.shards is not None
            path = self.job.shards.path(work.shard)
            n_parts = -(-count_photos(path) // size)
            rows = read_shard(path, work.name)
            names = [f"{work.name}-{part:05d}-of-{n_parts:05d}.parquet" for part in range(n_parts)]
        else:
            rows = ((record.id, record.path, record.color, record.type) for record in work.records)
            names = [f"{work.name}.parquet"]
        for name in names:
            part = list(islice(rows, size if work.shard else None))
            if not (out / name).exists():
                yield self._embed(part, out / name)

    def _embed(self, rows: Sequence[Row], path: Path) -> Done:
        photos = extract_photos(((id, source) for id, source, _, _ in rows), self.backbone)
        labels = {"color": {row[0]: row[2] for row in rows}, "type": {row[0]: row[3] for row in rows}}
        write_embedded(path, photos, labels, self._info)
        return Done(len(photos.ids), photos.unreadable)

"""Spreads the work of `train.embed` by Ray Data, on this machine or on a cluster. Needs `requirements-scale.txt`."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cbir.errors import CbirError
from cbir.photos import PhotoRecord
from train.embedding.parts import Done, Job, Work, Worker

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_BLOCKS = 10_000  # that work is handed out in
OBJECTS = 200 * 2**20  # bytes for what goes between processes: names of photos, and numbers of them


def spread(job: Job, work: Sequence[Work]) -> Iterator[Done]:
    """Does the work in processes of their own, each with a backbone; one that dies is started again.

    Raises:
        CbirError: Ray is not installed, or what went wrong in a worker.
    """
    try:
        import ray.data
    except ImportError as error:
        raise CbirError(f"expected Ray for --ray ({error}): pip install -r requirements-scale.txt") from error
    if not work:
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it tells its makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it warns of how Ray Data itself starts workers
    if address := os.environ.get("RAY_ADDRESS"):
        packages = [str(ROOT / name) for name in ("cbir", "train")]
        where: dict[str, Any] = {"address": address, "runtime_env": {"py_modules": packages}}
    else:
        n_cpus = max(os.cpu_count() or 1, 2)
        where = {"address": "local", "num_cpus": n_cpus, "include_dashboard": False, "object_store_memory": OBJECTS}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **where)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise CbirError(f"Ray cannot start at {where['address']} ({reason}): check RAY_ADDRESS") from error
    try:
        yield from _run(job, work)
    finally:
        ray.shutdown()


def _run(job: Job, work: Sequence[Work]) -> Iterator[Done]:
    import ray.data

    resources = ray.cluster_resources()
    n_cpus, n_gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    # One CPU stays free: with as many workers as CPUs, Ray's own tasks never get one, and everything waits.
    if n_cpus < 2:
        raise CbirError(f"expected at least 2 CPUs in the cluster, one of them to stay free, got {n_cpus}: add one")
    n_workers = min(n_gpus or n_cpus - 1, len(work))
    threads = max(n_cpus // n_workers, 1)
    ray.data.DataContext.get_current().enable_progress_bars = False  # there is one of photos
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    rows = [{"work": json.dumps(asdict(one))} for one in work]
    found = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS)).map_batches(
        _Worker,
        fn_constructor_args=(job, threads),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=n_workers),
        num_cpus=1,
        num_gpus=1 if n_gpus else 0,
    )
    for row in found.iter_rows():
        if row["error"]:
            raise CbirError(row["error"])
        yield Done(int(row["n_embedded"]), json.loads(row["unreadable"]))


class _Worker:
    def __init__(self, job: Job, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._worker = Worker(job)

    def __call__(self, batch: dict[str, np.ndarray]) -> Iterator[dict[str, list]]:
        for text in batch["work"].tolist():
            fields = json.loads(text)
            records = tuple(PhotoRecord(**record) for record in fields.pop("records"))
            try:
                for done in self._worker.run(Work(**fields, records=records)):
                    yield _row(done)
            except CbirError as error:
                yield _row(Done(0), str(error))


def _row(done: Done, error: str = "") -> dict[str, list]:
    return {"n_embedded": [done.n_embedded], "unreadable": [json.dumps(done.unreadable)], "error": [error]}

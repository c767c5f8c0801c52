"""Reading and embedding photos for many at once: in turns, in batches through the network, each photo once."""

import contextlib
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
from PIL import Image

from cbir.features import Features, extract
from cbir.features.backbone import Backbone, Box
from cbir.search import Crop, Photo, Reader, Retriever
from cbir.ui.clients import CALLER
from cbir.ui.limits import BATCH, PHOTOS_KEPT
from cbir.ui.turns import Turn, Turns, resting
from cbir.ui.zero_gpu import is_zero_gpu

T = TypeVar("T")


@dataclass(eq=False)
class _Job:
    """A photo that waits for the network."""

    image: Image.Image
    backbone: Backbone
    features: Future[Features] = field(default_factory=Future)


class FairReader(Reader):
    """Reads photos in turns of clients.

    One photo is decoded at a time; those that have been decoded meanwhile go through the network together, in a thread
    of low priority, so that what needs no network is answered beside it. The features of the last photos are kept.
    """

    def __init__(self) -> None:
        self._turns = Turns(BATCH)
        self._reading = threading.Lock()
        self._jobs: list[_Job] = []
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple, Features] = OrderedDict()
        # There the network runs on a quota of the visitor whose thread asks: nobody else's photo goes with it.
        self._is_lent = is_zero_gpu()
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._network, name="network", daemon=True).start()  # nobody waits for it at the end

    def picture(self, photo: Photo, crop: Crop | None = None) -> Image.Image:
        """As `Reader.picture`."""
        with self._turn(), self._reading:
            return super().picture(photo, crop)

    def features(self, retriever: Retriever, photo: Photo, crop: Crop | None = None) -> Features:
        """As `Reader.features`."""
        key = _key(photo, crop)
        with self._lock:
            if key is not None and key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._turn():
            with self._reading:
                image = super().picture(photo, crop)
            features = self._embedded(image, retriever.backbone)
        if key is not None:
            with self._lock:
                self._kept[key] = features
                if len(self._kept) > PHOTOS_KEPT:
                    self._kept.popitem(last=False)
        return features

    def contributions(self, retriever: Retriever, image: Image.Image, direction: np.ndarray) -> tuple[np.ndarray, Box]:
        """As `Reader.contributions`."""
        with self._turn():
            return self._run(lambda: retriever.backbone.contributions(image, direction))

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with resting(), Turn(self._turns, CALLER.get()):
            yield

    def _embedded(self, image: Image.Image, backbone: Backbone) -> Features:
        if self._is_lent:
            return extract([image], backbone)
        job = _Job(image, backbone)
        with self._lock:
            self._jobs.append(job)
        self._work.put(self._embed)
        return job.features.result()

    def _run(self, work: Callable[[], T]) -> T:
        if self._is_lent:
            return work()
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(work())
            except BaseException as error:
                result.set_exception(error)

        self._work.put(run)
        return result.result()

    def _network(self) -> None:
        """What the thread of the network does. It is of low priority, where the system has those of threads (Linux)."""
        with contextlib.suppress(AttributeError, OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 3)
        while True:
            self._work.get()()

    def _embed(self) -> None:
        """Embeds the photos that wait, of one backbone; there may be none left, as each asks for this."""
        with self._lock:
            jobs = [job for job in self._jobs if job.backbone is self._jobs[0].backbone][:BATCH]
            self._jobs = [job for job in self._jobs if job not in jobs]
        if not jobs:
            return
        try:
            features = extract([job.image for job in jobs], jobs[0].backbone)
        except BaseException as error:
            for job in jobs:
                job.features.set_exception(error)
        else:
            for row, job in enumerate(jobs):
                job.features.set_result(features.take([row]))


def _key(photo: Photo, crop: Crop | None) -> tuple | None:
    """What a photo is known by: uploads and thumbnails lie where their content says. None for one that is not kept."""
    if isinstance(photo, bytes):
        name = hashlib.sha256(photo).hexdigest()
    elif isinstance(photo, str | os.PathLike):
        name = str(photo)
    else:
        return None
    try:
        key = name, crop if crop is None else tuple(crop)
        hash(key)
    except TypeError:  # a crop that is none
        return None
    return key

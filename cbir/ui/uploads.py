"""Uploads, bounded in total. Gradio deletes them by age alone, and what was cut off stays."""

import contextlib
import shutil
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cbir.ui import limits


@dataclass
class _Upload:
    """A folder that Gradio made for a content."""

    client: str
    size: int
    at: float


class Uploads:
    """Who uploaded what; the oldest of whoever holds most, bytes or files, goes first.

    Args:
        folder: where Gradio writes: each upload into a folder of its own, and beside these while it arrives.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._uploads: OrderedDict[Path, _Upload] = OrderedDict()
        self._held: Counter[str] = Counter()  # bytes
        self._number: Counter[str] = Counter()  # of folders
        self._lock = threading.Lock()
        self._looked = 0.0

    def add(self, client: str, files: Iterable[str]) -> None:
        """Notes what a client has uploaded, and makes room where there is too much."""
        with self._lock:
            for folder in {Path(file).parent for file in files}:
                if folder.parent != self._folder:
                    continue
                self._drop(folder, also_files=False)  # the same content, uploaded again
                with contextlib.suppress(OSError):
                    # The same content under thousands of names would be thousands of files.
                    named = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
                    for file in named[limits.NAMES_PER_UPLOAD :]:
                        file.unlink()
                    size = sum(file.stat().st_size for file in named[: limits.NAMES_PER_UPLOAD])
                    self._uploads[folder] = _Upload(client, size, time.time())
                    self._held[client] += size
                    self._number[client] += 1
            while self._held.total() > limits.UPLOADS_TOTAL:
                self._drop_oldest_of(self._held.most_common(1)[0][0])
            while len(self._uploads) > limits.UPLOADS_NUMBER:
                self._drop_oldest_of(self._number.most_common(1)[0][0])
            if time.time() - self._looked > limits.UPLOADS_LOOKED_AT:
                self._looked = time.time()
                self._look()

    def _look(self) -> None:
        """Drops what is old, and what was cut off while it arrived."""
        while self._uploads and (oldest := next(iter(self._uploads.items())))[1].at < time.time() - limits.UPLOADS_KEPT:
            self._drop(oldest[0])
        for left in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if left not in self._uploads and left.stat().st_mtime < time.time() - 2 * limits.BODY_SECONDS:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _drop_oldest_of(self, client: str) -> None:
        self._drop(next(folder for folder, upload in self._uploads.items() if upload.client == client))

    def _drop(self, folder: Path, also_files: bool = True) -> None:
        upload = self._uploads.pop(folder, None)
        if upload is not None:
            self._held[upload.client] -= upload.size
            self._number[upload.client] -= 1
            if not self._number[upload.client]:
                del self._held[upload.client], self._number[upload.client]
            if also_files:
                shutil.rmtree(folder, ignore_errors=True)

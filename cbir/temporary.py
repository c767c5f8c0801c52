"""Temporary files of the app: all in one folder, which goes with it."""

import atexit
import contextlib
import functools
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import NoReturn

from cbir.errors import CbirError

_NAME = "apparel-cbir"


@functools.cache
def temporary_folder() -> Path:
    """The folder of everything temporary that this process writes from now on; it goes when the process ends.

    Gradio and torch choose theirs while they are imported, so this comes before. What processes that were killed have
    left beside it goes as well.

    Raises:
        CbirError: there is no place for it.
    """
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or os.environ.get("TMPDIR") or ".")
    try:
        parent = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.glob(f"{_NAME}-*-*"):
            number = re.fullmatch(rf"{_NAME}-([0-9]+)-.*", left.name)
            if number and not _runs(int(number[1])):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{_NAME}-{os.getpid()}-", dir=parent)).resolve()
        uploads = folder / "gradio"
        uploads.mkdir()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise CbirError(
            "cannot write temporary files to {folder} ({reason}): name another folder in GRADIO_TEMP_DIR",
            folder=parent,
            reason=reason,
        ) from error
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def end(status: int) -> NoReturn:
    """Ends the process at once, and its temporary files with it.

    Threads of libraries may still compute; Python's own way out takes the ground from under them, and some then abort.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):  # nothing stops the cleaning
            signal.signal(number, signal.SIG_IGN)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if temporary_folder.cache_info().currsize:
        shutil.rmtree(temporary_folder(), ignore_errors=True)
    os._exit(status)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # of somebody else
    return True

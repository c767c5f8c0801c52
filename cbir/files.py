"""Files and folders: written whole or not at all, and where those are kept that can be made again."""

import contextlib
import ctypes
import errno
import os
import platform
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cbir.errors import CbirError

_EXCHANGE, _HERE = 2, -100  # Linux's RENAME_EXCHANGE and AT_FDCWD
_ABANDONED = 24 * 3600  # seconds after which what another machine was writing is taken for left behind
_NAME_KEPT = 40  # characters of a name in that of what is written aside: names have at most 255 bytes


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Writes a file or folder aside and moves it into place when it is whole.

    Gives the path to write to, beside the real one; nothing is there yet. When the block ends, what it wrote takes the
    place of what has that name, in one step; when it raises, what it wrote is removed and the old stays. What earlier
    processes that were killed left beside it is removed.
    """
    path = Path(path)
    recover(path)
    _sweep(path)
    aside = _beside(path, "part")
    try:
        yield aside
        if aside.is_dir() and path.is_dir():
            _exchange(aside, path)
        else:
            aside.replace(path)
    finally:
        _remove(aside)


def recover(path: Path) -> None:
    """Puts a folder back that a process was about to replace when it was killed: see `_exchange`."""
    if path.exists():
        return
    with contextlib.suppress(OSError):
        left = [old for old in _left_beside(path, "old") if (old / ".").exists()]
        for old in sorted(left, key=lambda old: old.stat().st_mtime)[-1:]:
            old.rename(path)


def _exchange(new: Path, path: Path) -> None:
    """Puts a folder into the place of another, which is removed.

    Linux does that in one step. Elsewhere a process that is killed in the middle leaves no folder of that name;
    `recover` then puts the old one back.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if renameat2 and not renameat2(_HERE, os.fsencode(new), _HERE, os.fsencode(path), _EXCHANGE):
        return  # what was there is now aside, and goes with it
    old = _beside(path, "old")
    path.rename(old)
    new.rename(path)
    _remove(old)


def _beside(path: Path, kind: str) -> Path:
    """A new name that tells who writes there."""
    return path.with_name(f".{path.name[:_NAME_KEPT]}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.{kind}")


def _machine() -> str:
    return re.sub("[^A-Za-z0-9]", "", platform.node())[:20] or "here"


def _left_beside(path: Path, kind: str) -> Iterator[Path]:
    """What processes that have ended left of such names."""
    pattern = re.compile(rf"\.{re.escape(path.name[:_NAME_KEPT])}\.([A-Za-z0-9]+)-(\d+)-[0-9a-f]{{8}}\.{kind}")
    for other in path.parent.iterdir() if path.parent.is_dir() else ():
        if (match := pattern.fullmatch(other.name)) is None:
            continue
        is_here = match[1] == _machine() and os.name == "posix"
        if (is_here and not _is_running(int(match[2]))) or time.time() - other.stat().st_mtime > _ABANDONED:
            yield other


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    with contextlib.suppress(OSError):  # on Linux, one that has ended and that nobody asked about is still listed
        return not Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].startswith(" Z")
    return True


def _sweep(path: Path) -> None:
    with contextlib.suppress(OSError):
        for kind in ("part", "old"):
            for left in _left_beside(path, kind):
                _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Checks that files can be put into a folder, or that it can be created, by trying to.

    Raises:
        CbirError: they cannot; the message says why.
    """
    there = folder
    try:
        there = next(parent for parent in (folder, *folder.absolute().parents) if os.path.lexists(parent))
        if not there.is_dir():
            raise CbirError(f"cannot write to {folder}: {there} is not a folder")
        for part in folder.absolute().relative_to(there.absolute()).parts:
            (there / part).is_dir()  # raises where the name is too long
        Path(tempfile.mkdtemp(prefix=".cbir-", dir=there)).rmdir()
    except OSError as error:
        raise CbirError(f"cannot write to {str(folder)[-200:]} ({reason(error)} at {str(there)[-200:]})") from error


def reason(error: OSError) -> str:
    """Why a file could not be read or written, in a few words, without its name."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


# --- the cache ---


def cache_root() -> Path:
    """The folder in `$CBIR_CACHE`, else `~/.cache/apparel-cbir`; without a home, one in the temporary folder.

    It need not exist yet.

    Raises:
        CbirError: there is no home and the folder in the temporary folder is another user's.
    """
    chosen = os.environ.get("CBIR_CACHE")
    try:
        return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "apparel-cbir"
    except RuntimeError:
        if chosen:
            raise CbirError(f"there is no home folder for CBIR_CACHE={chosen!r}: set it to a whole path") from None
    folder = Path(tempfile.gettempdir()) / f"apparel-cbir-{_user()}"
    with contextlib.suppress(FileNotFoundError):
        if folder.lstat().st_uid != _user() or not folder.is_dir():
            raise CbirError(f"there is no home folder, and {folder} is another user's: set CBIR_CACHE")
    return folder


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


class CacheFolder:
    """A folder of the cache, as several users may share it: each reads what is there and writes where they may.

    Files are found under the cache's root, and written there too if that is allowed; else, below a folder of the user's
    own in it; else, not at all. Nothing of another user is changed.

    Attributes:
        places: where to look, in order.
    """

    def __init__(self, *parts: str) -> None:
        root = cache_root().absolute()
        self.places = (root.joinpath(*parts), (root / f"user-{_user()}").joinpath(*parts))

    def files(self, pattern: str) -> list[Path]:
        """The files of names like the pattern, in order of their names."""
        found: list[Path] = []
        for place in self.places:
            with contextlib.suppress(PermissionError):
                found += place.glob(pattern)
        return sorted(found, key=lambda path: path.name)

    def find(self, name: str) -> Path | None:
        """A file of that name that can be read."""
        paths = (place / name for place in self.places)
        return next((path for path in paths if path.is_file() and os.access(path, os.R_OK)), None)

    def write(self, name: str, write: Callable[[Path], object]) -> Path | None:
        """Writes a file, whole or not at all.

        Args:
            name: of it.
            write: writes it to the path that it is given.

        Returns:
            Where it is; None where this user may write nowhere.

        Raises:
            CbirError: the disk is full, or cannot be written to for another reason.
        """
        for place in self.places:
            try:
                place.mkdir(parents=True, exist_ok=True)
                with replacing(place / name) as aside:
                    write(aside)
            except PermissionError:
                continue
            except OSError as error:
                advice = "free space, or " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
                raise CbirError(
                    f"cannot write to the cache in {place} ({reason(error)}): {advice}set CBIR_CACHE to another folder"
                ) from error
            return place / name
        return None

"""Loads photos in a process of its own, which ends before it takes much memory or time: for files made to take both.

python -m tests.limited FILE...    one line of JSON each: what came of it, MB and seconds of the processor that it took
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from PIL import features

from cbir.errors import ImageError
from cbir.images import load_image

MAX_MB = 400  # that a photo may take
GRACE_MB = 600  # on top, before the process is stopped: what is counted is what was used, not what was reserved
ROOT = Path(__file__).resolve().parent.parent


def load_all(paths: Iterable[Path], seconds: float) -> list[dict]:
    """What came of each photo, loaded one after the other in a process that has `seconds` for all of them."""
    command = [sys.executable, "-m", "tests.limited", *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def main(paths: list[str]) -> None:
    """Load photos and print what came of them."""
    limit_memory()
    for path in paths:
        data = Path(path).read_bytes()
        forget_peak()
        before, start = memory("VmRSS"), time.process_time()
        answer = outcome(data)
        took = {"mb": (memory("VmHWM") - before) >> 20, "seconds": round(time.process_time() - start, 2)}
        print(json.dumps({"file": Path(path).name, "answer": answer, **took}), flush=True)


def outcome(data: bytes) -> str:
    """The size of the photo, or the error's text."""
    try:
        return "{} x {}".format(*load_image(data).size)
    except ImageError as error:
        if isinstance(error.__cause__, MemoryError):  # it would pass for a damaged file
            raise error.__cause__ from None
        return str(error)


def limit_memory() -> None:
    """Let this process have `MAX_MB` and some grace more than it has."""
    features.get_supported()  # loads the decoders
    limit = memory("VmSize") + (MAX_MB + GRACE_MB) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def memory(kind: str) -> int:
    """Bytes that this process has (VmRSS), had at most (VmHWM), or has reserved (VmSize)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1]) * 1024


def forget_peak() -> None:
    """Lets VmHWM begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main(sys.argv[1:])

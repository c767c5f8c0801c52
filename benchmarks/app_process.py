"""The app as a process of its own, watched: its memory, its time, its log, and what it leaves behind."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class AppProcess:
    """Starts the app, and ends it when the block ends. Its memory and time are read as Linux tells them.

    Args:
        arguments: of app.py.
        start_seconds: how long starting may take.
    """

    def __init__(self, *arguments: str, start_seconds: float = 300.0) -> None:
        self._arguments, self._start_seconds = arguments, start_seconds
        self._folder = tempfile.TemporaryDirectory(prefix="benchmark-")
        self.temporary = Path(self._folder.name) / "temporary"
        self.temporary.mkdir()
        self._log = Path(self._folder.name) / "log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    def __enter__(self) -> "AppProcess":
        command = [sys.executable, "app.py", "--port", str(self.port), *self._arguments]
        environment = {**os.environ, "GRADIO_TEMP_DIR": str(self.temporary), "PYTHONUNBUFFERED": "1"}
        environment["TMPDIR"] = str(self.temporary)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + self._start_seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/config", timeout=30).close()
                return self
            except OSError:
                time.sleep(0.2)
        self._process.kill()
        raise RuntimeError(f"the app did not start:\n{self.log()[-3000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
        self._folder.cleanup()

    def end(self) -> tuple[int, float, list[str]]:
        """SIGTERM -> exit status, seconds that ending took, and the names of what was left behind."""
        start = time.monotonic()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        return status, time.monotonic() - start, sorted(path.name for path in self.temporary.rglob("*"))

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def log(self) -> str:
        """All that the app has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def tracebacks(self) -> Counter[str]:
        """Tracebacks in the log, by their last lines."""
        parts = self.log().split("Traceback (most recent call last)")[1:]
        return Counter(next(filter(re.compile(r"[\w.]+(:|$)").match, part.splitlines()[1:]), "?") for part in parts)

    def memory(self) -> float:
        """MB that the process has in memory."""
        return self._status("VmRSS")

    def own_memory(self) -> float:
        """MB of it that the process cannot do without: not pages of files, which the system drops where it has to."""
        return self._status("RssAnon")

    def peak_memory(self) -> float:
        """MB that the process had at most."""
        return self._status("VmHWM")

    def cpu_seconds(self) -> float:
        """Seconds of processor time that it has taken."""
        values = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(values[11]) + int(values[12])) / TICKS

    def disk(self) -> float:
        """MB of its temporary files."""
        total = 0
        for folder, _, names in os.walk(self.temporary):  # passes over folders that are gone meanwhile
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    total += (Path(folder) / name).stat().st_size
        return total / 2**20

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024

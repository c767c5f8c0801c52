"""Carries out the Dockerfile without Docker, in a Debian root; by hand, as root.

    python -m tests.dockerfile_in_chroot [--base DIR]

A Debian bookworm with its Python 3.11 stands for the base image; debootstrap makes it in DIR, where it may stay for the
next time. pip takes its settings from this machine. Then CMD runs as process 1, as USER and without a network:
HEALTHCHECK has to succeed, a search has to find clothes, and STOPSIGNAL has to end it.
"""

import argparse
import json
import os
import posixpath
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_WITHIN, STOP_WITHIN = 120, 10  # seconds; `docker stop` waits ten

# Asks the app as a browser would: a call, then its answer as server-sent events.
SEARCH = """
import http.client, json, os
app = http.client.HTTPConnection("127.0.0.1:" + os.environ["GRADIO_SERVER_PORT"], timeout=60)
def call(name, *data):
    app.request("POST", f"/gradio_api/call/{name}", json.dumps({"data": data}), {"Content-Type": "application/json"})
    event = json.load(app.getresponse())["event_id"]
    app.request("GET", f"/gradio_api/call/{name}/{event}")
    answer = app.getresponse().read().decode()
    assert "event: complete" in answer, answer
    return json.loads(answer.split("data: ")[-1])[0]
query = call("random", 7)["id"]
settings = [None, None, None, False, False, False]  # a bare call has to give every parameter
matches = call("search_by_id", query, "attributes_and_likeness", "both", 3, *settings)["matches"]
print("search for", query, "found", [match["id"] for match in matches])
assert len(matches) == 3
"""


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions in order: (name, arguments), lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def split_options(argument: str) -> tuple[list[str], str]:
    """Options (`--name=value`) before the arguments proper, and the rest."""
    options = re.match(r"(--\S+\s+)*", argument)[0]
    return options.split(), argument[len(options) :]


def command(argument: str) -> list[str]:
    """The words of a RUN, a CMD or a HEALTHCHECK, in exec form or in shell form."""
    argument = split_options(argument)[1].removeprefix("CMD ")
    return json.loads(argument) if argument.startswith("[") else ["/bin/sh", "-c", argument]


def ignored(name: str, patterns: list[str]) -> bool:
    """Whether .dockerignore leaves a file out: the last pattern that fits it or a folder around it decides."""
    parts = name.split("/")
    around = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    is_ignored = False
    for pattern in patterns:
        regex = re.escape(pattern.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(regex, path) for path in around):
            is_ignored = not pattern.startswith("!")
    return is_ignored


def copies(argument: str, folder: str) -> dict[str, str]:
    """What a COPY does in a folder of the image: path in the image -> path in the repository."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().split("\n") if line and not line.startswith("#")]
    source, target = argument.split()
    top = ROOT / source
    files = {}
    for path in [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file()):
        if not ignored(name := path.relative_to(ROOT).as_posix(), patterns):
            inside = path.name if top.is_file() else path.relative_to(top)
            files[posixpath.normpath(f"{folder}/{target}/{inside}")] = name
    assert files, f"COPY {argument}: there is nothing to copy"
    return files


def pip_settings() -> dict[str, str]:
    """This machine's pip settings as environment variables."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], stdout=subprocess.PIPE, text=True)
    pairs = re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed.stdout, flags=re.MULTILINE)
    return {f"PIP_{key.upper().replace('-', '_')}": value for key, value in pairs}


def pip_paths() -> set[str]:
    """Files and folders of this machine that its pip settings name."""
    values = " ".join(pip_settings().values()).split()
    indexes = {str(Path(value.removeprefix("file://")).parent) for value in values if value.startswith("file://")}
    return indexes | {value for value in values if value.startswith("/")}


class Chroot:
    """A root that instructions change, as they would change an image."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder, self.user = root, "/", "0"
        self.environment = {"PATH": PATH}
        self.stop_signal = "SIGTERM"
        self.mounts: list[Path] = []
        self.cmd: list[str] = []
        self.health: list[str] = []

    def mount(self, path: str) -> None:
        """Shows a file or folder of this machine at the same place in the root."""
        source, target = Path(path), self.root / path.lstrip("/")
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        subprocess.run(["mount", "--rbind", source, target], check=True)
        self.mounts.append(target)

    def wrap(self, words: list[str], variables: dict[str, str] | None = None) -> list[str]:
        """The command that runs `words` in the root, as the user and in the folder of now."""
        variables = self.environment | (variables or {})
        user = f"--userspec={self.user}:{self.user}"
        cd = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', self.folder]
        return ["chroot", user, str(self.root), "env", "-i", *(f"{k}={v}" for k, v in variables.items()), *cd, *words]

    def build(self, name: str, argument: str) -> None:
        """Carries out one instruction."""
        match name:
            case "FROM":
                assert argument == "python:3.11-slim-bookworm", f"the base made here is not {argument}"
            case "WORKDIR":
                self.folder = argument
                (self.root / argument.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "RUN":
                subprocess.run(self.wrap(command(argument), pip_settings()), check=True)
            case "ENV":
                self.environment |= dict(word.split("=", 1) for word in shlex.split(argument))
            case "USER":
                self.user = argument
            case "STOPSIGNAL":
                self.stop_signal = argument
            case "HEALTHCHECK":
                self.health = command(argument)
            case "CMD":
                self.cmd = command(argument)
            case "COPY":
                for target, source in copies(argument, self.folder).items():
                    path = self.root / target.lstrip("/")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, path)
            case "EXPOSE":  # only tells
                pass
            case _:
                raise ValueError(f"{name} is not known here")


def make_base(base: Path) -> None:
    """Makes a root with what the base image has: Debian, and `python` and `pip` in /usr/local."""
    base.mkdir(parents=True, exist_ok=True)
    packages = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(["debootstrap", "--variant=minbase", packages, "bookworm", base], check=True)
    subprocess.run(["chroot", base, "python3", "-m", "venv", "/usr/local"], check=True)


def run(image: Chroot) -> None:
    """Starts CMD without a network, waits until it is healthy, searches, stops it."""
    isolate = ["unshare", "--net", "--pid", "--fork", "--kill-child", f"--mount-proc={image.root}/proc"]
    start = ["/bin/sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    started = time.monotonic()
    outer = subprocess.Popen([*isolate, *start, *image.wrap(image.cmd)])
    try:
        inner = child(outer)
        enter = ["nsenter", f"--target={inner}", "--net"]
        while subprocess.run([*enter, *image.wrap(image.health)], stderr=subprocess.DEVNULL).returncode:
            assert outer.poll() is None, f"the app ended with status {outer.returncode}"
            assert time.monotonic() < started + START_WITHIN, f"not healthy after {START_WITHIN} s"
            time.sleep(1)
        print(f"healthy after {time.monotonic() - started:.0f} s")
        status = Path(f"/proc/{inner}/status").read_text()
        for key in ("Name", "Uid", "NSpid", "VmHWM"):
            print("app:", *re.search(rf"^{key}:.*", status, flags=re.MULTILINE)[0].split())
        assert re.search(r"^Uid:\s+1000\s", status, flags=re.MULTILINE)
        outside = "import socket; socket.create_connection(('1.1.1.1', 443), 3)"
        cut = subprocess.run([*enter, *image.wrap(["python", "-c", outside])], capture_output=True, text=True)
        assert "Network is unreachable" in cut.stderr, cut.stderr
        subprocess.run([*enter, *image.wrap(["python", "-c", SEARCH])], check=True)
        stopped = time.monotonic()
        subprocess.run(["kill", f"--signal={image.stop_signal}", inner], check=True)
        status = outer.wait(STOP_WITHIN)
        print(f"{image.stop_signal} ended it after {time.monotonic() - stopped:.1f} s, status {status}")
        assert status == 0
    finally:
        outer.kill()
        outer.wait()


def child(process: subprocess.Popen) -> str:
    """The id of a process's only child."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (ids := children.read_text().split()):
        time.sleep(0.01)
    return ids[0]


def main() -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="root of a Debian bookworm; made there if it does not exist")
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.within is None:
        # Again, in a folder that this process removes; the mounts in it are the other process's and end with it.
        with tempfile.TemporaryDirectory(prefix="dockerfile-") as folder:
            again = [sys.executable, "-m", "tests.dockerfile_in_chroot", *sys.argv[1:], "--within", folder]
            return subprocess.run(["unshare", "--mount", *again]).returncode
    base, root = args.base or args.within / "base", args.within / "root"
    if not (base / "usr/local/bin/pip").exists():
        make_base(base)
    subprocess.run(["cp", "--archive", base, root], check=True)
    image = Chroot(root)
    for path in filter(os.path.exists, ["/dev", "/etc/resolv.conf", "/etc/hosts", *sorted(pip_paths())]):
        image.mount(path)
    for name, argument in instructions((ROOT / "Dockerfile").read_text()):
        print(f"--- {name} {argument}", flush=True)
        image.build(name, argument)
    print(f"base {size(base)} MB, with the app {size(root, image.mounts)} MB", flush=True)
    run(image)
    print("ok")
    return 0


def size(root: Path, without: Sequence[Path] = ()) -> int:
    """MB of a root's files."""
    used = ["du", "-sm", *(f"--exclude={path}" for path in without), str(root)]
    return int(subprocess.run(used, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[0])


if __name__ == "__main__":
    sys.exit(main())

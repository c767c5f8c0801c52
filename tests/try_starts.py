"""Starts the app where something of the environment is odd, and asks the doctor about it.

    python -m tests.try_starts [--only WORD] [--write]

The app has to serve, and then to end quietly on Ctrl-C with nothing left behind, or to say in one line why it cannot;
where it does not simply serve, the doctor has to tell why. --write puts the table into docs/reliability.md, with --only
the lines of those kinds alone.
"""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

ROOT = Path(__file__).resolve().parent.parent
MAX_SECONDS = 120.0  # for one start, on a machine that does other things too
# A user without a name, who may read everything and write almost nothing: for root alone.
NOBODY = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
NOBODY += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


@dataclass(frozen=True)
class Case:
    """One odd environment.

    Attributes:
        what: its kind.
        changes: variables, None for one that is not set; {port}, {file}, {folder} and {taken} stand for what is made.
        told: what the doctor names a warning or a problem; "" where nothing is to be told.
        serves: whether the app serves, or else says in one line why not.
        is_nobody: whether a user without a home starts it.
        seconds: after which Ctrl-C comes, however far it is; None for once it serves.
        output: where the output goes: "" to who started it, else as a shell writes it.
    """

    what: str
    changes: dict[str, str | None] = field(default_factory=dict)
    told: str = ""
    serves: bool = True
    is_nobody: bool = False
    seconds: float | None = None
    output: str = ""


CASES = [
    Case("proxies", {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}),
    Case("proxies", {"ALL_PROXY": "socks5://127.0.0.1:9", "HTTP_PROXY": "foo://bar"}, "environment"),
    Case("proxies", {"HTTPS_PROXY": "http://[bad", "all_proxy": "x y", "no_proxy": "[::1,*,a b"}, "environment"),
    Case("settings of Gradio", {"GRADIO_SHARE": "True", "GRADIO_NUM_PORTS": "abc"}, "environment"),
    Case("settings of Gradio", {"GRADIO_ROOT_PATH": "/app", "GRADIO_SSR_MODE": "True"}, "environment"),
    Case("temporary folder", {"TMPDIR": "{folder}/not there", "GRADIO_TEMP_DIR": "{folder}/new/one"}),
    Case("temporary folder", {"GRADIO_TEMP_DIR": "{file}/below a file"}, "temporary", serves=False),
    Case("temporary folder", {"GRADIO_TEMP_DIR": "{private}"}, "temporary", serves=False, is_nobody=True),
    Case("port", {"GRADIO_SERVER_PORT": "abc"}, "address", serves=False),
    Case("port", {"GRADIO_SERVER_PORT": "70000"}, "address", serves=False),
    Case("port", {"GRADIO_SERVER_PORT": "{taken}"}, "address", serves=False),
    Case("host", {"GRADIO_SERVER_NAME": "nowhere.invalid"}, "address", serves=False),
    Case("host", {"GRADIO_SERVER_NAME": "203.0.113.1"}, "address", serves=False),
    Case("host", {"GRADIO_SERVER_NAME": "0.0.0.0"}),
    Case("home and caches", {"HOME": None}, "environment", is_nobody=True),
    Case("home and caches", {"HOME": "/nonexistent"}, "caches", is_nobody=True),
    Case("home and caches", {"HOME": "{file}", "CBIR_CACHE": "{file}/below", "HF_HOME": "{file}"}, "caches"),
    Case("encoding", {"PYTHONIOENCODING": "ascii"}),
    Case("encoding", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    Case("shut output", output=">&- 2>&-"),
    Case("shut output", output="<&- 2>/dev/full"),
    Case("shut output", output="<&- >/dev/full", serves=False),
    Case("own settings", {"CBIR_LOG_LEVEL": "abc"}, "start", serves=False),
    Case("own settings", {"CBIR_BUNDLE": "{file}"}, "bundle", serves=False),
    Case("own settings", {"CBIR_PRECISION": "abc"}, "start", serves=False),
    Case("settings of libraries", {"HF_HUB_OFFLINE": "maybe", "OMP_NUM_THREADS": "abc", "HF_TOKEN": "no token"}, "Hub"),
    Case("settings of libraries", {"HF_HUB_ETAG_TIMEOUT": "soon", "SSL_CERT_FILE": "{folder}/gone"}, "environment"),
    *(Case("Ctrl-C while it loads", seconds=seconds) for seconds in (0.3, 0.8, 1.5, 2.5, 4.0, 6.0)),
]
KINDS = list(dict.fromkeys(case.what for case in CASES))


def command(case: Case, *args: str) -> list[str]:
    """A command of the project, started as the case has it."""
    whole = [*(NOBODY if case.is_nobody else []), sys.executable, *args]
    return ["bash", "-c", f'exec "$@" {case.output}', "bash", *whole] if case.output else whole


def environment(case: Case, place: Path, port: int, taken: int) -> dict[str, str]:
    """The variables of a case."""
    names = {"file": place / "file", "folder": place / "folder", "private": place / "private", "taken": taken}
    changes = {"TMPDIR": str(place / "temporary"), "GRADIO_SERVER_PORT": str(port), "CBIR_BUNDLE": "", **case.changes}
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO_", "CBIR_"))}
    usual = {name: value for name, value in usual.items() if not name.lower().endswith("_proxy")}
    usual = {name: value for name, value in usual.items() if name not in changes}
    return usual | {name: value.format(**names) for name, value in changes.items() if value is not None}


def left(place: Path) -> list[str]:
    """What lies in the places of temporary files, except what libraries keep of their own."""
    return [path.name for name in ("temporary", "folder/new/one") for path in (place / name).glob("apparel-cbir-*-*")]


def start(case: Case, env: dict[str, str], port: int, place: Path) -> str:
    """Starts the app -> "serves", "one line", "interrupted", or what was wrong."""
    process = subprocess.Popen(
        command(case, "app.py"),
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    until = time.monotonic() + (MAX_SECONDS if case.seconds is None else case.seconds)
    open_ = build_opener(ProxyHandler({})).open
    answers = False
    while not answers and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
        try:
            answers = case.seconds is None and open_(f"http://127.0.0.1:{port}/health", timeout=2).status == 200
        except OSError:
            continue
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    text = err.decode(errors="replace")
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    if "Traceback" in text or left(place):
        return f"{text[-1500:]} left: {left(place)}"
    if case.seconds is not None:
        return "interrupted" if process.returncode in (-signal.SIGINT, 128 + signal.SIGINT) else text[-1500:]
    if process.returncode == 2 and len(errors) == 1:
        return "one line"
    if answers:
        fine = (0, 128 + signal.SIGINT, 2 if case.output else 0)
        return "serves" if process.returncode in fine else f"ended with {process.returncode}"
    return f"{process.returncode}: {text[-1500:]}"


def told(case: Case, env: dict[str, str]) -> list[str]:
    """What the doctor names a warning or a problem; unless it has to, it need not start the app."""
    starts = case.told in ("bundle", "start")
    args = [] if starts else ["--bundle", "/nowhere"]
    done = subprocess.run(
        command(case, "-m", "cbir", "doctor", *args), cwd=ROOT, env=env, capture_output=True, check=False
    )
    lines = done.stdout.decode(errors="replace").splitlines()
    found = [line.split()[1] for line in lines if line.startswith(("warning", "PROBLEM"))]
    return found if starts else [name for name in found if name != "bundle"]


@contextmanager
def listening() -> Iterator[int]:
    """A port that is taken."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def try_starts(cases: list[Case]) -> Counter[str]:
    """Starts the app in every case -> how many of each kind ended how."""
    counts: Counter[str] = Counter()
    for case in cases:
        if case.is_nobody and os.geteuid() != 0:
            continue
        with listening() as port:
            pass  # free again
        with tempfile.TemporaryDirectory(dir="/tmp") as folder, listening() as taken:
            place = Path(folder)
            place.chmod(0o755)
            (place / "file").touch()
            for name, mode in (("folder", 0o777), ("temporary", 0o777), ("private", 0o700)):
                (place / name).mkdir()
                (place / name).chmod(mode)
            env = environment(case, place, port, taken)
            answer = start(case, env, port, place)
            wanted = "interrupted" if case.seconds is not None else "serves" if case.serves else "one line"
            findings = told(case, env) if case.seconds is None and not case.output else []
            is_told = case.told in findings if case.told else not set(findings) - {"Hub", "memory"}
            if answer != wanted or not is_told:
                print(f"{case}: {answer}; the doctor names {findings}", flush=True)
            counts[f"{case.what}|{answer if answer == wanted else 'failed'}"] += 1
            counts[f"{case.what}|told"] += bool(case.told) and is_told
            counts[f"{case.what}|not told"] += not is_told
    return counts


HEADER = """\
| oddity | tried | serves | refused in one line | ended by Ctrl-C | failed | doctor told | doctor did not |
|---|--:|--:|--:|--:|--:|--:|--:|"""


def table(counts: Counter[str], written: str = "") -> str:
    """The counts in Markdown, each kind in its line; those of other kinds are as they were written."""
    lines = {match[1]: match[0] for kind in KINDS if (match := re.search(rf"^\| ({kind}) .*$", written, re.M))}
    for kind in {key.partition("|")[0] for key in counts}:
        row = [counts[f"{kind}|{answer}"] for answer in ("serves", "one line", "interrupted", "failed")]
        row = [sum(row), *row, counts[f"{kind}|told"], counts[f"{kind}|not told"]]
        lines[kind] = f"| {kind} | {' | '.join(f'{n:,}' for n in row)} |"
    return "\n".join([HEADER, *(lines[kind] for kind in KINDS if kind in lines)])


def main() -> None:
    """Tries starts from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="WORD", default="", help="only what has this in its kind")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    args = parser.parse_args()
    page = ROOT / "docs" / "reliability.md"
    written = page.read_text(encoding="utf-8").partition("<!-- start -->")[2] if args.only else ""
    text = table(try_starts([case for case in CASES if args.only in case.what]), written)
    print(text)
    if args.write:
        from train.cli import write_section

        write_section(page, "start", text)


if __name__ == "__main__":
    main()

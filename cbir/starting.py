"""How commands start and end, whatever the environment holds: it works, or there is one clear line."""

import contextlib
import errno
import functools
import logging
import os
import re
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from cbir.errors import CbirError
from cbir.files import cache_root, reason

LEVELS = ("debug", "info", "warning", "error")  # of the log
FIRST_PORT, N_PORTS = 7860, 100  # where no port is asked for, the first free one of these
# Of Gradio's variables, those that are kept. Others share the app with the world, open folders, or stop the start.
_GRADIO = frozenset(
    ["GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GRADIO_TEMP_DIR", "GRADIO_ROOT_PATH", "GRADIO_ANALYTICS_ENABLED"]
)
_PROXIES = frozenset(["http_proxy", "https_proxy", "all_proxy"])
# Variables that have to be whole numbers, or numbers, or libraries fail: the Hub's client, the server, progress bars.
_NUMBERS = {
    r"[1-9]\d{0,5}": frozenset(["HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT", "WEB_CONCURRENCY"]),
    r"\d{1,6}(\.\d*)?": frozenset(f"TQDM_{name}" for name in ("MININTERVAL", "MAXINTERVAL", "SMOOTHING", "DELAY")),
    r"-?\d{1,6}": frozenset(f"TQDM_{name}" for name in ("MINITERS", "NCOLS", "NROWS", "POSITION", "INITIAL")),
}
_HERE = ("localhost", "127.0.0.1", "::1")


def run_main(
    main: Callable[[list[str] | None], int],
    argv: list[str] | None = None,
    leave: Callable[[int], NoReturn] = sys.exit,
) -> NoReturn:
    """Runs `main` and exits with what it returns; with 2 and one line on stderr where the user can mend it.

    Args:
        main: takes the arguments (None: those of the process), returns an exit status.
        argv: passed to `main`.
        leave: ends the process with a status.
    """
    prepare_output()
    heed_interrupts()
    try:
        for note in clean_environment():
            print(note, file=sys.stderr)
        status = main(argv)
    except CbirError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2  # as argparse does
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT  # as shells do
    except OSError as error:
        status = _status_of(error)
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's last flush
        status = status or _status_of(error)
    for number in _settable():  # another Ctrl-C ends at once what the end waits for
        signal.signal(number, signal.SIG_DFL)
    leave(status)


def _status_of(error: OSError) -> int:
    """Tells of a disk that is full; what is not the user's to mend is raised."""
    if isinstance(error, BrokenPipeError):  # whoever reads the output has seen enough
        return 128 + signal.SIGPIPE
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    with contextlib.suppress(OSError):  # that may be full as well
        print(f"error: cannot write {error.filename or 'the output'} ({reason(error)}): free space", file=sys.stderr)
    return 2


def prepare_output() -> None:
    """Lets text be printed wherever it goes: what an encoding lacks is escaped, and a stream that is shut takes all."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - until the end
            setattr(sys, name, stream)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


# --- Ctrl-C ---


def heed_interrupts() -> None:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt, so that what is temporary goes."""
    for number in _settable():
        signal.signal(number, signal.default_int_handler)


@contextmanager
def leaving_on_interrupt(leave: Callable[[int], object]) -> Iterator[None]:
    """Until the block ends, Ctrl-C and SIGTERM end the process at once, and quietly.

    An exception could come up in the middle of another library's import, which makes something else of it.

    Args:
        leave: ends the process with a status, after it removed what is temporary.
    """

    def interrupted(number: int, frame: object) -> None:
        with contextlib.suppress(Exception):
            leave(128 + number)
        os._exit(128 + number)

    before = {number: signal.signal(number, interrupted) for number in _settable()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _settable() -> list[signal.Signals]:
    """The signals that may be handled: none but in the main thread, nor one that shells ignore for the background."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]


def end_on_interrupt() -> None:
    """Until `run_main`, Ctrl-C ends the process at once: for the seconds in which a command imports what it needs."""
    if signal.SIGINT in _settable() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


# --- the environment ---


@functools.cache
def clean_environment() -> tuple[str, ...]:
    """Takes out of the environment what libraries fail at, e.g. proxies of no known kind; gives a home where none is.

    Comes before libraries are imported that look at these; done once, and told again whenever it is called.

    Returns:
        What was changed, and why: a line each, without what a secret may be in.

    Raises:
        CbirError: there is no home, nor a place for one; or HF_ENDPOINT is no address.
    """
    if (hub := os.environ.get("HF_ENDPOINT")) and not _is_address(hub):
        raise CbirError(f"expected an address such as https://huggingface.co in HF_ENDPOINT, got {hub[:80]!r}")
    notes = []
    try:
        Path.home()
    except RuntimeError:  # no HOME, and a user without a name: libraries would make a folder called "~"
        os.environ["HOME"] = str(cache_root())
        notes.append(f"there is no home folder: {os.environ['HOME']} is taken")
    for name in sorted(os.environ):
        if name.lower() in _PROXIES and (why := _why_no_proxy(os.environ[name])):
            del os.environ[name]
            notes.append(f"{name} is not used: {why}")
    for pattern, names in _NUMBERS.items():
        for name in sorted(names & os.environ.keys()):
            if os.environ[name] and not re.fullmatch(pattern, os.environ[name], re.ASCII):
                del os.environ[name]
                notes.append(f"{name} is not used: it is no number that it can be")
    for name, why_not in (("SSL_CERT_FILE", _why_no_certificates), ("SSLKEYLOGFILE", _why_no_log)):
        if (path := os.environ.get(name)) and (why := why_not(path)):
            del os.environ[name]
            notes.append(f"{name} is not used: {why}")
    return tuple(notes)


def _why_no_certificates(path: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return "there are no certificates in it"
    except OSError as error:
        return f"no certificates can be read from it ({reason(error)})"
    return ""


def _why_no_log(path: str) -> str:
    try:
        Path(path).open("ab").close()
    except OSError as error:
        return f"it cannot be written to ({reason(error)})"
    return ""


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


@functools.cache
def drop_settings_of_gradio() -> tuple[str, ...]:
    """Takes those variables out of the environment that would change what the app sets itself: as above."""
    names = [name for name in sorted(os.environ) if name.startswith("GRADIO_") and name not in _GRADIO]
    for name in names:
        del os.environ[name]
    return tuple(f"{name} is not used: the app sets this itself" for name in names)


def _why_no_proxy(address: str) -> str:
    """Why an address of a proxy cannot be used; "" where it can."""
    import httpx

    address = address if "://" in address else f"http://{address}"
    try:
        if not urlsplit(address).hostname or urlsplit(address).port == 0:
            raise ValueError(address)
        httpx.HTTPTransport(proxy=httpx.Proxy(address)).close()
    except ImportError:
        return "proxies of the kind SOCKS need `pip install socksio`"
    except (ValueError, httpx.InvalidURL):
        return "it is no address of a proxy, such as http://host:port"
    return ""


def pass_proxies_by(host: str) -> None:
    """Lets the app reach itself without a proxy."""
    for name in ("no_proxy", "NO_PROXY"):
        given = re.split(r"[\s,]+", os.environ.get(name, ""))
        valid = [one for one in given if re.fullmatch(r"[\w.:*/-]+|\[[0-9a-fA-F:.]+\]", one)]
        os.environ[name] = ",".join(dict.fromkeys([*valid, *_HERE, host.strip("[]")]))


# --- host and port ---


def set_up_log() -> None:
    """Sends the log to stderr, at the level that CBIR_LOG_LEVEL names, or else "info".

    Raises:
        CbirError: it names no level.
    """
    level = os.environ.get("CBIR_LOG_LEVEL") or "info"
    if level.lower() not in LEVELS:
        raise CbirError(
            "expected CBIR_LOG_LEVEL as one of {levels}, got {level!r}", levels=", ".join(LEVELS), level=level
        )
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("cbir").setLevel(level.upper())  # not other libraries', which log every request


def address(host: str | None = None, port: int | None = None) -> tuple[str, int]:
    """Where the app listens, after trying to.

    Args:
        host: a name or an address; None for what GRADIO_SERVER_NAME names, else this machine only.
        port: None for what GRADIO_SERVER_PORT names, else the first free one from `FIRST_PORT`.

    Returns:
        Host, one of IPv6 in brackets, and port.

    Raises:
        CbirError: there is no such host, it is another machine, or the port is wrong, taken or reserved.
    """
    host = (host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1").strip("[]")
    if port is None and (text := os.environ.get("GRADIO_SERVER_PORT")):
        if not re.fullmatch(r"\s*\d{1,6}\s*", text):
            raise CbirError(f"expected a port from 1 to 65535 in GRADIO_SERVER_PORT, got {text[:40]!r}")
        port = int(text)
    if port is not None and not 1 <= port <= 65535:
        raise CbirError(f"expected a port from 1 to 65535, got {port}")
    family, place = _resolved(host)
    shown = f"[{host}]" if ":" in host else host
    if port is not None:
        if why := _why_not(family, place, port):
            raise CbirError(f"cannot listen at {shown}:{port}: {why}")
        return shown, port
    for free in range(FIRST_PORT, FIRST_PORT + N_PORTS):
        if not (why := _why_not(family, place, free)):
            return shown, free
    raise CbirError(f"cannot listen at {shown}, ports {FIRST_PORT} to {free}: {why}")


def _resolved(host: str) -> tuple[int, str]:
    """Family and address of a host."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no name"
        raise CbirError(
            f"there is no host {host[:80]!r} ({why}): give 127.0.0.1 for this machine only, 0.0.0.0 for all that "
            "reach it"
        ) from None
    family, _, _, _, place = found[0]
    return family, str(place[0])


def _why_not(family: int, place: str, port: int) -> str:
    """Why nothing can listen there; "" where it can."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            if os.name == "posix":
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            tried.bind((place, port))
            tried.listen(1)
    except OSError as error:
        return {
            errno.EADDRINUSE: "something else does; give another port with --port",
            errno.EADDRNOTAVAIL: "it is no address of this machine; give 127.0.0.1, or 0.0.0.0 for all",
            errno.EACCES: "ports below 1024 are for the system; give another with --port",
            errno.EAFNOSUPPORT: "this machine has no addresses of that kind",
        }.get(error.errno or 0, error.strerror or type(error).__name__)
    return ""


if sys.argv[:1] == ["-m"]:  # what Python calls a command while it looks for `python -m cbir` or `python -m train.run`
    end_on_interrupt()
    with contextlib.suppress(CbirError):  # told by `run_main`
        clean_environment()

"""Commands start in every environment, or say in one line why they do not; Ctrl-C ends them quietly."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cbir import starting
from cbir.errors import CbirError, DataError
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _environment():
    """What tests change comes back."""
    before = dict(os.environ)
    for done_once in (starting.clean_environment, starting.drop_settings_of_gradio):
        done_once.cache_clear()
    for name in before:
        if name.startswith("GRADIO_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)
    for done_once in (starting.clean_environment, starting.drop_settings_of_gradio):
        done_once.cache_clear()


# --- commands ---


@pytest.fixture
def _signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
def test_a_command_exits_with_its_status(capsys):
    def fail(argv):
        raise DataError("expected one thing, got another: do a third")

    def interrupt(argv):
        raise KeyboardInterrupt

    def bug(argv):
        raise ZeroDivisionError

    for main, status in ((lambda argv: len(argv), 3), (fail, 2), (interrupt, 130)):
        with pytest.raises(SystemExit) as stopped:
            starting.run_main(main, ["a", "b", "c"])
        assert stopped.value.code == status
    assert capsys.readouterr().err == "error: expected one thing, got another: do a third\n"
    with pytest.raises(ZeroDivisionError):
        starting.run_main(bug)


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=False
    )


HELLO = "from cbir.starting import run_main; run_main(lambda argv: print('vestido algod\\u00e3o \\u2026 \\udce9') or 0)"


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("ascii", b"algod\\xe3o \\u2026 \\udce9"),
        ("latin-1", b"algod\xe3o \\u2026"),
        ("utf-8", "algodão … \\udce9".encode()),
    ],
)
def test_text_is_printed_in_every_encoding(encoding, printed):
    done = run(HELLO, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout


def test_output_may_be_shut_or_end_early():
    shut = f'{sys.executable} -c "{HELLO}" >&- 2>&-'
    assert subprocess.run(["bash", "-c", shut], cwd=ROOT, check=False).returncode == 0
    many = "from cbir.starting import run_main; run_main(lambda argv: [print('x' * 99) for _ in range(9999)] and 0)"
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "{many}" | head -1; exit ${{PIPESTATUS[0]}}'],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full is made by Linux")
def test_output_to_a_full_disk_is_one_line():
    code = "from cbir.starting import run_main; run_main(lambda argv: print('x') or 0)"
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "{code}" > /dev/full'], cwd=ROOT, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        2,
        b"error: cannot write the output (No space left on device): free space\n",
    )


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="what a process has loaded is told by Linux")
@pytest.mark.parametrize(
    "command", [["-m", "cbir", "doctor"], ["-m", "train.run", "--data", "x", "--out", "y"], ["app.py"]]
)
def test_ctrl_c_while_modules_load_is_quiet(command):
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # shells turn it off for what runs behind
    )
    maps = Path(f"/proc/{process.pid}/maps")
    while "numpy" not in maps.read_text() and process.poll() is None:  # it is loading
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 130), err
    assert b"Traceback" not in err
    assert len(err.splitlines()) <= 1


def test_an_interrupt_ends_at_once_and_what_is_temporary_goes(tmp_path):
    (tmp_path / "file").write_text("temporary")
    code = f"""
import os, shutil, signal
from cbir.starting import leaving_on_interrupt
with leaving_on_interrupt(lambda status: shutil.rmtree({str(tmp_path)!r})):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            pass
    except BaseException:
        print("a library makes something else of it")
"""
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, b"", b"")
    assert not tmp_path.exists()


# --- the environment ---


def test_variables_of_gradio_that_the_app_sets_itself_are_not_used():
    os.environ.update(GRADIO_SHARE="True", GRADIO_ALLOWED_PATHS="/", GRADIO_NUM_PORTS="abc", GRADIO_SERVER_PORT="8000")
    notes = tuple(
        f"GRADIO_{name} is not used: the app sets this itself" for name in ("ALLOWED_PATHS", "NUM_PORTS", "SHARE")
    )
    assert starting.drop_settings_of_gradio() == notes
    assert [name for name in os.environ if name.startswith("GRADIO_")] == ["GRADIO_SERVER_PORT"]
    assert starting.drop_settings_of_gradio() == notes  # for whoever asks later


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("http://127.0.0.1:9", ""),
        ("127.0.0.1:9", ""),
        ("http://user:secret@proxy.example:3128", ""),
        ("socks5://user:secret@127.0.0.1:9", "proxies of the kind SOCKS need `pip install socksio`"),
        ("foo://secret", "it is no address of a proxy, such as http://host:port"),
        ("http://[secret", "it is no address of a proxy, such as http://host:port"),
        ("http://host:port", "it is no address of a proxy, such as http://host:port"),
    ],
)
def test_proxies_that_would_stop_the_start_are_not_used(name, value, why):
    os.environ[name] = value
    notes = starting.clean_environment()
    assert notes == ((f"{name} is not used: {why}",) if why else ())
    assert "secret" not in "".join(notes)
    assert (name in os.environ) == (not why)


def test_settings_that_libraries_fail_at_are_not_used():
    wrong = {"HF_HUB_ETAG_TIMEOUT": "soon", "TQDM_MININTERVAL": "abc", "TQDM_NCOLS": "1.5", "WEB_CONCURRENCY": "-1"}
    right = {"HF_HUB_DOWNLOAD_TIMEOUT": "20", "TQDM_MAXINTERVAL": "0.5", "TQDM_POSITION": "-1"}
    os.environ.update(wrong | right)
    notes = starting.clean_environment()
    assert sorted(notes) == [f"{name} is not used: it is no number that it can be" for name in sorted(wrong)]
    assert not wrong.keys() & os.environ.keys()
    assert right.items() <= os.environ.items()


def test_certificates_that_are_not_there_are_not_used(tmp_path):
    os.environ.update(SSL_CERT_FILE=str(tmp_path / "gone.pem"), SSLKEYLOGFILE=str(tmp_path / "gone" / "keys"))
    assert starting.clean_environment() == (
        "SSL_CERT_FILE is not used: no certificates can be read from it (No such file or directory)",
        "SSLKEYLOGFILE is not used: it cannot be written to (No such file or directory)",
    )
    (tmp_path / "gone.pem").write_text("not a certificate")
    starting.clean_environment.cache_clear()
    os.environ["SSL_CERT_FILE"] = str(tmp_path / "gone.pem")
    assert len(starting.clean_environment()) == 1


@pytest.mark.parametrize("address", ["foo", "http://[x", "ftp://hub.example", "https://"])
def test_a_hub_without_an_address_is_one_line(address):
    os.environ["HF_ENDPOINT"] = address
    with pytest.raises(CbirError, match="in HF_ENDPOINT, got"):
        starting.clean_environment()


def test_the_app_reaches_itself_without_a_proxy():
    os.environ["no_proxy"] = "intranet.example, [::1,*.lan,a b"
    starting.pass_proxies_by("192.168.1.7")
    assert os.environ["no_proxy"] == "intranet.example,*.lan,a,b,localhost,127.0.0.1,::1,192.168.1.7"
    assert os.environ["NO_PROXY"] == "localhost,127.0.0.1,::1,192.168.1.7"


def test_who_has_no_home_gets_one(monkeypatch, tmp_path):
    del os.environ["HOME"]
    os.environ["CBIR_CACHE"] = str(tmp_path / "cache")
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert starting.clean_environment() == (f"there is no home folder: {tmp_path}/cache is taken",)
    assert os.environ["HOME"] == str(tmp_path / "cache")


# --- host and port ---


@pytest.fixture
def taken():
    """A port of this machine that something listens at."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_the_first_free_port_is_taken_where_none_is_asked_for(monkeypatch, taken):
    assert starting.address()[0] == "127.0.0.1"
    monkeypatch.setattr(starting, "FIRST_PORT", taken)
    assert starting.address()[1] > taken


def test_host_and_port_are_asked_for_in_two_ways(taken):
    os.environ.update(GRADIO_SERVER_NAME="localhost", GRADIO_SERVER_PORT=str(taken))
    with pytest.raises(CbirError, match=f"cannot listen at localhost:{taken}: something else does; give another port"):
        starting.address()
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        free = other.getsockname()[1]
    assert starting.address("0.0.0.0", free) == ("0.0.0.0", free)


@pytest.mark.parametrize("text", ["abc", "-1", "1.5", "", "99999999999999999999", "80 80"])
def test_a_port_that_is_no_number_is_one_line(text):
    os.environ["GRADIO_SERVER_PORT"] = text
    if text:
        with pytest.raises(CbirError, match="expected a port from 1 to 65535 in GRADIO_SERVER_PORT"):
            starting.address()
    else:
        starting.address()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_does_not_exist_is_one_line(port):
    with pytest.raises(CbirError, match=f"expected a port from 1 to 65535, got {port}"):
        starting.address(None, port)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("nowhere.invalid", "there is no host 'nowhere.invalid'"),
        ("256.1.1.1", "there is no host"),
        ("bad host", "there is no host 'bad host'"),
        ("x" * 300, "there is no host"),
        ("a..b", "there is no host"),
        ("203.0.113.1", "it is no address of this machine; give 127.0.0.1"),
    ],
)
def test_a_host_that_is_unknown_or_another_machine_is_one_line(host, message):
    with pytest.raises(CbirError, match=message) as caught:
        starting.address(host, 8000)
    assert "\n" not in str(caught.value)


def test_addresses_of_ipv6_stand_in_brackets():
    with socket.socket(socket.AF_INET6) as tried:
        try:
            tried.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    assert starting.address("::1")[0] == starting.address("[::1]")[0] == "[::1]"


def test_the_command_says_what_is_wrong_before_it_loads_anything():
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**os.environ, "GRADIO_SERVER_PORT": "abc"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "error: expected a port from 1 to 65535 in GRADIO_SERVER_PORT, got 'abc'\n"


# --- the log ---


def test_the_level_comes_from_the_environment(monkeypatch):
    ours = logging.getLogger("cbir")
    before = ours.level
    try:
        for name, level in (("warning", logging.WARNING), ("", logging.INFO)):
            monkeypatch.setenv("CBIR_LOG_LEVEL", name)
            starting.set_up_log()
            assert ours.level == level
        monkeypatch.setenv("CBIR_LOG_LEVEL", "loud")
        with pytest.raises(CbirError, match="one of debug, info, warning, error, got 'loud'"):
            starting.set_up_log()
    finally:
        ours.setLevel(before)

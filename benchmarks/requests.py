"""How the app stands up to those who ask: fast, much, wrongly, or with bad intent. On Linux, over loopback.

    python -m benchmarks.requests speed [--seconds 10]      searches by id and by photo, of 1, 8 and 32 clients
    python -m benchmarks.requests memory [--calls 10000]    memory of the app, as calls come
    python -m benchmarks.requests wrong [--every 1]         wrong values in every parameter, control and body
    python -m benchmarks.requests soak [--minutes 10]       32 clients, eight of them hostile, all at the same time

Each starts an app of its own (--bundle, by default the embedded one), prints a table, and with --write puts it into
docs/reliability.md (speed: docs/scale.md).
"""

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import wrong_values
from benchmarks.app_process import ROOT, AppProcess
from benchmarks.http import API, Client, HttpError, Result
from cbir.bundle import open_bundle
from cbir.errors import CbirError
from cbir.starting import run_main
from cbir.ui.texts import Words
from train.cli import write_section
from train.evaluation.markdown import markdown_table

RELIABILITY, SCALE = ROOT / "docs" / "reliability.md", ROOT / "docs" / "scale.md"
N_CLIENTS, N_HOSTILE = 32, 8
BUG = Words()("bug")
GOAL_SECONDS = 1.0  # of a search by id, at p95, beside hostile clients


@dataclass
class Tally:
    """What came of the calls of one kind."""

    seconds: list[float] = field(default_factory=list)
    answered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def note(self, result: Result, seconds: float) -> None:
        """Counts an answer, or a refusal; one that is no line counts as failed."""
        self.seconds.append(seconds)
        if result.is_answered:
            self.answered += 1
        elif isinstance(result.value, str) and result.value and "\n" not in result.value and result.value != BUG:
            self.refused[result.value[:60]] += 1
        else:
            self.failed[repr(result.value)[:80]] += 1

    @property
    def tried(self) -> int:
        """Number of calls."""
        return self.answered + self.refused.total() + self.failed.total()

    def percentile(self, share: float) -> float:
        """Seconds within which that share of the calls was over."""
        return float(np.percentile(self.seconds, 100 * share)) if self.seconds else float("nan")

    def add(self, other: "Tally") -> None:
        """Joins two."""
        self.seconds += other.seconds
        self.answered += other.answered
        self.refused += other.refused
        self.failed += other.failed


async def timed(tally: Tally, work: Awaitable[Result]) -> Result | None:
    """Waits for a call, and counts what came of it."""
    start = time.perf_counter()
    try:
        result = await work
    except HttpError as error:
        tally.failed[str(error)[:80]] += 1
        tally.seconds.append(time.perf_counter() - start)
        return None
    tally.note(result, time.perf_counter() - start)
    return result


class Photos:
    """Photos that nobody has seen before: pictures of the catalogue, each changed a little.

    Args:
        jpegs: pictures of the catalogue.
        seed: other seeds give other photos.
    """

    def __init__(self, jpegs: Sequence[bytes], seed: int) -> None:
        self._pictures = [np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB").resize((640, 640))) for jpeg in jpegs]
        self._rng = np.random.default_rng(seed)

    def next(self) -> bytes:
        """A JPEG of 640 x 640 pixels."""
        picture = self._pictures[int(self._rng.integers(len(self._pictures)))]
        light = self._rng.uniform(0.8, 1.1, 3)
        image = Image.fromarray(np.clip(picture * light, 0, 255).astype(np.uint8))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(self._rng.integers(70, 95)))
        return file.getvalue()


def catalogue(bundle: str | None) -> tuple[list[str], list[bytes]]:
    """Ids of the catalogue, and some pictures."""
    gallery = open_bundle(bundle).gallery
    rows = np.linspace(0, len(gallery) - 1, 24).astype(int)
    return [str(id) for id in gallery.ids.tolist()], [bytes(gallery.thumbnails[int(row)]) for row in rows]


# --- speed ---


Work = Callable[[Client], Awaitable[Result]]


def speed_of(app: AppProcess, seconds: float, *groups: tuple[int, Work]) -> list[tuple[Tally, float]]:
    """Groups of clients, each of which calls again and again -> what came of each, and its seconds of the processor.

    Processor time is divided by all calls of all groups.
    """
    tallies = [Tally() for _ in groups]

    async def client(tally: Tally, work: Work, end: float) -> None:
        one = Client(app.port)
        while time.perf_counter() < end:
            await timed(tally, work(one))
        await one.close()

    async def run() -> None:
        end = time.perf_counter() + seconds
        work = [client(tally, work, end) for tally, (n, work) in zip(tallies, groups, strict=True) for _ in range(n)]
        await asyncio.gather(*work)

    before = app.cpu_seconds()
    asyncio.run(run())
    cpu = (app.cpu_seconds() - before) / max(sum(tally.tried for tally in tallies), 1)
    return [(tally, cpu) for tally in tallies]


def speed(app: AppProcess, args: argparse.Namespace) -> str:
    """Searches by id and by photo, of several clients at once."""
    ids, jpegs = catalogue(args.bundle)
    photos, rng = Photos(jpegs, 0), np.random.default_rng(0)

    async def by_id(client: Client) -> Result:
        return await client.call("search_by_id", id=ids[int(rng.integers(len(ids)))])

    async def by_new_id(client: Client) -> Result:  # with other weights each time
        weight = round(float(rng.uniform(0.1, 0.9)), 6)
        return await client.call("search_by_id", id=ids[int(rng.integers(len(ids)))], weight=weight)

    async def by_photo(client: Client) -> Result:
        return await client.call("search", image={"path": await client.upload(photos.next())})

    rows = []
    works = {"by id": by_id, "by id, none twice": by_new_id, "by photo, none twice": by_photo}
    for name, work in works.items():
        for n in (1, 8, 32):
            ((tally, cpu),) = speed_of(app, args.seconds, (n, work))
            rows.append(_speed_row(name, n, tally, args.seconds, cpu))
    (searching, cpu), (uploading, _) = speed_of(app, args.seconds, (32, by_id), (8, by_photo))
    rows.append(_speed_row("by id, beside 8 by photo", 32, searching, args.seconds, cpu))
    rows.append(_speed_row("by photo, beside 32 by id", 8, uploading, args.seconds, cpu))
    header = ["search", "clients", "per second", "median", "p95", "answered", "processor per call"]
    return f"{_table(header, rows)}\n\n{args.seconds:.0f} s each. {_machine()}."


def _speed_row(name: str, n: int, tally: Tally, seconds: float, cpu: float) -> list[str]:
    times = [f"{1000 * tally.percentile(share):,.0f} ms" for share in (0.5, 0.95)]
    answered = f"{tally.answered:,} of {tally.tried:,}"
    return [name, str(n), f"{tally.answered / seconds:,.0f}", *times, answered, f"{1000 * cpu:.1f} ms"]


# --- memory ---


def memory(app: AppProcess, args: argparse.Namespace) -> str:
    """Memory of the app after some calls, and after many more."""
    ids, jpegs = catalogue(args.bundle)
    photos = Photos(jpegs, 1)
    tally = Tally()
    marks = [round(args.calls * share) for share in (0.05, 0.25, 0.5, 0.75, 1)]
    rows = []

    async def run() -> None:
        clients = [Client(app.port) for _ in range(4)]
        n = 0
        for mark in marks:
            while n < mark:
                await asyncio.gather(*(one(client, n + i) for i, client in enumerate(clients)))
                n += len(clients)
            await asyncio.sleep(2)
            rows.append([f"{n:,}", f"{app.memory():,.0f} MB"])

    async def one(client: Client, n: int) -> None:
        if n % 50 == 0:
            path = await client.upload(photos.next())
            await timed(tally, client.call("search", image={"path": path}, k=50))
        elif n % 10 == 0:
            await timed(tally, client.call("compare", id=ids[n % len(ids)]))
        elif n % 7 == 0:
            await timed(tally, client.call("search_by_id", id=f"unknown {n}"))
        else:
            await timed(tally, client.call("search_by_id", id=ids[n % len(ids)], k=20 + n % 30))

    asyncio.run(run())
    first, last = (float(row[1].split()[0].replace(",", "")) for row in (rows[0], rows[-1]))
    per_call = 1024 * (last - first) / (marks[-1] - marks[0])
    counts = f"{tally.answered:,} of {tally.tried:,} calls were answered, {tally.refused.total():,} refused in one line"
    counts += f" (ids that do not exist), {tally.failed.total()} failed"
    return f"{_table(['calls', 'memory'], rows)}\n\n{counts}. From the first mark on, {per_call:+.1f} kB a call."


# --- wrong values ---


def wrong(app: AppProcess, args: argparse.Namespace) -> str:
    """Calls with wrong values, one after the other."""
    ids, jpegs = catalogue(args.bundle)
    tallies: dict[str, Tally] = defaultdict(Tally)

    async def run() -> None:
        client = Client(app.port)
        info = (await client.request("GET", f"{API}/info")).json()
        config = (await client.request("GET", "/config")).json()
        start = {c["id"]: c["props"].get("value") for c in config["components"]}
        photo = str(await client.upload(jpegs[0]))
        for call in list(wrong_values.endpoint_calls(info, ids[0], photo))[:: args.every]:
            await timed(tallies[call.what.split()[0]], client.call_raw(call.path.removeprefix("call/"), call.body))
        for fn, values, event, what in list(wrong_values.page_calls(config, start))[:: args.every]:
            await timed(
                tallies["page, " + what.split()[1].rstrip("_0123456789")], _raw_event(client, fn, values, event)
            )
        for body in list(wrong_values.agents_calls(info, ids[0], photo))[:: args.every]:
            await timed(tallies["agents"], _of_agent(client, body))
        for request in list(wrong_values.odd_requests())[:: args.every]:
            await timed(tallies["other routes"], _odd(app.port, request))

    asyncio.run(run())
    rows = []
    total = Tally()
    for name, tally in sorted(tallies.items()):
        total.add(tally)
        rows.append([f"`{name}`", *_counts(tally)])
    rows.append(["all", *_counts(total)])
    failed = "".join(f"\n- {count} times: {what}" for what, count in (total.failed + app.tracebacks()).most_common())
    return (
        _table(["where", "tried", "answered", "refused in one line", "else"], rows)
        + f"\n\nTracebacks in the log: {app.tracebacks().total()}. "
        + f"The app {'runs' if app.is_running else 'HAS ENDED'}.{failed}"
    )


async def _of_agent(client: Client, body: bytes) -> Result:
    """What an agent gets."""
    client.accepts = "application/json, text/event-stream"
    posted = await client.request("POST", f"{API}/mcp/", body)
    if posted.status == 202 or not posted.body:  # of what needs no answer
        return Result(True, None)
    text = posted.body.decode()
    try:
        answer = json.loads(text.partition("data: ")[2] if text.startswith("event:") else text)
    except ValueError:
        return Result(False, text, posted.status)
    if "error" in answer:
        return Result(False, answer["error"]["message"].splitlines()[0], posted.status)
    result = answer["result"]
    return Result(not result.get("isError"), result["content"][0]["text"] if "content" in result else result)


async def _odd(port: int, request: bytes) -> Result:
    """What comes of a request by its status; streams are not read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(30):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split()[1])
            body = await reader.read(2000) if status >= 400 and not request.startswith(b"HEAD") else b""
    except (OSError, EOFError, TimeoutError) as error:
        raise HttpError(f"{request[:50]!r}: {type(error).__name__}") from error
    finally:
        writer.close()
    if status >= 500 and status not in (501, 503):
        return Result(False, None, status)
    return Result(status < 400, body.decode(errors="replace").strip().replace("\r\n", "") or f"status {status}", status)


async def _raw_event(client: Client, fn: int, values: list[str], event: object) -> Result:
    session = uuid.uuid4().hex
    body = (
        f'{{"fn_index":{fn},"session_hash":"{session}","event_data":{json.dumps(event)},"data":[{",".join(values)}]}}'
    )
    posted = await client.request("POST", f"{API}/queue/join", body.encode("utf-8", "surrogatepass"))
    if posted.status != 200:
        return Result(False, str(posted.json()["detail"]), posted.status)
    stream = await client.request("GET", f"{API}/queue/data?session_hash={session}")
    for line in stream.body.decode().split("\n\n"):
        message = json.loads(line.removeprefix("data: ") or "{}")
        if message.get("msg") == "process_completed":
            return Result(message["success"], message["output"].get("data" if message["success"] else "error"))
    return Result(False, None)


def _counts(tally: Tally) -> list[str]:
    return [f"{n:,}" for n in (tally.tried, tally.answered, tally.refused.total(), tally.failed.total())]


# --- soak ---


@dataclass(frozen=True)
class Target:
    """What clients of a soak know: the app's port, ids, pictures, and the page's controls."""

    port: int
    ids: list[str]
    jpegs: list[bytes]
    config: dict[str, Any]
    end: float  # by `time.time`

    @property
    def is_over(self) -> bool:
        """Whether it is time to stop."""
        return time.time() >= self.end


class HonestClients:
    """Those who search as people and programs do."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self._photos = Photos(target.jpegs, 2)
        self._rng = np.random.default_rng(3)

    async def run(self) -> None:
        """All of them, until it is time to stop."""
        kinds: list[tuple[int, str, float, Work]] = [
            (12, "search by id", 0.5, self._by_id),
            (4, "search by photo", 2.0, self._by_photo),
            (3, "the page", 1.0, self._page),
            (2, "compare", 2.0, lambda client: client.call("compare", id=self._id())),
            (1, "explain", 3.0, lambda client: client.call("explain", id=self._id(), query_id=self._id())),
            (1, "search_many, 4 photos", 5.0, self._batch),
            (1, "facets", 0.5, lambda client: client.call("facets")),
        ]
        work, number = [], 0
        for n, kind, pause, call in kinds:
            for _ in range(n):
                number += 1
                work.append(self._client(f"198.51.100.{number}", kind, pause, call))
        assert number == N_CLIENTS - N_HOSTILE
        await asyncio.gather(*work)

    async def _client(self, name: str, kind: str, pause: float, call: Work) -> None:
        client = Client(self.target.port, name)
        await asyncio.sleep(float(self._rng.uniform(0, pause)))
        while not self.target.is_over:
            await timed(self.tallies[kind], call(client))
            await asyncio.sleep(float(self._rng.uniform(0.5, 1.5)) * pause)
        await client.close()

    def _id(self) -> str:
        return self.target.ids[int(self._rng.integers(len(self.target.ids)))]

    async def _by_id(self, client: Client) -> Result:
        return await client.call("search_by_id", id=self._id())

    async def _by_photo(self, client: Client) -> Result:
        return await client.call("search", image={"path": await client.upload(self._photos.next())})

    async def _batch(self, client: Client) -> Result:
        paths = [await client.upload(self._photos.next()) for _ in range(4)]
        return await client.call("search_many", images=[{"path": path} for path in paths])

    async def _page(self, client: Client) -> Result:
        """An address is restored, then what it says is searched for."""
        config = self.target.config
        elements = {c["id"]: c["props"].get("elem_id") for c in config["components"]}
        start = {c["id"]: c["props"].get("value") for c in config["components"]}
        restore, refresh = (
            next(d for d in config["dependencies"] if d["api_name"] == name) for name in ("restore", "refresh")
        )
        restored = await client.page_event(restore["id"], [f"?id={self._id()}"])
        if not restored.is_answered:
            return restored
        held = dict(zip(restore["outputs"], restored.value, strict=True))
        photo = next(id for id in restore["outputs"] if elements[id] == "photo")
        values = [held[photo] if id == photo else start[id] for id in refresh["inputs"]]
        return await client.page_event(refresh["id"], values)


class HostileClients:
    """Those who want others not to be served."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self._rng = np.random.default_rng(4)
        # Made once: whoever attacks has a machine of their own, and these share one with the app.
        self._large_body = b'{"image": "data:image/png;base64,' + b"A" * (11 * 2**20) + b'"}'
        self._too_large_body = b'{"image": "data:image/png;base64,' + b"A" * (30 * 2**20) + b'"}'
        self._no_photo = self._rng.bytes(20 * 2**20)

    async def run(self) -> None:
        """All of them, until it is time to stop."""
        kinds = [self._flood, self._batches, self._bombs, self._bodies, self._slow, self._unfetched, self._files]
        kinds.append(self._wrong)
        assert len(kinds) == N_HOSTILE
        await asyncio.gather(*(self._kept_up(kind, f"203.0.113.{n}") for n, kind in enumerate(kinds, start=1)))

    async def _kept_up(self, kind: Callable[[str, Tally], Awaitable[None]], name: str) -> None:
        what = (kind.__doc__ or "").rstrip(".")
        while not self.target.is_over:
            try:
                await kind(name, self.tallies[what])
            except (HttpError, OSError, EOFError) as error:
                self.tallies[what].failed[type(error).__name__] += 1
                await asyncio.sleep(0.1)

    def _client(self, name: str) -> Client:
        return Client(self.target.port, name)

    def _jpeg(self) -> bytes:
        """A photo that no cache knows."""
        return self.target.jpegs[int(self._rng.integers(len(self.target.jpegs)))] + self._rng.bytes(8)

    async def _flood(self, name: str, tally: Tally) -> None:
        """64 connections that ask for 1,000 results each."""

        async def one() -> None:
            client = self._client(name)
            while not self.target.is_over:
                id = self.target.ids[int(self._rng.integers(len(self.target.ids)))]
                await timed(tally, client.call("search_by_id", id=id, k=1000))

        await asyncio.gather(*(one() for _ in range(64)))

    async def _batches(self, name: str, tally: Tally) -> None:
        """Batches of 64 new photos, left after a second."""
        client = self._client(name)
        paths = [await client.upload(self._jpeg()) for _ in range(64)]
        client.seconds = 1.0
        await timed(tally, client.call("search_many", images=[{"path": path} for path in paths]))

    async def _bombs(self, name: str, tally: Tally) -> None:
        """Files that are made to take memory and time."""
        from tests import bombs

        client = self._client(name)
        for group in (bombs.TAGS, bombs.SCANS, bombs.REFUSED_FOR_SIZE):
            for make in group.values():
                if self.target.is_over:
                    return
                path = await client.upload(make())
                await timed(tally, client.call("search", image={"path": path}))

    async def _bodies(self, name: str, tally: Tally) -> None:
        """Bodies of 11, 30 and 300 MB that are no photos."""
        client = self._client(name)
        await timed(tally, client.call_raw("v2/search", self._large_body))
        await timed(tally, client.call_raw("v2/search", self._too_large_body))
        head = client.head("POST", f"{API}/call/v2/search", 300 * 2**20)
        _, writer = await client.open()
        writer.write(head)
        tally.refused["300 MB announced"] += 1
        await client.close()

    async def _slow(self, name: str, tally: Tally) -> None:
        """50 connections that send a byte a second."""

        async def one() -> None:
            client = self._client(name)
            _, writer = await client.open()
            writer.write(client.head("POST", f"{API}/call/v2/search", 10_000))
            for _ in range(20):
                writer.write(b" ")
                await asyncio.sleep(1)
                if self.target.is_over:
                    break
            tally.refused["broken off"] += 1
            await client.close()

        await asyncio.gather(*(one() for _ in range(50)))

    async def _unfetched(self, name: str, tally: Tally) -> None:
        """Calls whose answers nobody fetches."""
        client = self._client(name)
        body = json.dumps({"id": self.target.ids[0], "k": 500}).encode()
        for _ in range(100):
            posted = await client.request("POST", f"{API}/call/v2/search_by_id", body)
            tally.note(Result(posted.status == 200, posted.body.decode()[:100]), 0.0)
            if self.target.is_over:
                return

    async def _files(self, name: str, tally: Tally) -> None:
        """Uploads of 20 MB that are no photos, half of them cut off."""
        client = self._client(name)
        await client.upload(self._no_photo + self._rng.bytes(8), "a.bin")
        tally.answered += 1
        _, writer = await client.open()
        writer.write(client.head("POST", f"{API}/upload", 20 * 2**20, "multipart/form-data; boundary=x"))
        writer.write(b'--x\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n')
        writer.write(self._no_photo[: 5 * 2**20])
        await asyncio.sleep(0.2)
        tally.refused["broken off"] += 1
        await client.close()

    async def _wrong(self, name: str, tally: Tally) -> None:
        """Wrong values, addresses that lead nowhere, paths of the server."""
        client = self._client(name)
        info = (await client.request("GET", f"{API}/info")).json()
        photo = str(await client.upload(self.target.jpegs[0]))
        calls = list(wrong_values.endpoint_calls(info, self.target.ids[0], photo))
        for number in self._rng.permutation(len(calls)):
            call = calls[int(number)]
            await timed(tally, client.call_raw(call.path.removeprefix("call/"), call.body))
            if self.target.is_over:
                return


def _run_hostile(target: Target, answers: Any) -> None:  # noqa: ANN401 - a queue of multiprocessing
    hostile = HostileClients(target)
    asyncio.run(hostile.run())
    answers.put((dict(hostile.tallies), time.process_time()))


def soak(app: AppProcess, args: argparse.Namespace) -> str:
    """Honest and hostile clients at the same time; the hostile ones have a process of their own."""
    ids, jpegs = catalogue(args.bundle)
    config = asyncio.run(_config(app))
    context = multiprocessing.get_context("spawn")
    target = Target(app.port, ids, jpegs, config, time.time() + 60 * args.minutes)
    answers = context.Queue()
    process = context.Process(target=_run_hostile, args=(target, answers), daemon=True)  # ends with this one
    process.start()
    honest = HonestClients(target)
    before = app.cpu_seconds()
    own_before = time.process_time()
    disk = [0.0]

    async def run() -> None:
        clients = asyncio.create_task(honest.run())
        while not clients.done():
            disk.append(app.disk())
            await asyncio.sleep(2)
        await clients

    asyncio.run(run())
    hostile, others_cpu = answers.get(timeout=120)
    process.join(30)
    used = app.cpu_seconds() - before, others_cpu + time.process_time() - own_before
    peak, running, tracebacks = app.peak_memory(), app.is_running, app.tracebacks()
    status, seconds, left = app.end()
    rows = [
        [name, *_counts(tally), *(f"{tally.percentile(share):.2f} s" for share in (0.5, 0.95, 0.99))]
        for name, tally in honest.tallies.items()
    ]
    header = ["honest clients", "tried", "answered", "refused", "else", "median", "p95", "p99"]
    others = [[name, *_counts(tally)] for name, tally in hostile.items()]
    by_id = honest.tallies["search by id"].percentile(0.95)
    return "\n\n".join(
        [
            f"{args.minutes:g} minutes, {N_CLIENTS - N_HOSTILE} honest and {N_HOSTILE} hostile clients. {_machine()}.",
            _table(header, rows),
            _table(["hostile clients", "tried", "answered", "refused", "else"], others),
            f"A search by id took {by_id:.2f} s at p95 (goal: {GOAL_SECONDS:g} s). Memory: {peak:,.0f} MB at most; "
            f"temporary files: {max(disk):,.0f} MB at most. Processor: {used[0]:,.0f} s for the app, {used[1]:,.0f} s "
            f"for the clients beside it. Tracebacks in the log: {tracebacks.total()}{_named(tracebacks)}. "
            f"{'It ran to the end' if running else 'It ENDED before'}; SIGTERM ended it after {seconds:.1f} s with "
            f"status {status}, leaving behind: {', '.join(left) or 'nothing'}.",
        ]
    )


def _named(tracebacks: Counter[str]) -> str:
    return f" ({'; '.join(tracebacks)})" if tracebacks else ""


async def _config(app: AppProcess) -> dict[str, Any]:
    return (await Client(app.port).request("GET", "/config")).json()


# --- all ---


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown_table(header, rows)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "unknown processor")
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores of {model}; load of the machine at the end {load:.1f}"


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--bundle", metavar="DIR_OR_REPO", help="default: the embedded one")
    common.add_argument("--write", action="store_true", help="put the table into the docs")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, option, kind, default, help in (
        ("speed", "--seconds", float, 10, "of each row (%(default)s)"),
        ("memory", "--calls", int, 10_000, "default: %(default)s"),
        ("wrong", "--every", int, 1, "of the calls, every nth"),
        ("soak", "--minutes", float, 10, "default: %(default)s"),
    ):
        commands.add_parser(name, parents=[common]).add_argument(option, type=kind, default=default, help=help)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    args = parse_args(argv)
    if not Path("/proc/self/status").exists():
        raise CbirError("expected Linux, which tells how much memory a process has: run this there")
    run = {"speed": speed, "memory": memory, "wrong": wrong, "soak": soak}[args.command]
    with AppProcess(*(["--bundle", args.bundle] if args.bundle else [])) as app:
        text = run(app, args)
    print(text)
    if args.write:
        write_section(SCALE if args.command == "speed" else RELIABILITY, f"requests-{args.command}", text)
    return 0


if __name__ == "__main__":
    run_main(main)

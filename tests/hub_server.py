"""A stand-in of the Hugging Face Hub over HTTP: repositories in memory, and faults on demand.

It answers what the Hub's client asks for when it creates, uploads (regular and LFS), commits, lists and downloads.
"""

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

TOKEN = "hf_dummy"
LFS_FROM = 4096  # bytes
REPO = r"(?P<kind>models|datasets|spaces)/(?P<repo>[\w.-]+/[\w.-]+)"


@dataclass
class Repo:
    """Commits of a repository: (hash, files), oldest first."""

    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)  # of a Space
    sdk: str | None = None  # of a Space
    hardware: str | None = None  # of a Space

    def commit(self, files: dict[str, bytes]) -> str:
        parents = "".join(sha for sha, _ in self.commits)
        content = "".join(f"{name}{hashlib.sha1(data).hexdigest()}" for name, data in sorted(files.items()))
        sha = hashlib.sha1((parents + content).encode()).hexdigest()
        self.commits.append((sha, files))
        return sha

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


@dataclass
class Fault:
    """What to answer instead, to the next `times` requests that match: a status, or "cut" after some bytes."""

    method: str
    path: str
    answer: int | str
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


def git_oid(data: bytes) -> str:
    """The name that git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def front_matter(readme: bytes) -> dict | None:
    """What a card says between its lines of ---."""
    found = re.match(r"---\n(.*?)\n---\n", readme.decode(), re.DOTALL)
    return yaml.safe_load(found[1]) if found else None


class HubServer(ThreadingHTTPServer):
    """Listens on a free port of this machine; `repos` and `faults` may be changed at any time."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.hooks: dict[str, Callable[[], object]] = {}
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def on_request(self, request: str, action: Callable[[], object]) -> None:
        """Does something, once, before the next request of this kind is answered."""
        self.hooks[request] = action

    def changes(self) -> list[str]:
        """The requests so far that were to change something."""
        return [r for r in self.requests if r.startswith(("PUT", "POST /api/repos")) or "/commit/" in r]

    def handle_error(self, request, client_address) -> None:
        pass  # clients that hang up are part of the tests


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer
    is_cut = False

    def log_message(self, *args) -> None:
        pass

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        path = unquote(urlsplit(self.path).path)
        with self.server.lock:
            asked = f" {self.headers['Range']}" if "Range" in self.headers else ""
            self.server.requests.append(f"{self.command} {path}{asked}")
            if action := self.server.hooks.pop(f"{self.command} {path}", None):
                action()
            fault = next((f for f in self.server.faults if f.method == self.command and f.path in path), None)
            if fault:
                fault.times -= 1
                if not fault.times:
                    self.server.faults.remove(fault)
        if fault and fault.answer != "cut":
            return self.answer(fault.answer, {"error": "a fault"}, fault.headers)
        self.is_cut = fault is not None
        for method, pattern, function in ROUTES:
            if method == self.command and (match := re.fullmatch(pattern, path)):
                return function(self, **match.groupdict())
        return self.answer(404, {"error": f"no route {self.command} {path}"})

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

    def answer(self, status: int, content: object = b"", headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(data[: len(data) // 2] if self.is_cut else data)
        if self.is_cut:
            # Closing alone sends nothing while `rfile` and `wfile` hold the socket: the client would wait until it
            # gives up.
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def find(self, kind: str, repo: str, revision: str = "main") -> tuple[str, dict[str, bytes]] | None:
        found = self.server.repos.get((kind, repo))
        if found is None or (found.private and self.headers.get("Authorization") != f"Bearer {TOKEN}"):
            self.answer(401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return None
        commit = found.at(revision)
        if commit is None:
            self.answer(404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"})
        return commit

    def front(self) -> None:
        self.answer(200, b"")

    def whoami(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid username or password."})
        self.answer(200, {"name": "user", "type": "user", "orgs": [], "auth": {"accessToken": {"role": "write"}}})

    def validate(self) -> None:
        self.answer(200, {"errors": [], "warnings": []})

    def create(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid username or password."})
        asked = json.loads(self.body)
        kind = f"{asked.get('type') or 'model'}s"
        name = f"{asked.get('organization') or 'user'}/{asked['name']}"
        url = {"url": f"{self.server.url}/{'' if kind == 'models' else kind + '/'}{name}"}
        if (kind, name) in self.server.repos:
            return self.answer(409, {"error": "You already created this repo", **url})
        repo = self.server.repos[kind, name] = Repo(
            asked.get("visibility") == "private", sdk=asked.get("sdk"), hardware=asked.get("hardware")
        )
        repo.commit({".gitattributes": b"* text=auto\n"})
        self.answer(200, url)

    def info(self, kind: str, repo: str, revision: str = "main") -> None:
        if commit := self.find(kind, repo, revision or "main"):
            sha, files = commit
            siblings = []
            for name, data in sorted(files.items()):
                entry = self.entry(name, data)
                siblings.append({"rfilename": name, "size": entry["size"], "blobId": entry["oid"]})
                if "lfs" in entry:
                    siblings[-1]["lfs"] = {"sha256": entry["lfs"]["oid"], **entry["lfs"]}
            private = self.server.repos[kind, repo].private
            about = {"id": repo, "sha": sha, "siblings": siblings, "private": private, "tags": []}
            self.answer(200, about | {"cardData": front_matter(files.get("README.md", b""))})

    def entry(self, name: str, data: bytes) -> dict:
        entry = {"type": "file", "path": name, "size": len(data), "oid": git_oid(data)}
        if len(data) >= LFS_FROM:
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry

    def tree(self, kind: str, repo: str, revision: str, folder: str = "") -> None:
        if commit := self.find(kind, repo, revision):
            prefix = folder.strip("/") + "/" if folder else ""
            inside = {name: data for name, data in sorted(commit[1].items()) if name.startswith(prefix)}
            if prefix and not inside:
                return self.answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            is_recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
            folders = {prefix + name.removeprefix(prefix).rpartition("/")[0] for name in inside} - {prefix}
            folders = {f for f in folders if is_recursive or "/" not in f.removeprefix(prefix)}
            found = [{"type": "directory", "path": path, "oid": git_oid(path.encode()), "size": 0} for path in folders]
            for name, data in inside.items():
                if is_recursive or "/" not in name.removeprefix(prefix):
                    found.append(self.entry(name, data))
            self.answer(200, found)

    def paths(self, kind: str, repo: str, revision: str) -> None:
        if commit := self.find(kind, repo, revision):
            asked = json.loads(self.body)["paths"] if self.body.startswith(b"{") else []
            self.answer(200, [self.entry(name, commit[1][name]) for name in asked if name in commit[1]])

    def preupload(self, kind: str, repo: str, revision: str) -> None:
        if self.find(kind, repo, revision):
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] >= LFS_FROM else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(self.body)["files"]
            ]
            self.answer(200, {"files": modes})

    def lfs_batch(self, **_: str) -> None:
        objects = []
        for asked in json.loads(self.body)["objects"]:
            entry = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.server.blobs:
                entry["actions"] = {"upload": {"href": f"{self.server.url}/lfs/{asked['oid']}"}}
            objects.append(entry)
        self.answer(200, {"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.server.blobs[oid] = self.body
        self.answer(200)

    def commit(self, kind: str, repo: str, revision: str) -> None:
        if not (commit := self.find(kind, repo, revision)):
            return
        files = dict(commit[1])
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if value.get("parentCommit", commit[0]) != commit[0]:
                return self.answer(412, {"error": "A commit has happened since. Please refresh and try again."})
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.server.blobs[value["oid"]]
            elif operation["key"] == "deletedFile":
                files.pop(value["path"], None)
        sha = self.server.repos[kind, repo].commit(files)
        self.answer(200, {"commitUrl": f"{self.server.url}/{repo}/commit/{sha}", "commitOid": sha, "success": True})

    def variables(self, repo: str) -> None:
        if self.find("spaces", repo):
            variables = self.server.repos["spaces", repo].variables
            if self.command == "POST":
                asked = json.loads(self.body)
                variables[asked["key"]] = asked["value"]
            self.answer(200, {key: {"value": value} for key, value in variables.items()})

    def runtime(self, repo: str) -> None:
        if self.find("spaces", repo):
            space = self.server.repos["spaces", repo]
            if self.command == "POST":
                space.hardware = json.loads(self.body)["flavor"]
            self.answer(200, {"stage": "BUILDING", "hardware": {"current": None, "requested": space.hardware}})

    def resolve(self, kind: str | None, repo: str, revision: str, name: str) -> None:
        commit = self.find((kind or "models/").strip("/"), repo, revision)
        if commit is None:
            return
        sha, files = commit
        if name not in files:
            headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha}
            return self.answer(404, {"error": "Entry not found"}, headers)
        data, status = files[name], 200
        digest = hashlib.sha256(data).hexdigest() if len(data) >= LFS_FROM else git_oid(data)
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if len(data) >= LFS_FROM:
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(wanted[1]), int(wanted[2] or len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            data, status = data[start : end + 1], 206
        self.answer(status, data, {"Content-Type": "application/octet-stream", **headers})


ROUTES = [
    ("HEAD", "/?", Handler.front),
    ("GET", "/api/whoami-v2", Handler.whoami),
    ("POST", "/api/validate-yaml", Handler.validate),
    ("POST", "/api/repos/create", Handler.create),
    ("GET", r"/api/spaces/(?P<repo>[\w.-]+/[\w.-]+)/runtime", Handler.runtime),
    ("POST", r"/api/spaces/(?P<repo>[\w.-]+/[\w.-]+)/hardware", Handler.runtime),
    ("GET", r"/api/spaces/(?P<repo>[\w.-]+/[\w.-]+)/variables", Handler.variables),
    ("POST", r"/api/spaces/(?P<repo>[\w.-]+/[\w.-]+)/variables", Handler.variables),
    ("GET", f"/api/{REPO}", Handler.info),
    ("GET", f"/api/{REPO}/revision/(?P<revision>[^/]+)", Handler.info),
    ("GET", f"/api/{REPO}/tree/(?P<revision>[^/]+)(?P<folder>/.*)?", Handler.tree),
    ("POST", f"/api/{REPO}/paths-info/(?P<revision>[^/]+)", Handler.paths),
    ("POST", f"/api/{REPO}/preupload/(?P<revision>[^/]+)", Handler.preupload),
    ("POST", f"/api/{REPO}/commit/(?P<revision>[^/]+)", Handler.commit),
    ("POST", r"/(?P<kind>datasets/|spaces/)?(?P<repo>[\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", Handler.lfs_batch),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", Handler.lfs_put),
    *(
        (
            method,
            r"/(?P<kind>datasets/|spaces/)?(?P<repo>[\w.-]+/[\w.-]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)",
            Handler.resolve,
        )
        for method in ("HEAD", "GET")
    ),
]

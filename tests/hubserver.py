"""A small Hugging Face Hub on 127.0.0.1: serves ROOT/{models,datasets}/OWNER/NAME/... to the real
client libraries and logs every request.

A folder `NAME` is the main branch, `NAME@BRANCH` another one, its slashes as %2F.  A commit is the
hash of a branch's files, so an edited folder has moved on to a new commit; a copy `NAME@old` keeps
the old one.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

API = re.compile(
    r"/api/(models|datasets)/((?:[^/]+/)?[^/]+?)(?:/(revision|tree)/([^/]+)(?:/(.*))?)?"
)
FILE = re.compile(r"/(?:(datasets)/)?((?:[^/]+/)?[^/]+)/resolve/([^/]+)/(.+)")
OWN_VARIABLES = ("HF_", "HUGGING", "TRANSFORMERS_", "IDIM_", "XDG_")


@dataclass(slots=True)
class Hub:
    """What is served, how it misbehaves, and what was asked of it."""

    root: Path
    url: str = ""
    # Repository -> 401 (no token) or 403 (not on its list), for its files only, as on the real hub.
    gated: dict[str, int] = field(default_factory=dict)
    # Old name -> new name, answered by a redirect.
    moved: dict[str, str] = field(default_factory=dict)
    # When set, the status of every answer.
    broken: int | None = None
    # "GET /api/models/... 200", in order of arrival.
    requests: list[str] = field(default_factory=list)

    def env(self, home: Path, **more: str) -> dict[str, str]:
        """Return the environment of a process that uses this hub and writes below home."""
        return hub_env(self.url, home, **more)

    def commit(self, kind: str, repo: str, branch: str = "main") -> str:
        """Return the commit that a branch is at."""
        return _commit(self.root / kind / _branch_folder(repo, branch))

    def fetched(self) -> set[str]:
        """Return the paths in their repositories of all files handed out."""
        parts = [r.split() for r in self.requests]
        files = [
            FILE.fullmatch(path) for verb, path, code in parts if (verb, code) == ("GET", "200")
        ]
        return {f[4] for f in files if f}


def hub_env(url: str, home: Path, **more: str) -> dict[str, str]:
    """Build the environment for a hub at `url`; the libraries read it when imported."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(OWN_VARIABLES)}
    kept = {k: v for k, v in kept.items() if not k.lower().endswith("_proxy")}
    own = {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home / "hf"),
        "IDIM_HOME": str(home / "idim"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
    }
    return kept | own | more


@contextmanager
def serve(root: Path) -> Iterator[Hub]:
    """Serve `root` on a free port of the loopback until the block ends."""
    hub = Hub(root)
    handler = type("Bound", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A client that keeps its connection open must not keep the server from closing.
    timeout = 2
    hub: Hub

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if self.hub.broken:
            self._answer(self.hub.broken, b"out of order")
        elif match := API.fullmatch(url.path):
            self._api(match, parse_qs(url.query))
        elif match := FILE.fullmatch(url.path):
            self._file(match)
        else:
            self._answer(404, b"no such page")

    do_HEAD = do_GET

    def _api(self, match: re.Match[str], query: Mapping[str, list[str]]) -> None:
        kind, repo, verb, revision, _ = match.groups()
        folder = self._folder(kind, repo, revision or "main")
        if folder is None:
            return
        files = _files(folder)
        if verb == "tree":
            recursive = query.get("recursive", ["false"])[0].lower() == "true"
            names = files if recursive else [n for n in files if "/" not in n]
            self._json([_entry(folder, n) for n in names])
        else:
            siblings = [{"rfilename": n} for n in files]
            card = _card(folder)
            self._json({"id": repo, "sha": _commit(folder), "siblings": siblings, "cardData": card})

    def _file(self, match: re.Match[str]) -> None:
        kind, repo, revision, name = match.groups()
        name = unquote(name)
        folder = self._folder(kind or "models", repo, revision)
        if folder is None:
            return
        if repo in self.hub.gated:
            self._refuse(self.hub.gated[repo], "GatedRepo", f"Access to {repo} is restricted.")
        elif not (folder / name).is_file():
            self._refuse(404, "EntryNotFound", "Entry not found")
        else:
            data = (folder / name).read_bytes()
            headers = {"ETag": f'"{_blob(folder / name)}"', "X-Repo-Commit": _commit(folder)}
            self._answer(200, data, "application/octet-stream", headers)

    def _folder(self, kind: str, repo: str, revision: str) -> Path | None:
        """Find a repository at a branch or commit, or answer that there is none."""
        new = self.hub.moved.get(repo)
        if new:
            self._answer(307, b"", headers={"Location": self.path.replace(repo, new, 1)})
            return None
        folders = _branches(self.hub.root / kind, repo)
        if not folders:
            # The real hub does not tell strangers what exists.
            known = "Authorization" in self.headers
            message = "Repository not found" if known else "Invalid username or password."
            self._refuse(404 if known else 401, "RepoNotFound", message)
            return None
        branch = unquote(revision)
        for name, folder in folders.items():
            if branch in (name, _commit(folder)):
                return folder
        self._refuse(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        return None

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), "application/json")

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        self._answer(
            status, body, "application/json", {"X-Error-Code": code, "X-Error-Message": message}
        )

    def _answer(
        self,
        status: int,
        body: bytes,
        kind: str = "text/plain",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.hub.requests.append(f"{self.command} {self.path} {status}")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: `Hub.requests` is the log."""


def _branch_folder(repo: str, branch: str) -> str:
    return repo if branch == "main" else f"{repo}@{branch}"


def _branches(kind_folder: Path, repo: str) -> dict[str, Path]:
    """Map branch names to folders; empty if there is no such repository."""
    main = kind_folder / repo
    if not main.is_dir():
        return {}
    others = {unquote(p.name.split("@", 1)[1]): p for p in main.parent.glob(f"{main.name}@*")}
    return {"main": main} | others


def _files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def _blob(file: Path) -> str:
    """Hash a file as git does."""
    data = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _commit(folder: Path) -> str:
    lines = [f"{_blob(folder / name)} {name}" for name in _files(folder)]
    return hashlib.sha1("\n".join(lines).encode()).hexdigest()


def _entry(folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    return {"type": "file", "path": name, "size": file.stat().st_size, "oid": _blob(file)}


def _card(folder: Path) -> dict[str, Any]:
    """Read the front matter of README.md."""
    import yaml

    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    return yaml.safe_load(text.split("---")[1]) if text.startswith("---") else {}

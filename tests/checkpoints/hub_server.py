"""A stand-in for the Hugging Face hub on this machine's loopback: as much of its HTTP as downloads and uploads need."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """`files[owner/name][file name]` = content. `requests` lists (method, path, token) of what was asked."""

    def __init__(self, files: dict[str, dict[str, bytes]]):
        self.files = files
        self.requests: list[tuple[str, str, str | None]] = []
        self.gated: set[str] = set()
        self.account = "me"
        self.writers: set[str] | None = None  # tokens that may write; None: everybody may
        self.commits: list[dict] = []  # the header of each commit: summary, description
        self.created: list[dict] = []  # how each repository was asked for
        self.broken = False
        self.address = ""

    def answer(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) for /owner/name/resolve/revision/file."""
        if self.broken:
            return 503, {}, b"out of order"
        repository, _, rest = unquote(path.split("?")[0]).lstrip("/").partition("/resolve/")
        revision, _, filename = rest.partition("/")
        if repository not in self.files or not rest:
            return 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b""
        if repository in self.gated:
            return 403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}, b""
        if revision not in ("main", COMMIT):
            return 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}, b""
        if filename not in self.files[repository]:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b""
        body = self.files[repository][filename]
        etag = hashlib.sha1(body).hexdigest()
        return 200, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(body))}, body

    def write(self, path: str, body: bytes, token: str | None) -> tuple[int, dict[str, str], bytes]:
        """A new repository, the question how each file is to be sent (all in the commit itself), or a commit."""
        if self.writers is not None and token not in self.writers:
            return 401, {"X-Error-Message": "Invalid username or password."}, b""
        path = unquote(path.partition("?")[0])
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted.get('organization') or self.account}/{wanted['name']}"
            answer = json.dumps({"url": f"{self.address}/{name}"}).encode()
            if name in self.files:
                return 409, {"X-Error-Message": "You already created this model repo"}, answer
            self.files[name] = {}
            self.created.append(wanted)
            return 200, {}, answer
        if "/preupload/" in path:
            files = [{**file, "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(body)["files"]]
            return 200, {}, json.dumps({"files": files}).encode()
        repository = path.removeprefix("/api/models/").partition("/commit/")[0]
        for entry in map(json.loads, body.splitlines()):
            if entry["key"] == "header":
                self.commits.append(entry["value"])
            else:
                file = entry["value"]
                self.files[repository][file["path"]] = base64.b64decode(file["content"])
        address = f"{self.address}/{repository}/commit/{COMMIT}"
        return 200, {}, json.dumps({"success": True, "commitUrl": address, "commitOid": COMMIT}).encode()


@contextmanager
def serve(hub: Hub):
    """Run the hub until the block ends; `hub.address` is its URL."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self):
            token = self.headers.get("Authorization")
            hub.requests.append((self.command, self.path, token))
            if self.command == "POST":
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, body = hub.write(self.path, sent, token)
            else:
                status, headers, body = hub.answer(self.command, self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = respond

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A stand-in for the Hugging Face hub on this machine's loopback: as much of its HTTP as a download needs."""

from __future__ import annotations

import hashlib
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


@contextmanager
def serve(hub: Hub):
    """Run the hub until the block ends; `hub.address` is its URL."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self):
            hub.requests.append((self.command, self.path, self.headers.get("Authorization")))
            status, headers, body = hub.answer(self.command, self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_GET = do_HEAD = respond

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

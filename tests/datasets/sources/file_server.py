"""A file server that behaves as well, or as badly, as a test asks it to."""

import re
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

CONTENT = np.random.default_rng(3).integers(0, 256, 3_000_000, dtype=np.uint8).tobytes()


class Server(ThreadingHTTPServer):
    """Sends CONTENT; its attributes say how well, `asked` what came in."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.changed: float | None = 1_600_000_000.0
        self.has_ranges = True
        self.cuts: list[int] = []  # bytes after which the coming answers break off
        self.shift = 0  # how far off the beginning of a part is
        self.asked: list[str | None] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Silent where the client has hung up."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/set.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers["Range"]
        server.asked.append(wanted)
        if self.path != "/set.zip":
            self.send_error(404)
            return
        date = server.changed and formatdate(server.changed, usegmt=True)
        condition = self.headers["If-Range"]
        start = 0
        if wanted and server.has_ranges and condition in (None, date):
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            last, total = len(server.content) - 1, len(server.content)
            self.send_header("Content-Range", f"bytes {start + server.shift}-{last}/{total}")
        self.send_header("Content-Length", str(len(server.content) - start))
        if date:
            self.send_header("Last-Modified", date)
        self.end_headers()
        end = start + server.cuts.pop(0) if server.cuts else None
        self.wfile.write(server.content[start:end])

    def log_message(self, *arguments: object) -> None:
        """Silent."""


class Bar:
    """What a bar is told."""

    def __init__(self, **settings: object) -> None:
        self.settings = settings
        self.count = settings["initial"]

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, count: int) -> None:
        self.count += count

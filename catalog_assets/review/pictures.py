"""The store's pictures under an address on this machine, so that the Dagster UI can show them.

Read-only, loopback only, picture files only: nothing else of the store is reachable.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from catalog_assets.storage.store import Store

TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
FOLDERS = frozenset(
    {"thumbs", "cutout", "packshot", "scenes", "listing", "insights", "qc_report", "candidates"}
)
_HOST = re.compile(r"^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$")


def picture_server(store: Store, port: int = 0) -> ThreadingHTTPServer:
    """A server on 127.0.0.1; call ``serve_forever`` on it. Port 0 takes a free one.

    Raises:
        OSError: the port is in use.
    """

    class Handler(BaseHTTPRequestHandler):
        """Answers GET and HEAD for pictures."""

        server_version = "catalog-assets"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            name = unquote(urlsplit(self.path).path).lstrip("/")
            suffix = name[name.rfind(".") :].lower()
            # A page on another host must not read the store through a name that resolves to loopback.
            local = _HOST.match(self.headers.get("Host", ""))
            if not local or name.split("/", 1)[0] not in FOLDERS or suffix not in TYPES:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            try:
                data = store.read(name)
            except OSError:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", TYPES[suffix])
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Cache-Control", "no-cache")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the UI asks for dozens of thumbnails a page."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


@contextmanager
def serving(store: Store, port: int = 0) -> Generator[str]:
    """Serve in the background; yields the base address."""
    server = picture_server(store, port)
    thread = threading.Thread(target=server.serve_forever, name="pictures", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

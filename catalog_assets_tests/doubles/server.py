"""What the doubles share: a threaded loopback server, faults on demand, and a bill of their own."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

FaultKind = Literal[
    "rate_limited",           # 429 with retry-after
    "rate_limited_silent",    # 429 without
    "quota",                  # no credit left
    "refused",                # by the prompt; not billed
    "refused_output",         # by the finished picture; billed
    "refused_blackened",      # fal alone: 200, billed, with a black picture and a flag
    "server_error",           # 5xx, not billed
    "slow",                   # answers late
    "truncated_json",         # billed, the answer breaks off
    "truncated_picture",      # billed, the base64 breaks off
    "wrong_size",             # billed, another size than asked for
    "dropped",                # billed, the connection dies before the answer
    "never",                  # accepted and billed, never answers
]  # fmt: skip
UNBILLED: tuple[FaultKind, ...] = ("rate_limited", "rate_limited_silent", "refused", "server_error")
BILLED: tuple[FaultKind, ...] = ("truncated_json", "truncated_picture", "dropped")
Plan = Callable[[str, int], "FaultKind | None"]
"""What goes wrong with a request, by the digest of its body and how often that body has come before."""


@dataclass(slots=True)
class Charge:
    """One line of the vendor's bill. ``delivered``: whether a whole picture was handed over."""

    request_id: str
    usd: Decimal
    body: str
    delivered: bool = False


@dataclass(slots=True)
class Call:
    """One request as it came in."""

    at: float
    path: str
    body: str
    status: int = 0
    fault: FaultKind | None = None


def every_tenth(kinds: Sequence[FaultKind], rate: float = 0.1, seed: int = 0) -> Plan:
    """A plan: ``rate`` of all requests meet one of ``kinds``; the same request always meets the same fate."""

    def plan(body: str, times: int) -> FaultKind | None:
        dice = random.Random(f"{seed}/{body}/{times}")
        return dice.choice(list(kinds)) if dice.random() < rate else None

    return plan


def once(kind: FaultKind, times: int = 1) -> Plan:
    """A plan: every request meets ``kind`` the first ``times`` times it comes."""
    return lambda _body, seen: kind if seen < times else None


class AnsweredError(Exception):
    """Raised by a handler to answer with a status and JSON body at once."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers or {}


@dataclass
class Request:
    """A request as a double's ``answer`` sees it."""

    method: str
    path: str
    query: str
    headers: Any
    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.path.encode() + self._comparable()).hexdigest()[:24]

    def _comparable(self) -> bytes:
        # The boundary of a multipart body is random; what lies between the boundaries is not.
        kind = self.headers.get("content-type", "")
        if "boundary=" in kind:
            return self.data.replace(kind.split("boundary=", 1)[1].strip('"').encode(), b"")
        return self.data

    def json(self) -> dict[str, Any]:
        try:
            return json.loads(self.data)
        except ValueError:
            raise AnsweredError(
                400, {"error": {"message": "We could not parse the JSON body of your request."}}
            ) from None


@dataclass
class Double(ABC):
    """Base of the doubles; use as a context manager.

    Attributes:
        key: the only key that is accepted.
        plan: faults.
        latency: seconds each picture takes.
        images_per_minute: requests above this within a sliding minute get a 429 (0: no limit).
        minute: seconds of that "minute", so that tests need not wait.
    """

    key: str = "sk-canary-0123456789abcdef"
    plan: Plan = lambda _body, _times: None
    latency: float = 0.0
    images_per_minute: int = 0
    minute: float = 60.0
    retry_after: float = 0.05
    bill: list[Charge] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    mistakes: list[BaseException | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self._seen: dict[str, int] = {}
        self._window: deque[float] = deque()
        self._stop = threading.Event()
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                double._serve(self)

            do_GET = do_POST  # noqa: N815 - the name http.server looks for

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                # A client that was killed is nothing to report; a mistake of the double is.
                error = sys.exc_info()[1]
                if not isinstance(error, ConnectionError | TimeoutError):
                    double.mistakes.append(error)

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Any:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        if self.mistakes:
            raise AssertionError(f"the double itself broke: {self.mistakes[0]!r}") from self.mistakes[0]

    # ---- for tests -------------------------------------------------------------------------------

    @property
    def billed(self) -> Decimal:
        """Everything charged so far, in dollars."""
        with self.lock:
            return sum((charge.usd for charge in self.bill), Decimal(0))

    def refused_for_pace(self) -> int:
        """How many requests were turned away by the limit (not by a planned fault)."""
        return sum(1 for call in self.calls if call.status == 429 and call.fault is None)

    # ---- for subclasses --------------------------------------------------------------------------

    @abstractmethod
    def answer(self, request: Request, call: Call) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON body (or bytes) and headers."""

    def fault_of(self, request: Request, call: Call) -> FaultKind | None:
        """What this request meets; counts its coming."""
        with self.lock:
            times = self._seen.get(request.digest, 0)
            self._seen[request.digest] = times + 1
        call.fault = self.plan(request.digest, times)
        return call.fault

    def over_the_limit(self) -> bool:
        """Whether this request is one too many for the sliding minute; counts it if not."""
        if not self.images_per_minute:
            return False
        with self.lock:
            now = time.monotonic()
            while self._window and self._window[0] <= now - self.minute:
                self._window.popleft()
            if len(self._window) >= self.images_per_minute:
                return True
            self._window.append(now)
            return False

    def charge(self, request: Request, usd: Decimal, request_id: str) -> Charge:
        """Put a line on the bill."""
        line = Charge(request_id, usd, request.digest)
        with self.lock:
            self.bill.append(line)
        return line

    def work(self, fault: FaultKind | None) -> None:
        """Take the time a picture takes."""
        if fault == "never":
            self._stop.wait(3600)
        self._stop.wait(self.latency * (5 if fault == "slow" else 1))

    def drop(self, handler: Any) -> None:
        """Kill the connection without an answer (RST)."""
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        data = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        parts = urlsplit(handler.path)
        request = Request(handler.command, parts.path, parts.query, handler.headers, data)
        call = Call(time.monotonic(), parts.path, request.digest)
        with self.lock:
            self.calls.append(call)
        try:
            status, body, headers = self.answer(request, call)
        except AnsweredError as answered:
            status, body, headers = answered.status, answered.body, answered.headers
        call.status = status
        if status == 0:
            self.drop(handler)
            return
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        cut = call.fault == "truncated_json" and status == 200
        handler.send_response(status)
        kind = "application/json" if not isinstance(body, bytes) else "application/octet-stream"
        for name, value in {"content-type": kind, **headers}.items():
            handler.send_header(name, value)
        # A proxy that cuts an answer short still closes it properly.
        payload = payload[: len(payload) // 2] if cut else payload
        handler.send_header("content-length", str(len(payload)))
        handler.end_headers()
        handler.wfile.write(payload)

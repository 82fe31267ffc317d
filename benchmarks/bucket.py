"""A bucket in memory with S3's paged listing, for measuring clients against a hundred thousand keys.

    python benchmarks/bucket.py --port 9000 --keys 100000

The S3 server of the tests reads every file of the bucket for each page that it lists. This one answers ListObjectsV2
(``prefix``, ``delimiter``, ``start-after``, ``continuation-token``, ``max-keys``) from a sorted list, and get, head,
put (``If-None-Match``) and delete. No signature is checked. Not in tests: there it is a real server.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

THEN = "2026-01-01T00:00:00.000Z"
PAGE = 1000


@dataclass
class Bucket:
    """Objects by key, and the keys in order."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    keys: list[str] = field(default_factory=list[str])
    lock: Lock = field(default_factory=Lock)

    def put(self, key: str, data: bytes) -> None:
        """Store an object."""
        with self.lock:
            if key not in self.objects:
                insort(self.keys, key)
            self.objects[key] = data

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        with self.lock:
            if self.objects.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]

    def listing(self, prefix: str, delimiter: str, after: str, most: int) -> tuple[list[str], list[str], str]:
        """Keys and common prefixes after a name, and the name to go on after where there is more."""
        found, common = list[str](), list[str]()
        with self.lock:
            place = max(bisect_left(self.keys, prefix), bisect_right(self.keys, after) if after else 0)
            last = ""
            while place < len(self.keys) and (key := self.keys[place]).startswith(prefix):
                if len(found) + len(common) >= most:
                    return found, common, last
                stop = key.find(delimiter, len(prefix)) if delimiter else -1
                if stop < 0:
                    found.append(key)
                    last = key
                    place += 1
                    continue
                common.append(key[: stop + 1])
                last = key[: stop + 1] + "\U0010ffff"
                place = bisect_right(self.keys, last)
        return found, common, ""


class Handler(BaseHTTPRequestHandler):
    """One request; the bucket's name is the first part of the path and any name will do."""

    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """A listing or an object."""
        name, key, asked = self._asked()
        if not key:
            self._answer(200, self._listed(name, asked).encode())
        elif key in self.bucket.objects:
            self._answer(200, self.bucket.objects[key])
        else:
            text = "<Error><Code>NoSuchKey</Code><Message>there is no such object</Message></Error>"
            self._answer(404, text.encode())

    def do_HEAD(self) -> None:
        """Whether the bucket or an object is there."""
        _, key, _ = self._asked()
        if key and key not in self.bucket.objects:
            self._answer(404, b"")
        else:
            self._answer(200, self.bucket.objects.get(key, b""))

    def do_PUT(self) -> None:
        """Store an object."""
        _, key, _ = self._asked()
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            data = _unchunked(data)
        if self.headers.get("If-None-Match") and key in self.bucket.objects:
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        if key:
            self.bucket.put(key, data)
        self._answer(200, b"", etag=_etag(data))

    def do_DELETE(self) -> None:
        """Remove an object."""
        _, key, _ = self._asked()
        self.bucket.delete(key)
        self._answer(204, b"")

    def do_POST(self) -> None:
        """Remove several objects, named in the body."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        for key in re.findall("<Key>(.*?)</Key>", body):
            self.bucket.delete(unescape(key))
        self._answer(200, b'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>')

    def _asked(self) -> tuple[str, str, dict[str, str]]:
        parts = urlsplit(self.path)
        name, _, key = unquote(parts.path).lstrip("/").partition("/")
        return name, key, {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}

    def _listed(self, name: str, asked: dict[str, str]) -> str:
        after = asked.get("continuation-token") or asked.get("start-after", "")
        most = min(int(asked.get("max-keys", PAGE)), PAGE)
        keys, common, more = self.bucket.listing(
            asked.get("prefix", ""), asked.get("delimiter", ""), after, most
        )
        shown = quote if asked.get("encoding-type") == "url" else escape
        rows = [
            f"<Contents><Key>{shown(key)}</Key><LastModified>{THEN}</LastModified>"
            f"<ETag>&quot;{_etag(self.bucket.objects[key])}&quot;</ETag>"
            f"<Size>{len(self.bucket.objects[key])}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key in keys
        ]
        rows += [f"<CommonPrefixes><Prefix>{shown(p)}</Prefix></CommonPrefixes>" for p in common]
        go_on = f"<NextContinuationToken>{escape(more)}</NextContinuationToken>" if more else ""
        encoded = "<EncodingType>url</EncodingType>" if shown is quote else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{name}</Name><Prefix>{shown(asked.get('prefix', ''))}</Prefix><MaxKeys>{most}</MaxKeys>"
            f"<KeyCount>{len(keys) + len(common)}</KeyCount><IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
            f"{encoded}{go_on}{''.join(rows)}</ListBucketResult>"
        )

    def _answer(self, status: int, data: bytes, etag: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{etag or _etag(data)}"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _unchunked(data: bytes) -> bytes:
    """What an upload in signed or checksummed pieces holds."""
    whole = b""
    while data:
        head, _, data = data.partition(b"\r\n")
        size = int(head.split(b";")[0] or b"0", 16)
        if size == 0:
            break
        whole, data = whole + data[:size], data[size + 2 :]
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--keys", type=int, default=0, help="so many photos and their catalogue")
    arguments = parser.parse_args()
    skus = [f"S{n:06d}" for n in range(arguments.keys)]
    bucket = Bucket({f"inventory/photos/{sku}.jpg": b"1" for sku in skus})
    bucket.objects["inventory/catalog.csv"] = (
        "sku,title\n" + "\n".join(f"{sku},Thing {sku}" for sku in skus)
    ).encode()
    bucket.keys = sorted(bucket.objects)
    handler = type("Serving", (Handler,), {"bucket": bucket})
    ThreadingHTTPServer(("127.0.0.1", arguments.port), handler).serve_forever()


if __name__ == "__main__":
    main()

"""Bytes under a base address, in a folder or in S3, by one code path; every write is whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Generator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from upath import UPath

REMOTE_SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "memory")


class StoreError(OSError):
    """The store refused a read or write; the text names the file and what to do."""


class Store:
    """A key-value view of a folder or bucket prefix. Names are POSIX paths relative to the base.

    Safe to share between threads. Keys of the S3 client come from the AWS variables
    (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL`` …) and never pass through here.

    Args:
        base: a folder, or ``s3://bucket/prefix``.
        options: passed to fsspec's filesystem as they are.
    """

    def __init__(self, base: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> None:
        self.base = os.fspath(base)
        self.options = dict(options or {})
        scheme, mark, rest = self.base.partition("://")
        scheme = scheme.lower() if mark else ""
        if scheme in REMOTE_SCHEMES:
            self.base = f"{scheme}://{rest}"  # S3:// is a bucket too, not a folder of that name
        self.remote = scheme in REMOTE_SCHEMES
        if scheme in ("s3", "s3a"):
            # Another process may have written since we looked: never answer from a remembered listing.
            self.options.setdefault("use_listings_cache", False)
            self.options.setdefault("skip_instance_cache", False)

    def __repr__(self) -> str:
        return f"Store({self.base!r})"

    @cached_property
    def root(self) -> UPath:
        """The base as a path."""
        return UPath(self.base, **self.options) if self.remote else UPath(Path(self.base).absolute())

    def path(self, name: str) -> UPath:
        """Where ``name`` lies.

        Raises:
            StoreError: the name is absolute or climbs out of the store.
        """
        return self.root.joinpath(*_parts(name))

    def _local(self, name: str) -> str:
        """The same in a folder, as the system has it: a path object for each of the many small reads costs more."""
        return os.path.join(self._folder, *_parts(name))  # noqa: PTH118

    @cached_property
    def _folder(self) -> str:
        return self.root.path

    def read(self, name: str) -> bytes:
        """The bytes of ``name``.

        Raises:
            FileNotFoundError: nothing is stored under that name.
        """
        if self.remote:
            return self.path(name).read_bytes()
        with open(self._local(name), "rb") as file:  # noqa: PTH123
            return file.read()

    def read_or_none(self, name: str) -> bytes | None:
        """The bytes of ``name``, or None where there are none."""
        try:
            return self.read(name)
        except FileNotFoundError:
            return None

    def exists(self, name: str) -> bool:
        """Whether ``name`` is stored."""
        return self.path(name).exists() if self.remote else os.path.exists(self._local(name))  # noqa: PTH110

    def write(self, name: str, data: bytes, *, durable: bool = False) -> None:
        """Store ``data`` under ``name``, replacing what was there; a reader sees the old or the new, whole.

        Args:
            name: where.
            data: what.
            durable: wait until the disk has it (the ledger and paid pictures do).
        """
        path = self.path(name)
        if self.remote:
            path.write_bytes(data)
            return
        with self._part(path, data, durable) as part:
            part.replace(path.path)
        if durable:
            _sync_folder(Path(path.path).parent)

    def create(self, name: str, data: bytes) -> bool:
        """Store ``data`` only if ``name`` is free; exactly one of several racing callers gets True.

        On S3 this is a conditional PUT (``If-None-Match: *``). AWS, MinIO, Ceph and R2 honour it; a server
        that ignores the header still refuses a name that was there before, but cannot settle a race. Where a
        file system has no hard links, a reader may find the file empty for a moment.
        """
        path = self.path(name)
        if self.remote:
            if path.exists():
                return False
            try:
                path.fs.pipe_file(path.path, data, mode="create")
            except FileExistsError:
                return False
            return True
        with self._part(path, data, durable=True) as part:
            try:
                os.link(part, path.path)
            except FileExistsError:
                return False
            except OSError:
                # No hard links here (FAT, some network folders): claim the name first, then fill it whole.
                try:
                    Path(path.path).open("x").close()
                except FileExistsError:
                    return False
                part.replace(path.path)
        _sync_folder(Path(path.path).parent)
        return True

    def delete(self, name: str) -> None:
        """Remove ``name``; nothing happens where it is not there."""
        path = self.path(name)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    def listing(self, prefix: str = "") -> list[str]:
        """All names below ``prefix`` (a folder), sorted; half-written files are never among them."""
        start = self.path(prefix) if prefix else self.root
        if self.remote:
            try:
                found = start.fs.find(start.path)
            except FileNotFoundError:
                return []
            cut = len(self.root.path.rstrip("/")) + 1
            return sorted(name[cut:] for name in found if not name.endswith("/"))
        folder = Path(start.path)
        root = Path(self.root.path)
        names: list[str] = []
        for here, _, files in os.walk(folder):
            names += [
                Path(here, file).relative_to(root).as_posix()
                for file in files
                if not file.startswith(".part-")
            ]
        return sorted(names)

    @contextlib.contextmanager
    def _part(self, path: UPath, data: bytes, durable: bool) -> Generator[Path]:
        target = Path(path.path)
        part = target.with_name(f".part-{uuid.uuid4().hex}")
        try:
            try:
                file = part.open("xb")
            except FileNotFoundError:
                target.parent.mkdir(parents=True, exist_ok=True)
                file = part.open("xb")
            with file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            yield part
        finally:
            part.unlink(missing_ok=True)


def _parts(name: str) -> list[str]:
    """A name's parts.

    Raises:
        StoreError: the name is absolute or climbs out of the store.
    """
    parts = name.split("/")
    if not name or name.startswith("/") or any(p in ("", ".", "..") for p in parts):
        raise StoreError(f"{name!r} is not a name inside the store")
    return parts


def _sync_folder(folder: Path) -> None:
    """Make a rename itself survive a power cut, where the platform has a way to."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(data: bytes) -> str:
    """Hex SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()

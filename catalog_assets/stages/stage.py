"""The loop all stages share: skip what is unchanged, make the rest, record what happened."""

from __future__ import annotations

import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from catalog_assets.stages.line import Line
from catalog_assets.storage.fingerprint import fingerprint
from catalog_assets.storage.manifest import Record, StageOutcome
from catalog_assets.storage.store import sha256


class SkuFailed(Exception):
    """This SKU cannot go through this stage; the text is for the person who keeps the inventory.

    ``metadata`` goes into the record, as that of what was made does.
    """

    def __init__(self, text: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.metadata = dict(metadata or {})


class NotReady(SkuFailed):
    """An earlier stage has not finished this SKU; nothing is recorded, so it is tried again after that."""


@dataclass
class Made:
    """What a stage made for one SKU. ``files`` were stored before this is returned: name to SHA-256.

    ``again``: it will do for now; the next run looks whether it can be made better, changed inputs or not.
    """

    outcome: Literal["done", "held"] = "done"
    reasons: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    again: bool = False

    def hold(self, reason: str) -> None:
        """Hold the SKU, once per reason."""
        self.outcome = "held"
        if reason not in self.reasons:
            self.reasons.append(reason)


@dataclass(frozen=True)
class Step:
    """One SKU through one stage: the record, and whether the work was already done."""

    record: Record
    unchanged: bool = False

    @property
    def outcome(self) -> StageOutcome:
        """``done``, ``held`` or ``failed``."""
        return self.record.outcome


class Stage(ABC):
    """One stage of the line.

    Attributes:
        name: the asset's key and the store's folder.
        version: bumped when the same inputs give other files.
    """

    name: str
    version: str

    @abstractmethod
    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        """Everything the files depend on, as hashes and plain values.

        Raises:
            NotReady: an earlier stage has not finished this SKU.
        """

    @abstractmethod
    def make(self, line: Line, sku: str) -> Made:
        """Make and store the files.

        Raises:
            SkuFailed: this SKU cannot be done, in plain words.
        """

    def require(self, line: Line) -> None:  # noqa: B027  most need nothing
        """See that what every SKU needs is there, before the first one is touched.

        Raises:
            WeightsError: the settings ask for something that is not installed; no SKU is at fault.
        """

    def threads(self, line: Line) -> int:
        """SKUs of a batch under way at once; more than ``workers`` where they mostly wait for answers.

        Only ``workers`` of them compute at a time (:class:`~catalog_assets.stages.turns.Turns`).
        """
        return line.settings.workers

    def put(self, line: Line, made: Made, name: str, data: bytes) -> None:
        """Store one file of a SKU and note its hash."""
        line.store.write(name, data)
        made.files[name] = sha256(data)

    def discard(self, line: Line, sku: str, name: str) -> None:
        """Remove a file that the last run made and this one did not: a removed view, a renamed scene."""
        line.store.delete(name)


def perform(stage: Stage, line: Line, sku: str) -> Step:
    """Take one SKU through one stage; never raises for what is wrong with the SKU.

    Unchanged means: same inputs, same version, and every file is still in the store.
    """
    with line.turns.taken():
        return _perform(stage, line, sku)


def unchanged(stage: Stage, line: Line, sku: str) -> Step | None:
    """The SKU's record where nothing needs to be done for it, else None. Costs milliseconds, makes nothing."""
    known = line.manifest.get(stage.name, sku)
    if known is None or known.outcome == "failed":
        return None
    try:
        same = known.fingerprint == _print(stage, line, sku)
    except Exception:  # noqa: BLE001  whatever is wrong is said when the work is done
        return None
    return Step(known, unchanged=True) if same and _all_there(line, known) else None


def _print(stage: Stage, line: Line, sku: str) -> str:
    return fingerprint(stage=stage.name, version=stage.version, inputs=dict(stage.inputs(line, sku)))


def _perform(stage: Stage, line: Line, sku: str) -> Step:
    started = time.perf_counter()
    print_ = ""
    known = line.manifest.get(stage.name, sku)
    if known is not None and known.outcome != "failed" and line.entry(sku) is None:
        # Retired: without its row its pictures would be made anew as something else. They stay as they are.
        return Step(known, unchanged=True)
    try:
        print_ = _print(stage, line, sku)
        if known and known.fingerprint == print_ and known.outcome != "failed" and _all_there(line, known):
            return Step(known, unchanged=True)
        made = stage.make(line, sku)
    except NotReady as error:
        return Step(Record(sku, stage.name, "", "failed", [str(error)]))
    except SkuFailed as error:
        return _failed(stage, line, sku, print_, str(error), started, error.metadata)
    except Exception as error:  # noqa: BLE001  one SKU's surprise must not sink the batch
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = (
            f"unexpected {type(error).__name__} in {stage.name}: {error} ({where.name}, line {where.lineno})"
        )
        return _failed(stage, line, sku, print_, text, started)
    _remove_stale(line, stage, sku, made)
    seconds = time.perf_counter() - started
    print_ = "" if made.again else print_
    record = Record(sku, stage.name, print_, made.outcome, made.reasons, seconds, made.files, made.metadata)
    line.manifest.put(record)
    return Step(record)


def _failed(
    stage: Stage,
    line: Line,
    sku: str,
    print_: str,
    reason: str,
    started: float,
    metadata: Mapping[str, Any] | None = None,
) -> Step:
    """Record a failure; files made from earlier, good inputs stay where they are."""
    known = line.manifest.get(stage.name, sku)
    files = known.files if known else {}
    seconds = time.perf_counter() - started
    record = Record(sku, stage.name, print_, "failed", [reason], seconds, files, dict(metadata or {}))
    line.manifest.put(record)
    return Step(record)


def _all_there(line: Line, record: Record) -> bool:
    return all(line.store.exists(name) for name in record.files)


def _remove_stale(line: Line, stage: Stage, sku: str, made: Made) -> None:
    """What the last run made and this one did not."""
    known = line.manifest.get(stage.name, sku)
    for name in known.files if known else ():
        if name not in made.files:
            stage.discard(line, sku, name)


def finished(line: Line, stage: str, sku: str) -> Record:
    """The record of an earlier stage.

    Raises:
        NotReady: that stage has not finished this SKU.
    """
    record = line.manifest.get(stage, sku)
    if record is None:
        raise NotReady(f"{sku} has not been through {stage} yet")
    if record.outcome == "failed":
        raise NotReady(f"{sku} failed at {stage}: {'; '.join(record.reasons)}")
    return record

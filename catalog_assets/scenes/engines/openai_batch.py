"""OpenAI's Batch API: half the price, an answer within a day, and nothing that a restart could lose.

A batch carries a tag of ours in its metadata, and the tag is in the ledger before the batch is created. So
whatever happens to the process, a later one finds the batch by its tag, or finds that there is none::

    batches = OpenAIBatches(engine, drawer.purchases)
    batches.submit(requests)                      # returns at once
    batches.collect()                             # any time later, from any process
    drawer.draw_scene(request, (engine_spec,))    # then finds the picture stored
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from catalog_assets.scenes.contract import EngineError, Money, SceneRequest
from catalog_assets.scenes.paid import Reply, StillRunningError

if TYPE_CHECKING:
    from catalog_assets.scenes.candidates import Candidate
    from catalog_assets.scenes.engines.openai import OpenAIEngine
    from catalog_assets.scenes.purchase import Prepared, Purchases

TAG = "catalog_tag"
LINES = 50_000
GRACE_SECONDS = 900.0
"""A batch that is not listed may have been created a moment ago; only after this it was never accepted."""
DISCOUNT = Decimal("0.5")
"""OpenAI's published batch discount. Reservations stay at the full price until the answer is there."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submission: batches created, pictures in them, and what was not sent, with why."""

    tags: tuple[str, ...]
    sent: int
    already_there: int
    not_sent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection found. ``failed`` says why, by ``sku/scene``."""

    drawn: int
    waiting: int
    failed: dict[str, str] = field(default_factory=dict)


class OpenAIBatches:
    """Sends and fetches batches of one OpenAI model.

    Args:
        engine: the model; its table row must have ``batch = true``.
        purchases: ledger, budget and candidates (``drawer.purchases``).

    Raises:
        EngineError: ``unsupported``: the model takes no batches.
    """

    def __init__(self, engine: OpenAIEngine, purchases: Purchases) -> None:
        if not engine.model.batch:
            raise EngineError("unsupported", f"{engine.model.spec} takes no batches.")
        self.engine = engine
        self.purchases = purchases

    def submit(self, requests: Sequence[SceneRequest], scene_ceiling: Money | None = None) -> Submitted:
        """Send everything that is not stored yet; what the budget does not cover is left out and said.

        Raises:
            EngineError: a batch could not be created; nothing of it counts against the budget.
        """
        if len(requests) > LINES:
            raise EngineError("bad_input", f"A batch holds {LINES} pictures at most, not {len(requests)}.")
        there = 0
        prepared: list[Prepared] = []
        not_sent: dict[str, str] = {}
        for request in requests:
            ready = self.purchases.prepare(self.engine, request, scene_ceiling)
            if ready is None:
                there += 1
            elif isinstance(ready, str):
                not_sent[f"{request.sku}/{request.scene}"] = ready
            else:
                prepared.append(ready)
        tags: list[str] = []
        for endpoint in ("/v1/images/edits", "/v1/images/generations"):
            group = [p for p in prepared if bool(p.request.references) == endpoint.endswith("edits")]
            if group:
                tags.append(self._send(endpoint, group))
        return Submitted(tuple(tags), len(prepared), there, not_sent)

    def collect(self) -> Collected:
        """Fetch every answer that is there; call it again while ``waiting`` is above 0."""
        drawn, waiting = 0, 0
        failed: dict[str, str] = {}
        running: set[str] = set()
        for request, candidate, job, quote in self._open():
            if job["batch_tag"] in running:
                waiting += 1
                continue
            try:
                reply = self.engine.resume(request, job)
            except StillRunningError:
                running.add(str(job["batch_tag"]))
                waiting += 1
            except EngineError as error:
                self.purchases.papers.settle_failure(request, candidate, error, Money(quote.usd * DISCOUNT))
                failed[f"{request.sku}/{request.scene}"] = str(error)
            else:
                self.purchases.papers.store_reply(request, candidate, reply)
                drawn += 1
        return Collected(drawn, waiting, failed)

    def _send(self, endpoint: str, group: list[Prepared]) -> str:
        import openai

        client = self.engine.client()
        tag = group[0].reservation.intent.id
        try:
            uploaded: dict[str, str] = {}
            lines = [json.dumps(self._line(client, endpoint, ready, uploaded)) for ready in group]
            source = client.files.create(
                file=("batch.jsonl", "\n".join(lines).encode(), "application/jsonl"), purpose="batch"
            )
        except openai.APIError as error:
            for ready in group:
                self.purchases.give_back(ready, "the batch could not be uploaded")
            raise self.engine.translate(error) from None
        for ready in group:
            job = {"batch_tag": tag, "custom_id": ready.reservation.intent.id, "at": time.time()}
            ready.reservation.submitted(job)
            ready.reservation.sending(candidate=ready.candidate.n)
        try:
            client.batches.create(
                input_file_id=source.id, endpoint=endpoint, completion_window="24h", metadata={TAG: tag}
            )
        except openai.APIError as error:
            translated = self.engine.translate(error)
            # A lost reply may mean a batch that runs; collecting finds it by its tag.
            if translated.kind != "unknown_outcome":
                for ready in group:
                    self.purchases.papers.settle_failure(ready.request, ready.candidate, translated, Money())
                raise translated from None
        return tag

    def _line(self, client: Any, endpoint: str, ready: Prepared, uploaded: dict[str, str]) -> dict[str, Any]:
        request = ready.request
        body = self.engine.fields(request, self.engine.check(request))

        def file_id(data: bytes, sha256: str, media_type: str) -> dict[str, str]:
            if sha256 not in uploaded:
                name = f"{sha256[:16]}.{media_type.split('/')[1]}"
                uploaded[sha256] = client.files.create(file=(name, data, media_type), purpose="vision").id
            return {"file_id": uploaded[sha256]}

        if request.references:
            body["images"] = [file_id(r.data, r.sha256, r.media_type) for r in request.references]
        if request.mask is not None:
            body["mask"] = file_id(request.mask, ready.request_hash, "image/png")
        return {
            "custom_id": ready.reservation.intent.id, "method": "POST", "url": endpoint, "body": body,
        }  # fmt: skip

    def _open(self) -> Iterator[tuple[SceneRequest, Candidate, Mapping[str, Any], Money]]:
        for attempt in self.purchases.ledger.attempts():
            job = cast("dict[str, Any]", (attempt.submitted or {}).get("job") or {})
            if "batch_tag" not in job or attempt.outcome is not None:
                continue
            if attempt.intent.get("engine") != self.engine.model.spec:
                continue
            sku, scene = str(attempt.intent["sku"]), str(attempt.intent["scene"])
            found = self.purchases.candidates.all(sku, scene)
            candidate = next((c for c in found if c.intent == attempt.intent["intent"]), None)
            if candidate is not None:
                width, height = cast("list[int]", candidate.request["size"][:2])
                quote = Money(Decimal(attempt.intent["quote_usd"]))
                yield (
                    SceneRequest(sku, scene, candidate.request["prompt"], width, height),
                    candidate,
                    job,
                    quote,
                )


def fetch(engine: OpenAIEngine, job: Mapping[str, Any]) -> Reply:
    """One picture of a batch, found by the batch's tag.

    Raises:
        StillRunningError: the batch is not through.
        EngineError: what became of the picture instead.
    """
    import openai

    client = engine.client()
    tag, custom_id = str(job["batch_tag"]), str(job["custom_id"])
    try:
        batch = engine.ended_batches.get(tag) or next(
            (b for b in client.batches.list(limit=100) if (b.metadata or {}).get(TAG) == tag), None
        )
        if batch is None and time.time() - float(job["at"]) < GRACE_SECONDS:
            raise StillRunningError("OpenAI does not list this batch yet.")
        if batch is None:
            raise EngineError("transient", "OpenAI has never accepted this batch.")
        if batch.status in ("validating", "in_progress", "finalizing", "cancelling"):
            raise StillRunningError(f"OpenAI's batch {batch.id} is {batch.status.replace('_', ' ')}.")
        engine.ended_batches[tag] = batch
        for name in (batch.output_file_id, batch.error_file_id):
            line = _find(engine.batch_lines(client, name), custom_id) if name else None
            if line is not None:
                return _reply(engine, line)
    except openai.APIError as error:
        # Whatever is wrong with asking, the pictures are paid for and stay there: ask again later.
        raise StillRunningError(str(engine.translate(error))) from None
    raise EngineError("transient", f"OpenAI's batch {batch.id} ended ({batch.status}) without this picture.")


def _find(lines: list[dict[str, Any]], custom_id: str) -> dict[str, Any] | None:
    # Results come back in any order.
    return next((line for line in lines if line.get("custom_id") == custom_id), None)


def _reply(engine: OpenAIEngine, line: dict[str, Any]) -> Reply:
    answer = cast("dict[str, Any]", line.get("response") or {})
    status = int(answer.get("status_code") or 0)
    if status != 200:
        raise engine.from_body(status, cast("dict[str, Any]", answer.get("body") or {}))
    body = json.dumps(answer["body"]).encode()
    reply = engine.read_reply(body, {"x-request-id": str(answer.get("request_id") or "")}, Money())
    return replace(reply, cost=Money(reply.cost.usd * DISCOUNT), details={**reply.details, "batch": True})

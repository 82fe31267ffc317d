"""What is written down when an attempt ends: the picture first, then the ledger, then the candidate's papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from catalog_assets.scenes.candidates import Candidate, Candidates
from catalog_assets.scenes.contract import EngineError, Money, SceneRequest
from catalog_assets.scenes.ledger import Ledger
from catalog_assets.scenes.paid import Reply
from catalog_assets.scenes.scrub import scrub

MAYBE_BILLED = "quote: it may have been billed"
STORE_PAUSES = (0.5, 2.0, 8.0)
"""Seconds between attempts to store a paid picture."""


class Papers:
    """The papers of single attempts.

    Args:
        candidates: where pictures and their requests are kept.
        ledger: where outcomes are booked.
        env: for keeping keys out of texts.
        sleep: waits while a store stumbles.
    """

    def __init__(
        self,
        candidates: Candidates,
        ledger: Ledger,
        env: Mapping[str, str],
        sleep: Callable[[float], None],
    ) -> None:
        self.candidates = candidates
        self.ledger = ledger
        self._env = env
        self._sleep = sleep

    def store_reply(self, request: SceneRequest, candidate: Candidate, reply: Reply) -> None:
        """Store a picture, then book it, then complete its papers: in this order nothing can be lost."""
        self._keep_image(request, candidate, reply)
        self.ledger.note(
            candidate.intent, candidate.day, "outcome", cost=reply.cost, result="drawn",
            basis=reply.cost_basis, usage=reply.usage, request_id=reply.request_id, candidate=candidate.n,
            image_sha256=candidate.image_sha256,
        )  # fmt: skip
        candidate.status = "drawn"
        candidate.cost_usd = str(reply.cost.usd)
        candidate.request_id = reply.request_id
        candidate.details = dict(reply.details)
        self.candidates.finish(request.sku, request.scene, candidate)

    def _keep_image(self, request: SceneRequest, candidate: Candidate, reply: Reply) -> None:
        """Store the picture; a store that stumbles is asked again, because this picture is paid for."""
        for pause in (*STORE_PAUSES, None):
            try:
                return self.candidates.keep_image(
                    request.sku, request.scene, candidate, reply.data, reply.media_type
                )
            except OSError as error:
                if pause is None:
                    lost = EngineError(
                        "unknown_outcome",
                        f"the picture is paid for, but the store would not take it: {scrub(error, self._env)}",
                        cost=reply.cost,
                        request_id=reply.request_id,
                    )
                    self.settle_failure(request, candidate, lost, reply.cost)
                    raise lost from error
                self._sleep(pause)
        return None

    def settle_failure(
        self, request: SceneRequest, candidate: Candidate, error: EngineError, quote: Money
    ) -> None:
        """Book an attempt that brought no picture.

        A lost reply counts at ``quote``, and so does a refusal of the finished picture: either may have been
        billed. Where the vendor said what it cost, that counts.
        """
        maybe = error.cost is None and (error.kind == "unknown_outcome" or error.stage == "output")
        if maybe:
            error.cost = quote
        message = scrub(error, self._env)
        self.ledger.note(
            candidate.intent, candidate.day, "outcome", cost=error.cost or Money(), result=error.kind,
            message=message, request_id=error.request_id, stage=error.stage,
            categories=list(error.categories), candidate=candidate.n,
            **({"basis": MAYBE_BILLED} if maybe else {}),
        )  # fmt: skip
        candidate.cost_usd = str((error.cost or Money()).usd)
        candidate.request_id = error.request_id
        status = {"refused": "refused", "unknown_outcome": "unknown"}.get(error.kind, "failed")
        self.close(request, candidate, status, message)

    def close(self, request: SceneRequest, candidate: Candidate, status: Any, message: str) -> None:
        """Complete an attempt that brought no picture."""
        candidate.status = status
        candidate.message = message
        self.candidates.finish(request.sku, request.scene, candidate)

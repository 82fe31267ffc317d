"""fal.ai: jobs go into a queue and are fetched by request id, also by a later process.

The queue is spoken to over plain HTTP. fal's own client repeats a submission up to ten times when its reply
is lost, which can start, and bill, ten jobs; here a submission leaves exactly once.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any, cast

import httpx

from catalog_assets.scenes.contract import EngineError, SceneRequest
from catalog_assets.scenes.engines.vendor import VendorEngine, seconds_of
from catalog_assets.scenes.paid import Reply, StillRunningError, Submitted
from catalog_assets.scenes.picture import decode, media_type_of

QUEUE = "https://queue.fal.run"
REFUSALS = frozenset({"content_policy_violation", "no_media_generated"})
GONE_WRONG_AT_FAL = frozenset(
    {
        "generation_timeout",
        "request_timeout",
        "startup_timeout",
        "runner_disconnected",
        "runner_scheduling_failure",
    }
)
DOWNLOADS = 4
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)


class FalEngine(VendorEngine):
    """One model on fal. ``CATALOG_FAL_QUEUE_URL`` puts another queue in fal's place (a relay, a test)."""

    options = frozenset(
        {"loras", "negative_prompt", "guidance_scale", "num_inference_steps", "strength", "safety_tolerance"}
    )
    poll_seconds = 1.0

    def call(self, request: SceneRequest, submitted: Submitted) -> Reply:
        """Submit once, note the job, wait for it, download the picture at once."""
        endpoint = self.model.edit_endpoint if request.references else self.model.endpoint
        arguments = self._arguments(request)
        try:
            answer = self._client().post(
                f"{self._queue()}/{endpoint}", json=arguments, headers=self._headers()
            )
        except _NEVER_LEFT:
            self._fail("transient", "fal cannot be reached; check the network.")
        except httpx.HTTPError as error:
            self._fail("unknown_outcome", f"fal's receipt was lost ({type(error).__name__}).")
        self._raise_for(answer, paid=False)
        try:
            receipt = cast("dict[str, Any]", answer.json())
            job = {name: str(receipt[name]) for name in ("request_id", "status_url", "response_url")}
        except (ValueError, KeyError, TypeError):
            self._fail("unknown_outcome", "fal's receipt broke off half-way.")
        submitted(job)
        return self.resume(request, job)

    def resume(self, request: SceneRequest, job: Mapping[str, Any]) -> Reply:
        """Wait for and fetch a job that was submitted earlier; nothing is submitted."""
        request_id = str(job["request_id"])
        deadline = time.monotonic() + self.engine.timeout_seconds
        while True:
            state = self._get_json(str(job["status_url"]), deadline, request_id)
            if state.get("status") == "COMPLETED":
                break
            self._pause(deadline, request_id)
        if state.get("error"):
            raise self._job_error(str(state.get("error_type") or ""), str(state["error"]), request_id)
        result = self._get_json(str(job["response_url"]), deadline, request_id)
        images = cast("list[dict[str, Any]]", result.get("images") or [])
        if not images:
            self._fail("refused", "fal returned no picture.", request_id=request_id, stage="output")
        if any(cast("list[bool]", result.get("has_nsfw_concepts") or [])):
            # FLUX and Qwen answer 200 with a blackened picture; it was drawn, so it is billed.
            self._fail(
                "refused", "fal's safety checker blackened the picture.", categories=("nsfw",),
                stage="output", cost=self.quote(request), request_id=request_id,
            )  # fmt: skip
        data = self._picture(request, str(images[0]["url"]), deadline, request_id)
        facts = {"seed": result.get("seed"), "endpoint_seconds": result.get("timings")}
        return Reply(data, media_type_of(data), self.quote(request), request_id=request_id, details=facts)

    # ---- free to repeat: the job is paid for, giving up early would lose it ----------------------

    def _picture(self, request: SceneRequest, url: str, deadline: float, request_id: str) -> bytes:
        """Download until the picture is whole; the file stays where it is, so trying again is free."""
        for _ in range(DOWNLOADS):
            if url.startswith("data:"):
                data = base64.b64decode(url.split(",", 1)[1])
            else:
                # The result is a public address on another host: the key must not go there.
                data = self._get(url, deadline, request_id, headers={}).content
            try:
                decode(data)
            except EngineError:
                self._pause(deadline, request_id)
                continue
            return data
        raise self._error(
            "unknown_outcome",
            "fal's picture came back damaged.",
            request_id=request_id,
            cost=self.quote(request),
        )

    def _get_json(self, url: str, deadline: float, request_id: str) -> dict[str, Any]:
        while True:
            answer = self._get(url, deadline, request_id, headers=self._headers())
            try:
                return cast("dict[str, Any]", answer.json())
            except ValueError:
                self._pause(deadline, request_id)

    def _get(self, url: str, deadline: float, request_id: str, headers: dict[str, str]) -> httpx.Response:
        while True:
            try:
                answer = self._client().get(url, headers=headers)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code < 500 and answer.status_code != 429:
                self._raise_for(answer, paid=True, request_id=request_id)
                return answer
            self._pause(deadline, request_id)

    def _pause(self, deadline: float, request_id: str) -> None:
        if time.monotonic() > deadline:
            self._fail(
                "unknown_outcome",
                f"fal's job {request_id} has not ended; a later run fetches it.",
                request_id=request_id,
            )
        time.sleep(self.poll_seconds)

    # ---- requests and errors ---------------------------------------------------------------------

    def _queue(self) -> str:
        return self._env.get("CATALOG_FAL_QUEUE_URL", "").strip().rstrip("/") or QUEUE

    def _client(self) -> httpx.Client:
        return self._transport(
            lambda: httpx.Client(
                timeout=httpx.Timeout(120.0, connect=10.0),
                limits=httpx.Limits(max_keepalive_connections=0),
                follow_redirects=True,
            )
        )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Key {self._key()}", "x-fal-no-retry": "1"}

    def _arguments(self, request: SceneRequest) -> dict[str, Any]:
        size = self.check(request)
        model = self.model
        arguments: dict[str, Any] = {"prompt": request.prompt, "num_images": 1, **request.options}
        if model.output_format:
            arguments["output_format"] = "png"
        if model.style == "ratio":
            arguments["aspect_ratio"] = size.ratio
            if model.tier_field:
                arguments["resolution"] = size.tier
        else:
            arguments["image_size"] = {"width": size.width, "height": size.height}
        if model.qualities:
            arguments["quality"] = model.quality_name(request.quality)
        if request.alpha:
            arguments["background"] = "transparent"
        if model.seed and request.seed is not None:
            arguments["seed"] = request.seed
        if request.references:
            urls = [_data_uri(reference.data, reference.media_type) for reference in request.references]
            arguments[model.reference_field] = urls[0] if model.reference_field == "image_url" else urls
        if request.mask is not None:
            arguments["mask_url"] = _data_uri(request.mask, "image/png")
        return arguments

    def _raise_for(self, answer: httpx.Response, *, paid: bool, request_id: str | None = None) -> None:
        if answer.status_code < 400:
            return
        status = answer.status_code
        request_id = request_id or answer.headers.get("x-fal-request-id")
        said_so = answer.headers.get("x-fal-retryable") or answer.headers.get("x-fal-needs-retry") or ""
        retryable = said_so.lower() in ("true", "1")
        try:
            detail: Any = cast("dict[str, Any]", answer.json()).get("detail", "")
        except (ValueError, AttributeError):
            detail = answer.text
        if isinstance(detail, list) and detail:
            first = cast("dict[str, Any]", detail[0])
            raise self._job_error(
                str(first.get("type", "")), str(first.get("msg", "")), request_id, retryable
            )
        said = str(detail)
        if paid and status in (401, 403):
            # The job is accepted and its picture paid for: whoever has the right key may still fetch it.
            raise StillRunningError(
                f"fal does not hand out job {request_id} to the key in FAL_KEY ({status}); "
                "set the key it was sent with and run again."
            )
        if paid and status == 404:
            self._fail("unknown_outcome", f"fal no longer knows job {request_id}.", request_id=request_id)
        if status in (402, 403) and ("balance" in said.lower() or "locked" in said.lower()):
            self._fail("out_of_credit", "fal has no credit left; top up the account.", request_id=request_id)
        if status in (401, 403):
            self._fail("unsupported", f"fal does not accept the key in FAL_KEY ({status}).", ends_engine=True)
        if status == 404 and not paid:
            self._fail("unsupported", f"fal has no endpoint for {self.model.id}.", ends_engine=True)
        if status == 429:
            self._fail(
                "rate_limited", "fal asks to slow down.",
                retry_after=seconds_of(answer.headers.get("retry-after")), request_id=request_id,
            )  # fmt: skip
        if status >= 500:
            self._fail("transient", f"fal answered {status}: {said}", request_id=request_id)
        raise self._job_error(str(answer.headers.get("x-fal-error-type", "")), said, request_id, retryable)

    def _job_error(
        self, kind: str, said: str, request_id: str | None, retryable: bool = False
    ) -> EngineError:
        # fal bills a failed job only where a runner has spent time on it, and says so nowhere. A refusal of
        # the finished picture therefore counts as maybe billed, one of the request as free.
        if kind in REFUSALS:
            return self._error(
                "refused", f"fal refused the picture ({kind}).", categories=(kind,), request_id=request_id,
                stage="output" if kind == "no_media_generated" else "input",
            )  # fmt: skip
        if kind in GONE_WRONG_AT_FAL or retryable:
            return self._error("transient", f"fal's job failed ({kind}).", request_id=request_id)
        return self._error(
            "bad_input", f"fal refused the request ({kind or 'no type'}): {said}", request_id=request_id
        )


def _data_uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"

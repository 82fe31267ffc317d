"""OpenAI's Images API, Azure's copy of it, and own servers that speak its shape.

Own servers (engines ``vllm-omni``, ``sglang``, ``sd-server``) are reached through ``OPENAI_BASE_URL``; what
they read differently is in the three ``_own_…`` functions below and in their rows of ``models.toml``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, cast

from catalog_assets.scenes.contract import EngineError, Money, SceneRequest
from catalog_assets.scenes.engines.vendor import NEVER_LEFT, VendorEngine, seconds_of
from catalog_assets.scenes.models import EngineSpec, ModelSpec
from catalog_assets.scenes.paid import Pace, Reply, Submitted
from catalog_assets.scenes.picture import decode, media_type_of
from catalog_assets.scenes.sizes import LegalSize

AZURE_API_VERSION = "2026-08-01-preview"


class OpenAIEngine(VendorEngine):
    """One model behind ``/images/generations`` and ``/images/edits``."""

    options = frozenset({"complexity", "negative_prompt", "guidance_scale", "num_inference_steps", "loras"})
    _batch_file: tuple[str, list[dict[str, Any]]] = ("", [])

    def __init__(self, engine: EngineSpec, model: ModelSpec, env: Mapping[str, str]) -> None:
        super().__init__(engine, model, env)
        self.ended_batches: dict[str, Any] = {}

    def check(self, request: SceneRequest) -> LegalSize:
        """As in the base; an own server needs its address, and hosted models take no diffusion settings."""
        if self.engine.family == "self-hosted" and self._address() is None:
            self._fail(
                "unsupported",
                f"OPENAI_BASE_URL is not set, so there is no {self.name} server to ask.",
                ends_engine=True,
            )
        if self.engine.family == "self-hosted":
            allowed = {"negative_prompt", "guidance_scale", "num_inference_steps", "loras"}
        else:
            allowed = {"complexity"} if self.model.complexity else set[str]()
        foreign = sorted(set(request.options) - allowed)
        if foreign:
            self._fail("unsupported", f"{self.model.spec} has no option {', '.join(foreign)}.")
        if self.name == "azure" and self._address() is None:
            self._fail("unsupported", "AZURE_OPENAI_ENDPOINT is not set.", ends_engine=True)
        return super().check(request)

    def call(self, request: SceneRequest, submitted: Submitted) -> Reply:
        """One request, answered on the same connection: there is no job to fetch later."""
        import openai

        size = self.check(request)
        fields = self.fields(request, size)
        client = self.client()
        try:
            if request.references:
                files = [
                    (f"{number}-{reference.role}.{reference.media_type.split('/')[1]}", reference.data,
                     reference.media_type)
                    for number, reference in enumerate(request.references, 1)
                ]  # fmt: skip
                if request.mask is not None:
                    mask = _grey_mask(request.mask) if self.model.sends == "sd-server" else request.mask
                    fields["mask"] = ("mask.png", mask, "image/png")
                images = client.images.with_raw_response
                raw = images.edit(image=files if len(files) > 1 else files[0], **fields)
            else:
                raw = client.images.with_raw_response.generate(**fields)
            body, headers = raw.content, raw.headers
        except openai.APIError as error:
            raise self.translate(error) from None
        return self.read_reply(body, headers, self.quote(request))

    def resume(self, request: SceneRequest, job: Mapping[str, Any]) -> Reply:
        """Only pictures of a batch can be fetched again; a lost synchronous reply is lost."""
        if "batch_tag" in job:
            from catalog_assets.scenes.engines.openai_batch import fetch

            return fetch(self, job)
        raise self._error("unknown_outcome", "OpenAI keeps no answers; a lost reply cannot be fetched again.")

    def read_reply(self, body: bytes, headers: Mapping[str, str], quote: Money) -> Reply:
        """The picture in a 200 answer. Raises ``unknown_outcome`` for one that is billed but broken."""
        request_id = headers.get("x-request-id")
        try:
            answer = cast("dict[str, Any]", json.loads(body))
        except ValueError:
            self._fail("unknown_outcome", "OpenAI's answer broke off half-way.", request_id=request_id)
        usage = cast("dict[str, Any]", answer.get("usage") or {})
        cost = cost_of_usage(self.model, usage)
        known = cost if cost is not None else quote
        rows = cast("list[dict[str, Any]]", answer.get("data") or [])
        try:
            data = base64.b64decode(rows[0]["b64_json"], validate=True)
            decode(data)
        except (IndexError, KeyError, TypeError, binascii.Error, EngineError):
            self._fail(
                "unknown_outcome",
                "OpenAI's answer holds no whole picture.",
                cost=known,
                request_id=request_id,
            )
        return Reply(
            data,
            media_type_of(data),
            known,
            "usage" if cost is not None else "price table",
            usage,
            request_id,
            _pace(headers),
            {"size_answered": answer.get("size"), "quality_answered": answer.get("quality")},
        )

    def client(self) -> Any:
        """OpenAI's own client with SDK retries off; made for each call, because it holds the key."""
        import httpx2
        import openai

        timeout = self.engine.timeout_seconds
        http = self._transport(
            lambda: openai.DefaultHttpxClient(limits=httpx2.Limits(max_keepalive_connections=0))
        )
        if self.name == "azure":
            deployment = self._env.get("AZURE_OPENAI_DEPLOYMENT", "").strip() or self.model.id
            return openai.AzureOpenAI(
                azure_endpoint=self._address() or "",
                azure_deployment=deployment,
                api_key=self._key(),
                api_version=self._env.get("OPENAI_API_VERSION", "").strip() or AZURE_API_VERSION,
                max_retries=0,
                timeout=timeout,
                http_client=http,
            )
        # Own servers mostly want no key, but the SDK insists on one.
        key = self._key() if self.engine.key else (self._env.get("OPENAI_API_KEY", "").strip() or "none")
        base = self._address() or "https://api.openai.com/v1"
        return openai.OpenAI(api_key=key, base_url=base, max_retries=0, timeout=timeout, http_client=http)

    def fields(self, request: SceneRequest, size: LegalSize) -> dict[str, Any]:
        """The request's fields without its pictures."""
        fields: dict[str, Any] = {
            "model": self.model.id,
            "prompt": request.prompt,
            "size": f"{size.width}x{size.height}",
            "n": 1,
        }
        if self.model.sends != "openai":
            return _own_server(self.model.sends, fields, request)
        fields["quality"] = self.model.quality_name(request.quality)
        fields["output_format"] = "png"
        if request.alpha:
            fields["background"] = "transparent"
        if request.options.get("complexity"):
            fields["complexity"] = request.options["complexity"]
        if self.model.input_fidelity and request.references:
            fields["input_fidelity"] = self.model.input_fidelity
        return fields

    def translate(self, error: Any) -> EngineError:
        """Our seven kinds from the SDK's exceptions (which carry ``code``, ``status_code``, ``body``)."""
        import openai

        if isinstance(error, openai.APIConnectionError):
            return self._lost(error)
        body = cast("dict[str, Any]", error.body) if isinstance(error.body, dict) else {}
        said = str(getattr(error, "message", "") or error)
        headers = getattr(getattr(error, "response", None), "headers", {})
        status = int(getattr(error, "status_code", 0) or 0)
        return self.from_body(status, {"error": body}, headers, said, getattr(error, "request_id", None))

    def from_body(
        self,
        status: int,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        said: str = "",
        request_id: str | None = None,
    ) -> EngineError:
        """Our seven kinds from an answer's status and body, also inside a batch."""
        headers = headers or {}
        inner = cast("dict[str, Any]", body.get("error") or {})
        code = str(inner.get("code") or "")
        said = said or str(inner.get("message") or "")
        if code in ("insufficient_quota", "billing_hard_limit_reached"):
            return self._error(
                "out_of_credit", f"{self.name} has no credit left; top up the account.", request_id=request_id
            )
        if code in ("moderation_blocked", "content_policy_violation") or "safety_violations" in said:
            return self._refused(inner, said, request_id)
        if status == 429:
            return self._error(
                "rate_limited", f"{self.name} asks to slow down.",
                retry_after=seconds_of(headers.get("retry-after-ms", "") and headers["retry-after-ms"] + "ms")
                or seconds_of(headers.get("retry-after")),
                request_id=request_id,
            )  # fmt: skip
        if status in (401, 403):
            key = self.engine.key or "OPENAI_API_KEY"
            return self._error(
                "unsupported", f"{self.name} does not accept the key in {key} ({status}).",
                request_id=request_id, ends_engine=True,
            )  # fmt: skip
        if status == 404:
            return self._error(
                "unsupported",
                f"{self.name} does not know {self.model.id} at this address; check the model name and "
                f"{self.engine.base or 'the address'}. It said: {said}",
                request_id=request_id, ends_engine=True,
            )  # fmt: skip
        if status in (408, 409) or status >= 500:
            return self._error("transient", f"{self.name} answered {status}: {said}", request_id=request_id)
        if status >= 400:
            return self._error("bad_input", f"{self.name} refused the request: {said}", request_id=request_id)
        # A 200 whose body the SDK could not read.
        return self._error("unknown_outcome", f"{self.name}'s answer broke off half-way.")

    def batch_lines(self, client: Any, file_id: str) -> list[dict[str, Any]]:
        """The lines of a batch's finished file, fetched once: all its pictures are in it."""
        if self._batch_file[0] != file_id:
            text = client.files.content(file_id).read()
            self._batch_file = (file_id, [json.loads(line) for line in text.splitlines() if line.strip()])
        return self._batch_file[1]

    def _lost(self, error: Exception) -> EngineError:
        """Nothing came back. Whether the request left decides whether it may have been billed."""
        cause = type(error.__cause__).__name__ if error.__cause__ else ""
        if cause in NEVER_LEFT:
            where = self._address() or "OpenAI"
            return self._error("transient", f"{where} cannot be reached; check the network and the address.")
        return self._error("unknown_outcome", f"{self.name}'s reply was lost ({cause or 'no answer'}).")

    def _refused(self, body: dict[str, Any], said: str, request_id: str | None) -> EngineError:
        details = cast("dict[str, Any]", body.get("moderation_details") or {})
        categories = tuple(str(name) for name in details.get("categories") or ())
        if not categories and "safety_violations=[" in said:
            inside = said.split("safety_violations=[", 1)[1].split("]", 1)[0]
            categories = tuple(name.strip() for name in inside.split(",") if name.strip())
        return self._error(
            "refused", f"{self.name} refused the picture ({', '.join(categories) or 'no reason given'}).",
            stage=details.get("moderation_stage"), categories=categories, request_id=request_id,
        )  # fmt: skip


def cost_of_usage(model: ModelSpec, usage: Mapping[str, Any]) -> Money | None:
    """Dollars of a reply's ``usage``; None where it holds no token counts (own servers)."""
    if "output_tokens" not in usage or model.price.kind != "tokens":
        return Money() if model.price.kind == "free" else None
    inward = cast("Mapping[str, int]", usage.get("input_tokens_details") or {})
    outward = cast("dict[str, int]", usage.get("output_tokens_details") or {})
    text_out = int(outward.get("text_tokens", 0))
    return model.price.from_usage(
        text_in=int(inward.get("text_tokens") or 0) if inward else int(usage.get("input_tokens") or 0),
        image_in=int(inward.get("image_tokens", 0)),
        text_out=text_out,
        image_out=int(usage["output_tokens"]) - text_out,
    )


def _own_server(kind: str, fields: dict[str, Any], request: SceneRequest) -> dict[str, Any]:
    """Fields as vLLM-Omni, SGLang and sd-server read them: seeds and steps at the top level or in the prompt.

    SGLang answers with a URL it may not be able to serve unless ``b64_json`` is asked for; sd-server reads
    its sampling settings only from a tag inside the prompt. vLLM-Omni takes one LoRA, in a form as a JSON
    string (the SDK would flatten an object into fields of its own).
    """
    extra: dict[str, Any] = dict(request.options)
    loras = cast("list[dict[str, Any]]", extra.pop("loras", None) or [])
    if loras and kind == "vllm-omni":
        extra["lora"] = json.dumps(loras[0]) if request.references else loras[0]
    elif loras:
        extra["lora"] = loras
    if request.seed is not None:
        extra["seed"] = request.seed
    fields["response_format"] = "b64_json"
    if kind != "sd-server":
        return fields | ({"extra_body": extra} if extra else {})
    names = {"num_inference_steps": "sample_steps", "guidance_scale": "txt_cfg"}
    sampling = {names[key]: extra.pop(key) for key in list(extra) if key in names}
    settings: dict[str, Any] = {**extra, **({"sample_params": sampling} if sampling else {})}
    if settings:
        fields["prompt"] += f"<sd_cpp_extra_args>{json.dumps(settings)}</sd_cpp_extra_args>"
    return fields


def _grey_mask(mask: bytes) -> bytes:
    """A mask as sd-server reads it: one grey channel, white where the picture may change.

    OpenAI's masks say the same with alpha 0; sd-server would read their colours instead.
    """
    import cv2
    import numpy as np

    pixels = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
        return mask
    return cv2.imencode(".png", 255 - pixels[..., 3])[1].tobytes()


def _pace(headers: Mapping[str, str]) -> Pace:
    def number(name: str) -> float | None:
        try:
            return float(headers[name])
        except (KeyError, ValueError):
            return None

    kind = "images" if "x-ratelimit-limit-images" in headers else "requests"
    remaining = number(f"x-ratelimit-remaining-{kind}")
    return Pace(
        number(f"x-ratelimit-limit-{kind}"),
        number("x-ratelimit-limit-tokens"),
        None if remaining is None else int(remaining),
        seconds_of(headers.get(f"x-ratelimit-reset-{kind}")),
    )

"""The Nano Banana family over the Gemini API (``google-genai``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog_assets.scenes.contract import EngineError, Money, SceneRequest
from catalog_assets.scenes.engines.vendor import NEVER_LEFT, VendorEngine, seconds_of
from catalog_assets.scenes.paid import Reply, Submitted
from catalog_assets.scenes.picture import decode, media_type_of

REFUSALS = frozenset(
    {
        "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "SAFETY", "RECITATION",
        "PROHIBITED_CONTENT", "BLOCKLIST", "SPII",
    }
)  # fmt: skip


class GoogleEngine(VendorEngine):
    """One Gemini image model. ``CATALOG_GOOGLE_URL`` puts another server in Google's place."""

    _made: Any = None
    _made_for = ""

    def call(self, request: SceneRequest, submitted: Submitted) -> Reply:
        """One request, answered on the same connection."""
        from google.genai import errors, types

        size = self.check(request)
        parts = [
            types.Part.from_bytes(data=reference.data, mime_type=reference.media_type)
            for reference in request.references
        ]
        config = types.GenerateContentConfig(
            response_modalities=["IMAGE"],
            image_config=types.ImageConfig(aspect_ratio=size.ratio, image_size=size.tier),
            seed=request.seed if self.model.seed else None,
        )
        try:
            answer = self._client().models.generate_content(
                model=self.model.id,
                contents=[*parts, types.Part.from_text(text=request.prompt)],  # pyright: ignore[reportArgumentType]
                config=config,
            )
        except errors.APIError as error:
            raise self._translate(error) from None
        except Exception as error:  # noqa: BLE001 - the SDK lets its transport's and parser's errors through
            raise self._lost(error) from None
        return self._read(answer, request)

    def resume(self, request: SceneRequest, job: Mapping[str, Any]) -> Reply:
        """Not possible: a lost reply is lost."""
        raise self._error("unknown_outcome", "Google keeps no answers; a lost reply cannot be fetched again.")

    def _client(self) -> Any:
        """Google's client; making one takes a tenth of a second, so it is kept while key and address stay."""
        import httpx2
        from google import genai
        from google.genai import types

        key = self._key()
        base = self._env.get("CATALOG_GOOGLE_URL", "").strip() or None
        made_for = f"{self.pace_key()} {base}"
        if self._made_for != made_for:
            options = types.HttpOptions(
                base_url=base,
                api_version="v1",
                timeout=int(self.engine.timeout_seconds * 1000),
                httpx_client=self._transport(
                    lambda: httpx2.Client(limits=httpx2.Limits(max_keepalive_connections=0))
                ),
            )
            self._made, self._made_for = genai.Client(api_key=key, http_options=options), made_for
        return self._made

    def _key(self) -> str:
        if not self._env.get("GOOGLE_API_KEY", "").strip():
            other = self._env.get("GEMINI_API_KEY", "").strip()
            if other:
                return other
        return super()._key()

    def _read(self, answer: Any, request: SceneRequest) -> Reply:
        usage, cost = self._usage(answer)
        request_id = getattr(answer, "response_id", None)
        feedback = getattr(answer, "prompt_feedback", None)
        if feedback is not None and getattr(feedback, "block_reason", None):
            reason = _name(feedback.block_reason)
            self._fail(
                "refused", f"Google refused the prompt ({reason}).", stage="input", categories=(reason,),
                cost=cost, request_id=request_id,
            )  # fmt: skip
        for part in answer.parts or ():
            # Models that think show drafts first; only the last word is the picture.
            if part.thought or part.inline_data is None or not part.inline_data.data:
                continue
            data = bytes(part.inline_data.data)
            try:
                decode(data)
            except EngineError:
                self._fail(
                    "unknown_outcome", "Google's picture came back damaged.",
                    cost=cost or self.quote(request), request_id=request_id,
                )  # fmt: skip
            return Reply(
                data, media_type_of(data), cost or self.quote(request),
                "usage" if cost is not None else "price table", usage, request_id,
            )  # fmt: skip
        reason = _name(answer.candidates[0].finish_reason) if answer.candidates else ""
        if reason in REFUSALS:
            self._fail(
                "refused", f"Google refused the picture ({reason}).", stage="output", categories=(reason,),
                cost=cost, request_id=request_id,
            )  # fmt: skip
        raise self._error(
            "transient", f"Google answered without a picture ({reason or 'no reason'}).", cost=cost,
            request_id=request_id,
        )  # fmt: skip

    def _usage(self, answer: Any) -> tuple[dict[str, Any], Money | None]:
        """Token counts and their dollars; None without counts or without a token price."""
        meta = getattr(answer, "usage_metadata", None)
        if meta is None or not self.model.price.image_out:
            return {}, None
        details = getattr(meta, "candidates_tokens_details", None) or ()
        image = sum(int(row.token_count or 0) for row in details if _name(row.modality) == "IMAGE")
        text = int(meta.candidates_token_count or 0) - image + int(meta.thoughts_token_count or 0)
        prompt = int(meta.prompt_token_count or 0)
        usage = {"prompt_tokens": prompt, "image_tokens": image, "text_tokens": text}
        return usage, self.model.price.from_usage(text_in=prompt, image_in=0, text_out=text, image_out=image)

    def _translate(self, error: Any) -> EngineError:
        status, name, said = int(error.code or 0), str(error.status or ""), str(error.message or "")
        if status == 429:
            headers = getattr(getattr(error, "response", None), "headers", None) or {}
            wait = seconds_of(headers.get("retry-after")) or _retry_delay(error)
            # The words "quota" and "billing" stand in both texts. A limit per minute says when to come
            # again and names itself; what is used up for the day or for good does not.
            spent = "quota" in said.lower() and "billing" in said.lower()
            if "PerDay" in str(error.details) or (spent and wait is None):
                return self._error(
                    "out_of_credit", "Google reports the quota as used up; check plan and billing."
                )
            return self._error("rate_limited", "Google asks to slow down.", retry_after=wait)
        if status in (401, 403) or "API key not valid" in said or "API_KEY_INVALID" in str(error.details):
            return self._error(
                "unsupported",
                f"Google does not accept the key in GOOGLE_API_KEY ({status}).",
                ends_engine=True,
            )
        if status == 404:
            return self._error(
                "unsupported", f"Google does not know {self.model.id}: {said}", ends_engine=True
            )
        if status == 408 or status >= 500:
            return self._error("transient", f"Google answered {status} {name}: {said}")
        return self._error("bad_input", f"Google refused the request ({name}): {said}")

    def _lost(self, error: Exception) -> EngineError:
        kinds = [type(link).__name__ for link in (error, error.__cause__, error.__context__) if link]
        if NEVER_LEFT & set(kinds):
            return self._error("transient", "Google cannot be reached; check the network and the address.")
        return self._error("unknown_outcome", f"Google's reply was lost or broke off ({kinds[0]}).")


def _name(value: Any) -> str:
    return str(getattr(value, "value", value) or "")


def _retry_delay(error: Any) -> float | None:
    """``retryDelay`` of a google.rpc.RetryInfo in the error's details."""
    body = error.details if isinstance(error.details, dict) else {}
    for row in body.get("error", body).get("details") or ():
        if isinstance(row, dict) and row.get("retryDelay"):
            return seconds_of(str(row["retryDelay"]))
    return None

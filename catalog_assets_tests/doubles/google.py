"""The Gemini API's ``generateContent`` for image models on loopback."""

from __future__ import annotations

import base64
import itertools
import math
import re
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import Any

from catalog_assets_tests.doubles.pictures import Defect, redrawn
from catalog_assets_tests.doubles.server import AnsweredError, Call, Double, FaultKind, Request

TOKENS = {"512": 747, "1K": 1120, "2K": 1680, "4K": 4467}
# Dollars per million tokens: text and pictures in, text out, pictures out.
PRICES = {
    "gemini-nano-banana-2.1": ("0.5", "3", "30"),
    "gemini-3-pro-image": ("2", "12", "120"),
    "gemini-3.1-flash-image": ("0.5", "3", "60"),
}
PRO_TOKENS = {"1K": 1120, "2K": 1120, "4K": 2000}
EDGES = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}
RATIOS = {"1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "1:4", "4:1", "1:8", "8:1"}


@dataclass
class GoogleDouble(Double):
    """See the module."""

    defect: Defect = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ids = itertools.count(1)

    def answer(self, request: Request, call: Call) -> tuple[int, Any, dict[str, str]]:
        if request.headers.get("x-goog-api-key") != self.key:
            raise AnsweredError(
                400,
                _error(
                    400, "INVALID_ARGUMENT", f"API key not valid: {request.headers.get('x-goog-api-key')}"
                ),
            )
        model = re.fullmatch(r"/v1/models/([\w.\-]+):generateContent", request.path)
        if not model or model[1] not in PRICES:
            raise AnsweredError(404, _error(404, "NOT_FOUND", f"{request.path} is not found"))
        body = request.json()
        prompt, references, config = self._validate(body)
        if self.over_the_limit():
            raise AnsweredError(429, self._exhausted(), {})
        fault = self.fault_of(request, call)
        with self.lock:
            response_id = f"resp-{next(self._ids):05d}"
        self._refuse(fault)
        self.work(fault)
        text_in = len(prompt) // 4 + 258 * len(references)
        if fault == "refused":
            # 200, no candidates: only the prompt was read, and it is not billed.
            return 200, {"promptFeedback": {"blockReason": "SAFETY"}, "responseId": response_id}, {}
        tier = config["imageSize"]
        tokens = PRO_TOKENS if "pro" in model[1] else TOKENS
        image = 0 if fault == "refused_output" else tokens[tier]
        thoughts = 40
        inward, words, outward = (Decimal(price) for price in PRICES[model[1]])
        usd = (text_in * inward + thoughts * words + image * outward) / 1_000_000
        line = self.charge(request, usd.quantize(Decimal("0.000001"), ROUND_UP), response_id)
        if fault in ("dropped", "never"):
            return 0, None, {}
        usage = {
            "promptTokenCount": text_in, "candidatesTokenCount": image, "thoughtsTokenCount": thoughts,
            "totalTokenCount": text_in + image + thoughts,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": image}],
        }  # fmt: skip
        if fault == "refused_output":
            candidate = {"finishReason": "IMAGE_SAFETY", "index": 0}
            return 200, {"candidates": [candidate], "usageMetadata": usage, "responseId": response_id}, {}
        line.delivered = fault not in ("truncated_json", "truncated_picture")
        parts = self._parts(references, config, request.digest, fault)
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        return 200, {"candidates": [candidate], "usageMetadata": usage, "responseId": response_id}, {}

    def _validate(self, body: dict[str, Any]) -> tuple[str, list[bytes], dict[str, Any]]:
        for name in body:
            if name not in ("contents", "generationConfig", "safetySettings", "systemInstruction"):
                self._bad(f"Unknown name '{name}'")
        config = body.get("generationConfig", {})
        image = config.get("imageConfig", {})
        if config.get("responseModalities") != ["IMAGE"]:
            self._bad("responseModalities must name IMAGE")
        if image.get("aspectRatio") not in RATIOS:
            self._bad(f"Invalid aspect ratio {image.get('aspectRatio')}")
        if image.get("imageSize") not in TOKENS:
            self._bad(f"Invalid image size {image.get('imageSize')}")
        texts: list[str] = []
        references: list[bytes] = []
        for part in body["contents"][0]["parts"]:
            if "text" in part:
                texts.append(part["text"])
            else:
                # Protobuf's JSON takes both spellings of a name; the SDK uses both.
                inline = part["inlineData"]
                data = base64.b64decode(inline["data"] + "==", altchars=b"-_")
                kind = inline.get("mimeType") or inline.get("mime_type")
                magic = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff"}[kind]
                if not data.startswith(magic) or len(data) > 7_000_000:
                    self._bad("Unable to process input image")
                references.append(data)
        if not "".join(texts).strip() or len(references) > 14:
            self._bad("contents must hold a text and at most 14 images")
        return "".join(texts), references, image

    def _refuse(self, fault: FaultKind | None) -> None:
        if fault == "rate_limited":
            raise AnsweredError(429, self._exhausted())
        if fault == "rate_limited_silent":
            raise AnsweredError(429, _error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted."))
        if fault == "quota":
            said = "You exceeded your current quota, please check your plan and billing details."
            raise AnsweredError(429, _error(429, "RESOURCE_EXHAUSTED", said))
        if fault == "server_error":
            raise AnsweredError(503, _error(503, "UNAVAILABLE", f"The model is overloaded ({self.key})."))

    def _exhausted(self) -> dict[str, Any]:
        # The real text speaks of plan and billing for a limit per minute, too.
        said = "You exceeded your current quota, please check your plan and billing details."
        body = _error(429, "RESOURCE_EXHAUSTED", said)
        info = "type.googleapis.com/google.rpc.RetryInfo"
        body["error"]["details"] = [{"@type": info, "retryDelay": f"{self.retry_after}s"}]
        return body

    def _parts(
        self, references: list[bytes], config: dict[str, Any], seed: str, fault: FaultKind | None
    ) -> list[dict[str, Any]]:
        across, down = (int(part) for part in config["aspectRatio"].split(":"))
        edge = EDGES[config["imageSize"]] if fault != "wrong_size" else 512
        wide, high = round(edge * math.sqrt(across / down)), round(edge * math.sqrt(down / across))
        data = redrawn(references[0] if references else None, wide, high, seed, self.defect)
        draft = redrawn(None, 64, 64, seed)
        if fault == "truncated_picture":
            data = data[: len(data) // 2]

        def inline(picture: bytes) -> dict[str, str]:
            return {"mimeType": "image/png", "data": base64.b64encode(picture).decode()}

        return [
            {"thought": True, "inlineData": inline(draft)},
            {"text": "Here is your picture."},
            {"inlineData": inline(data)},
        ]

    def _bad(self, message: str) -> None:
        raise AnsweredError(400, _error(400, "INVALID_ARGUMENT", message))


def _error(code: int, status: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message}}

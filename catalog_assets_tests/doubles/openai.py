"""OpenAI's Images API on loopback, as strict as the real one; also Azure's paths and own servers' manners."""

from __future__ import annotations

import base64
import itertools
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from catalog_assets_tests.doubles.artist import Artist
from catalog_assets_tests.doubles.pictures import Defect, redrawn
from catalog_assets_tests.doubles.server import AnsweredError, Call, Double, FaultKind, Request

Profile = Literal["openai", "azure", "vllm-omni", "sglang", "sd-server"]
GENERATE = {
    "prompt", "model", "n", "size", "quality", "background", "output_format", "output_compression",
    "moderation", "safety_identifier", "complexity",
}  # fmt: skip
EDIT = (GENERATE - {"moderation"}) | {"input_fidelity"}
OWN = {
    "prompt", "model", "n", "size", "response_format", "seed", "num_inference_steps", "guidance_scale",
    "negative_prompt", "lora",
}  # fmt: skip
# The vendor's own price list, written down apart from ours: dollars of output per (pixels up to, quality).
FIVE = {"low": "0.0059", "medium": "0.0132", "high": "0.0527", "xhigh": "0.0937", "max": "0.2107"}
OUTPUT = {
    "gpt-image-2": {"low": "0.006", "medium": "0.053", "high": "0.211"},
    "gpt-image-2.5-flare": FIVE,
    "gpt-image-2.5-sunburst": FIVE,
    "gpt-image-2.6-flare": FIVE | {"low": "0.0200", "medium": "0.0450"},
    "gpt-image-2.6-sunburst": FIVE | {"low": "0.0200", "medium": "0.0450"},
    "gpt-image-1.5": {"low": "0.009", "medium": "0.034", "high": "0.133"},
}


@dataclass
class OpenAIDouble(Double):
    """See the module. ``defect`` is what the model does to every product it redraws; an ``artist`` draws instead."""

    profile: Profile = "openai"
    defect: Defect = "none"
    artist: Artist | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ids = itertools.count(1)
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.batch_polls_until_done = 2

    def answer(self, request: Request, call: Call) -> tuple[int, Any, dict[str, str]]:
        with self.lock:
            request_id = f"req_{next(self._ids):06d}"
        headers = {"x-request-id": request_id, **self.headers}
        if self.images_per_minute:
            headers["x-ratelimit-limit-images"] = f"{self.images_per_minute * 60 / self.minute:g}"
        self._authorise(request)
        path = re.sub(r"^/openai/deployments/([^/]+)", "", request.path).removeprefix("/v1")
        if path in ("/files", "/batches") or path.startswith(("/files/", "/batches/")):
            return self._batch_api(request, path, headers)
        if path == "/images/generations":
            fields, files = request.json(), {}
        elif path == "/images/edits":
            fields, files = multipart(request)
        else:
            raise AnsweredError(404, _error("Not found", "invalid_request_error", "unknown_url"))
        self._validate(fields, files, path)
        if self.over_the_limit():
            raise AnsweredError(429, _error("Rate limit reached", "images", "rate_limit_exceeded"),
                           {**headers, "retry-after": f"{self.retry_after}"})  # fmt: skip
        fault = self.fault_of(request, call)
        self._refuse(fault, headers)
        self.work(fault)
        usd, usage = self._price(fields, files)
        line = self.charge(request, usd, request_id)
        if fault in ("dropped", "never"):
            return 0, None, {}
        if fault == "refused_output":
            raise AnsweredError(400, _moderation("output"), headers)
        body = self._picture(fields, files, request.digest, fault)
        line.delivered = fault not in ("truncated_json", "truncated_picture")
        if self.profile in ("openai", "azure"):
            body["usage"] = usage
        return 200, body, headers

    # ---- the request -----------------------------------------------------------------------------

    def _authorise(self, request: Request) -> None:
        given = request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix(
            "Bearer "
        )
        if self.profile in ("openai", "azure") and given != self.key:
            # The real server repeats the key; a client that logs this text leaks it.
            raise AnsweredError(
                401,
                _error(f"Incorrect API key provided: {given}.", "invalid_request_error", "invalid_api_key"),
            )

    def _validate(self, fields: dict[str, Any], files: dict[str, list[bytes]], path: str) -> None:
        own = self.profile not in ("openai", "azure")
        allowed = OWN if own else (EDIT if path == "/images/edits" else GENERATE)
        for name in fields:
            if name not in allowed:
                self._bad(f"Unknown parameter: '{name}'.", name)
        if not str(fields.get("prompt", "")).strip():
            self._bad("Missing required parameter: 'prompt'.", "prompt")
        if not 1 <= int(fields.get("n", 1)) <= 10:
            self._bad("Invalid 'n'.", "n")
        if own:
            if fields.get("response_format") != "b64_json" and self.profile == "sglang":
                self._bad("no storage is configured for response_format 'url'", "response_format")
        else:
            self._validate_model(fields)
        self._validate_files(files, path)

    def _validate_model(self, fields: dict[str, Any]) -> None:
        model = str(fields.get("model", ""))
        if model not in OUTPUT:
            raise AnsweredError(
                404,
                _error(f"The model '{model}' does not exist.", "invalid_request_error", "model_not_found"),
            )
        if fields.get("quality") not in OUTPUT[model]:
            self._bad(f"Invalid value: '{fields.get('quality')}'.", "quality")
        if "input_fidelity" in fields and model != "gpt-image-1.5":
            self._bad("input_fidelity is not supported by this model.", "input_fidelity")
        match = re.fullmatch(r"(\d+)x(\d+)", str(fields.get("size", "")))
        if not match:
            self._bad("Invalid size.", "size")
        wide, high = int(match[1]), int(match[2])  # pyright: ignore[reportOptionalSubscript]
        if model == "gpt-image-1.5":
            legal = (wide, high) in ((1024, 1024), (1024, 1536), (1536, 1024))
        else:
            legal = (
                wide % 16 == 0 and high % 16 == 0 and max(wide, high) <= 3840
                and max(wide / high, high / wide) <= 3 and 655_360 <= wide * high <= 8_294_400
            )  # fmt: skip
        if not legal:
            self._bad(f"Invalid size '{wide}x{high}'.", "size")

    def _validate_files(self, files: dict[str, list[bytes]], path: str) -> None:
        if path != "/images/edits":
            return
        for name in files:
            if name not in ("image", "image[]", "mask"):
                self._bad(f"Unknown parameter: '{name}'.", name)
        if len(files.get("image", [])) > 1:
            self._bad("Duplicate parameter: 'image'. Use 'image[]' for an array.", "image")
        images = files.get("image", []) + files.get("image[]", [])
        if not 1 <= len(images) <= 16:
            self._bad("Missing required parameter: 'image'.", "image")
        for image in images:
            if not image.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")):
                self._bad("Invalid image file or mode for image 1.", "image")
        for mask in files.get("mask", []):
            if self.profile == "sd-server" and mask[25] != 0:
                self._bad("the mask is read as one grey channel", "mask")
            if mask[16:24] != images[0][16:24]:
                self._bad("Invalid mask image: size does not match.", "mask")

    def _bad(self, message: str, param: str) -> None:
        if self.profile not in ("openai", "azure"):
            raise AnsweredError(400, {"detail": message})
        raise AnsweredError(400, _error(message, "invalid_request_error", None, param))

    def _refuse(self, fault: FaultKind | None, headers: dict[str, str]) -> None:
        if fault == "rate_limited":
            raise AnsweredError(429, _error("Rate limit reached", "images", "rate_limit_exceeded"),
                           {**headers, "retry-after": f"{self.retry_after}"})  # fmt: skip
        if fault == "rate_limited_silent":
            raise AnsweredError(429, _error("Rate limit reached", "requests", "rate_limit_exceeded"), headers)
        if fault == "quota":
            raise AnsweredError(
                429,
                _error("You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
                headers,
            )
        if fault == "refused":
            raise AnsweredError(400, _moderation("input"), headers)
        if fault == "server_error":
            raise AnsweredError(
                500, _error(f"The server had an error serving {self.key}.", "server_error", None), headers
            )

    # ---- the answer ------------------------------------------------------------------------------

    def _price(self, fields: dict[str, Any], files: dict[str, list[bytes]]) -> tuple[Decimal, dict[str, Any]]:
        if self.profile not in ("openai", "azure"):
            return Decimal(0), {}
        dollars = Decimal(OUTPUT[str(fields["model"])][str(fields["quality"])])
        rate = 32 if fields["model"] == "gpt-image-1.5" else 30
        out = int(dollars * 1_000_000 / rate)
        text = len(str(fields["prompt"])) // 4
        image = 1100 * (len(files.get("image", [])) + len(files.get("image[]", [])))
        usd = (Decimal(out) * rate + Decimal(text) * 5 + Decimal(image) * 8) / 1_000_000
        usage = {
            "input_tokens": text + image,
            "input_tokens_details": {"text_tokens": text, "image_tokens": image},
            "output_tokens": out,
            "output_tokens_details": {"text_tokens": 0, "image_tokens": out},
            "total_tokens": text + image + out,
        }
        return usd, usage

    def _picture(
        self, fields: dict[str, Any], files: dict[str, list[bytes]], seed: str, fault: FaultKind | None
    ) -> dict[str, Any]:
        wide, high = (int(part) for part in str(fields["size"]).split("x"))
        if fault == "wrong_size":
            wide, high = 1024, 1024
        images = files.get("image", []) + files.get("image[]", [])
        if self.artist is not None:
            mask = (files.get("mask") or [None])[0]
            data = self.artist.draw(str(fields["prompt"]), images, mask, wide, high, seed)
        else:
            data = redrawn(images[0] if images else None, wide, high, seed, self.defect)
        text = base64.b64encode(data).decode()
        if fault == "truncated_picture":
            text = text[: len(text) // 8 * 4]
        return {
            "created": 1, "data": [{"b64_json": text}], "size": f"{wide}x{high}",
            "quality": fields.get("quality"), "output_format": "png",
        }  # fmt: skip

    # ---- batches ---------------------------------------------------------------------------------

    def _batch_api(
        self, request: Request, path: str, headers: dict[str, str]
    ) -> tuple[int, Any, dict[str, str]]:
        parts = path.strip("/").split("/")
        if request.method == "POST" and path == "/files":
            _, files = multipart(request)
            name = f"file-{next(self._ids):04d}"
            self.files[name] = files["file"][0]
            return 200, {"id": name, "object": "file", "bytes": len(self.files[name]), "created_at": 1,
                         "filename": "x", "purpose": "batch", "status": "processed"}, headers  # fmt: skip
        if request.method == "POST" and path == "/batches":
            fields = request.json()
            if fields.get("completion_window") != "24h":
                self._bad("completion_window must be 24h", "completion_window")
            name = f"batch_{next(self._ids):04d}"
            self.batches[name] = {
                "polls": 0,
                "out": self._run_batch(request, self.files[fields["input_file_id"]]),
                **fields,
            }
            return 200, self._batch(name), headers
        if request.method == "GET" and path == "/batches":
            rows = [self._batch(name, poll=True) for name in self.batches]
            return 200, {"object": "list", "data": rows, "has_more": False}, headers
        if parts[0] == "files" and len(parts) == 3 and parts[1] in self.files:
            return 200, self.files[parts[1]], headers
        raise AnsweredError(404, _error("No such object", "invalid_request_error", "not_found"))

    def _batch(self, name: str, poll: bool = False) -> dict[str, Any]:
        row = self.batches[name]
        row["polls"] += poll
        done = row["polls"] >= self.batch_polls_until_done
        return {
            "id": name, "object": "batch", "endpoint": row["endpoint"], "completion_window": "24h",
            "created_at": 1, "input_file_id": row["input_file_id"], "metadata": row.get("metadata"),
            "status": "completed" if done else "in_progress",
            "output_file_id": row["out"][0] if done else None,
            "error_file_id": row["out"][1] if done else None,
        }  # fmt: skip

    def _run_batch(self, request: Request, lines: bytes) -> tuple[str | None, str | None]:
        good: list[str] = []
        bad: list[str] = []
        for line in lines.splitlines():
            row = json.loads(line)
            body = dict(row["body"])
            fields = {name: value for name, value in body.items() if name != "images"}
            refs = [self.files[item["file_id"]] for item in body.get("images", [])]
            seed = str(row["custom_id"])
            if self.plan(seed, 0) == "refused":
                answer = {"status_code": 400, "body": _moderation("input")}
                bad.append(json.dumps({"custom_id": seed, "response": answer, "error": None}))
                continue
            usd, usage = self._price(fields, {"image[]": refs})
            self.charge(request, usd / 2, seed).delivered = True
            body = {**self._picture(fields, {"image[]": refs}, seed, None), "usage": usage}
            answer = {"status_code": 200, "request_id": seed, "body": body}
            good.append(json.dumps({"custom_id": seed, "response": answer, "error": None}))
        names: list[str | None] = []
        for rows in (reversed(good), bad):
            text = "\n".join(rows)
            name = f"file-{next(self._ids):04d}" if text else None
            if name:
                self.files[name] = text.encode()
            names.append(name)
        return names[0], names[1]


def _error(message: str, kind: str, code: str | None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _moderation(stage: str) -> dict[str, Any]:
    error = {
        "message": "Your request was rejected by the safety system. safety_violations=[violence].",
        "type": "image_generation_user_error", "param": None, "code": "moderation_blocked",
        "moderation_details": {"moderation_stage": stage, "categories": ["violence"]},
    }  # fmt: skip
    return {"error": error}


def multipart(request: Request) -> tuple[dict[str, Any], dict[str, list[bytes]]]:
    """Fields and files of a ``multipart/form-data`` body, names as sent."""
    boundary = request.headers.get("content-type", "").split("boundary=", 1)[1].strip('"').encode()
    fields: dict[str, Any] = {}
    files: dict[str, list[bytes]] = {}
    for part in request.data.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        text = head.decode("utf-8", "replace")
        name = re.search(r'name="([^"]*)"', text)
        assert name is not None
        if "filename=" in text:
            files.setdefault(name[1], []).append(content)
        else:
            fields[name[1]] = content.decode()
    return fields, files

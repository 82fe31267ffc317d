"""fal's queue on loopback: submit, status, result, file. A job runs and is billed whoever waits for it."""

from __future__ import annotations

import base64
import itertools
import math
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from catalog_assets_tests.doubles.pictures import Defect, redrawn
from catalog_assets_tests.doubles.server import AnsweredError, Call, Double, FaultKind, Request

# The vendor's price list and fields, written down apart from ours.
COMMON = {"prompt", "num_images", "output_format", "seed", "sync_mode"}
RATIO = COMMON | {"aspect_ratio", "resolution", "safety_tolerance"}
ENDPOINTS: dict[str, tuple[set[str], dict[str, str]]] = {
    "fal-ai/nano-banana-2": (RATIO, {"0.5K": "0.06", "1K": "0.08", "2K": "0.12", "4K": "0.16"}),
    "fal-ai/nano-banana-2/edit": (
        RATIO | {"image_urls"}, {"0.5K": "0.06", "1K": "0.08", "2K": "0.12", "4K": "0.16"},
    ),
    "fal-ai/flux-pro/v1.1": (COMMON | {"image_size", "safety_tolerance"}, {"": "0.04"}),
    "bytedance/seedream/v5/lite/text-to-image": ({"prompt", "num_images", "image_size"}, {"": "0.035"}),
    "bytedance/seedream/v5/lite/edit": ({"prompt", "num_images", "image_size", "image_urls"}, {"": "0.035"}),
    "fal-ai/flux-pro/kontext": (COMMON | {"image_url", "aspect_ratio", "guidance_scale"}, {"": "0.04"}),
    "fal-ai/qwen-image-edit/inpaint": (
        COMMON | {"image_url", "mask_url", "image_size", "strength", "negative_prompt"}, {"": "0.035"},
    ),
}  # fmt: skip


@dataclass
class Job:
    """A submitted job."""

    body: dict[str, Any]
    digest: str
    fault: FaultKind | None
    ready_at: float
    width: int
    height: int
    downloads: int = 0
    line: Any = None


@dataclass
class FalDouble(Double):
    """See the module. ``key`` is the part after ``Key`` in the header."""

    defect: Defect = "none"
    jobs: dict[str, Job] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ids = itertools.count(1)

    def answer(self, request: Request, call: Call) -> tuple[int, Any, dict[str, str]]:
        parts = request.path.strip("/").split("/")
        if parts[0] == "files":
            if request.headers.get("authorization"):
                raise AnsweredError(500, {"detail": "the key was sent to a public file host"})
            return self._file(parts[1].removesuffix(".png"))
        if request.headers.get("authorization") != f"Key {self.key}":
            raise AnsweredError(
                401, {"detail": f"Cannot access application with {request.headers.get('authorization')}"}
            )
        if request.method == "POST":
            return self._submit(request, call, "/".join(parts))
        if len(parts) >= 4 and parts[-2] == "requests" and parts[-1] in self.jobs:
            return self._result(parts[-1])
        if len(parts) >= 5 and parts[-3] == "requests" and parts[-2] in self.jobs:
            return self._status(parts[-2])
        raise AnsweredError(404, {"detail": "Not found"})

    def _submit(self, request: Request, call: Call, endpoint: str) -> tuple[int, Any, dict[str, str]]:
        if endpoint not in ENDPOINTS:
            raise AnsweredError(404, {"detail": f"Application '{endpoint}' not found"})
        body = request.json()
        width, height, price = self._validate(endpoint, body)
        fault = self.fault_of(request, call)
        if fault == "rate_limited":
            raise AnsweredError(429, {"detail": "Too many requests"}, {"retry-after": f"{self.retry_after}"})
        if fault == "rate_limited_silent":
            raise AnsweredError(429, {"detail": "Too many requests"})
        if fault == "quota":
            raise AnsweredError(403, {"detail": "User is locked. Reason: Exhausted balance."})
        if fault == "server_error":
            raise AnsweredError(503, {"detail": f"Service unavailable for Key {self.key}"})
        with self.lock:
            name = f"job-{next(self._ids):05d}"
        late = self.latency * (5 if fault == "slow" else 1) + (3600 if fault == "never" else 0)
        job = Job(body, request.digest, fault, time.monotonic() + late, width, height)
        if fault not in ("refused", "refused_output"):
            job.line = self.charge(request, Decimal(price), name)
        self.jobs[name] = job
        if fault == "dropped":
            return 0, None, {}
        owner_app = "/".join(endpoint.split("/")[:2])
        base = f"{self.url}/{owner_app}/requests/{name}"
        return 200, {
            "request_id": name, "status_url": f"{base}/status", "response_url": base, "cancel_url": f"{base}/cancel",
            "queue_position": 0,
        }, {}  # fmt: skip

    def _validate(self, endpoint: str, body: dict[str, Any]) -> tuple[int, int, str]:
        fields, prices = ENDPOINTS[endpoint]
        for name in body:
            if name not in fields:
                self._bad("value_error", name, "Extra inputs are not permitted")
        if not str(body.get("prompt", "")).strip():
            self._bad("missing", "prompt", "Field required")
        for name in ("image_urls", "image_url", "mask_url"):
            if name in fields and name not in body:
                self._bad("missing", name, "Field required")
            urls = body.get(name, [])
            for url in urls if isinstance(urls, list) else [urls]:
                data = base64.b64decode(url.split(",", 1)[1]) if url.startswith("data:") else b""
                if not data.startswith((b"\x89PNG", b"\xff\xd8\xff")):
                    self._bad("image_load_error", name, "Failed to load the image")
        if "image_size" in fields:
            size = body["image_size"]
            wide, high = int(size["width"]), int(size["height"])
            if "seedream" in endpoint and not 3_700_000 <= wide * high <= 16_800_000:
                self._bad("value_error", "image_size", "between 3.7 and 16.8 megapixels")
            return wide, high, prices[""]
        across, down = (int(part) for part in str(body["aspect_ratio"]).split(":"))
        tier = str(body.get("resolution", ""))
        if tier not in prices:
            self._bad("value_error", "resolution", "not an allowed value")
        edge = {"0.5K": 512, "1K": 1024, "2K": 2048, "4K": 4096, "": 1024}[tier]
        shape = math.sqrt(across / down)
        return round(edge * shape), round(edge / shape), prices[tier]

    def _status(self, name: str) -> tuple[int, Any, dict[str, str]]:
        job = self.jobs[name]
        if time.monotonic() < job.ready_at:
            return 202, {"status": "IN_PROGRESS", "logs": []}, {}
        error = (
            {"error": "the job failed", "error_type": ""}
            if job.fault in ("refused", "refused_output")
            else {}
        )
        if error:
            error["error_type"] = (
                "no_media_generated" if job.fault == "refused_output" else "content_policy_violation"
            )
        return 200, {"status": "COMPLETED", "logs": [], "metrics": {}, **error}, {}

    def _result(self, name: str) -> tuple[int, Any, dict[str, str]]:
        job = self.jobs[name]
        if job.fault in ("refused", "refused_output"):
            self._bad("content_policy_violation", "prompt", "flagged")
        wide, high = (512, 512) if job.fault == "wrong_size" else (job.width, job.height)
        row = {
            "url": f"{self.url}/files/{name}.png",
            "content_type": "image/png",
            "width": wide,
            "height": high,
        }
        return 200, {"images": [row], "seed": 1, "timings": {}}, {}

    def _file(self, name: str) -> tuple[int, Any, dict[str, str]]:
        job = self.jobs[name]
        job.downloads += 1
        urls = job.body.get("image_urls") or [job.body.get("image_url")]
        reference = base64.b64decode(urls[0].split(",", 1)[1]) if urls[0] else None
        wide, high = (512, 512) if job.fault == "wrong_size" else (job.width, job.height)
        data = redrawn(reference, wide, high, job.digest, self.defect)
        if job.fault in ("truncated_picture", "truncated_json") and job.downloads == 1:
            return 200, data[: len(data) // 2], {}
        if job.line is not None:
            job.line.delivered = True
        return 200, data, {"content-type": "image/png"}

    def _bad(self, kind: str, where: str, message: str) -> None:
        raise AnsweredError(422, {"detail": [{"loc": ["body", where], "msg": message, "type": kind}]})

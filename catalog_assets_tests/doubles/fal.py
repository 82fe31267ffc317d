"""fal's queue on loopback: submit, status, result, file. A job runs and is billed whoever waits for it."""

from __future__ import annotations

import base64
import itertools
import math
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import cv2
import numpy as np

from catalog_assets_tests.doubles.pictures import Defect, redrawn
from catalog_assets_tests.doubles.server import AnsweredError, Call, Double, FaultKind, Request

# The vendor's price list and fields, written down apart from ours.
COMMON = {"prompt", "num_images", "output_format", "seed", "sync_mode"}
RATIO = COMMON | {"aspect_ratio", "resolution", "safety_tolerance"}
SIZE = COMMON | {"image_size", "negative_prompt", "guidance_scale", "num_inference_steps"}
KONTEXT = COMMON | {"aspect_ratio", "guidance_scale", "safety_tolerance"}
GPT = {"prompt", "num_images", "output_format", "sync_mode", "image_size", "quality", "background"}
PLAIN = {"prompt", "num_images", "image_size"}
BANANA_2 = {"0.5K": "0.06", "1K": "0.08", "2K": "0.12", "4K": "0.16"}
BANANA_21 = {"1K": "0.040", "2K": "0.060", "4K": "0.134"}
BANANA_PRO = {"1K": "0.15", "2K": "0.15", "4K": "0.30"}
PER_MEGAPIXEL = {"MP": "0.021"}
ENDPOINTS: dict[str, tuple[set[str], dict[str, str]]] = {
    "fal-ai/nano-banana-2": (RATIO, BANANA_2),
    "fal-ai/nano-banana-2/edit": (RATIO | {"image_urls"}, BANANA_2),
    "google/nano-banana-2.1": (RATIO, BANANA_21),
    "google/nano-banana-2.1/edit": (RATIO | {"image_urls"}, BANANA_21),
    "fal-ai/nano-banana-pro": (RATIO, BANANA_PRO),
    "fal-ai/nano-banana-pro/edit": (RATIO | {"image_urls"}, BANANA_PRO),
    "fal-ai/flux-pro/v1.1": (COMMON | {"image_size", "safety_tolerance"}, {"": "0.04"}),
    "fal-ai/flux-2": (SIZE, PER_MEGAPIXEL),
    "fal-ai/flux-2/edit": (SIZE | {"image_urls"}, PER_MEGAPIXEL),
    "fal-ai/flux-2/lora": (SIZE | {"loras"}, PER_MEGAPIXEL),
    "fal-ai/flux-2/lora/edit": (SIZE | {"loras", "image_urls"}, PER_MEGAPIXEL),
    "bytedance/seedream/v5/lite/text-to-image": (PLAIN, {"": "0.035"}),
    "bytedance/seedream/v5/lite/edit": (PLAIN | {"image_urls"}, {"": "0.035"}),
    "fal-ai/flux-pro/kontext": (KONTEXT | {"image_url"}, {"": "0.04"}),
    "fal-ai/flux-pro/kontext/max": (KONTEXT | {"image_url"}, {"": "0.08"}),
    "fal-ai/flux-pro/kontext/multi": (KONTEXT | {"image_urls"}, {"": "0.04"}),
    "fal-ai/qwen-image": (SIZE | {"loras"}, {"": "0.035"}),
    "fal-ai/qwen-image-edit-2511": (SIZE | {"image_urls"}, {"": "0.035"}),
    "fal-ai/qwen-image-edit/inpaint": (SIZE | {"image_url", "mask_url", "strength"}, {"": "0.035"}),
    **{
        f"openai/{name}": (GPT | more, {"low": "0.006", "medium": "0.053", "high": "0.211"})
        for name, more in (("gpt-image-2", set[str]()), ("gpt-image-2/edit", {"image_urls", "mask_url"}))
    },
    **{
        f"openai/gpt-image-2.5/{name}/{way}": (
            GPT | ({"image_urls", "mask_url"} if way == "edit" else set[str]()),
            {"low": "0.0059", "medium": "0.0132", "high": "0.0527", "xhigh": "0.0937", "max": "0.2107"},
        )
        for name in ("flare", "sunburst")
        for way in ("text-to-image", "edit")
    },
}


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
        if fault != "refused":
            # A picture that is refused when it is finished has kept a runner busy.
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
            needed = name != "mask_url" or "inpaint" in endpoint
            if name in fields and needed and name not in body:
                self._bad("missing", name, "Field required")
            urls = body.get(name, [])
            for url in urls if isinstance(urls, list) else [urls]:
                data = _data(url) if url.startswith("data:") else b""
                if not data.startswith((b"\x89PNG", b"\xff\xd8\xff")):
                    self._bad("image_load_error", name, "Failed to load the image")
        if "image_size" in fields:
            size = body["image_size"]
            wide, high = int(size["width"]), int(size["height"])
            if "seedream" in endpoint and not 3_700_000 <= wide * high <= 16_800_000:
                self._bad("value_error", "image_size", "between 3.7 and 16.8 megapixels")
            if "flux-2" in endpoint and not (min(wide, high) >= 512 and max(wide, high) <= 2048):
                self._bad("value_error", "image_size", "edges from 512 to 2048")
            if "quality" in fields and body.get("quality") not in prices:
                self._bad("one_of", "quality", "not an allowed value")
            if len(body.get("loras", [])) > 3 or not all("path" in one for one in body.get("loras", [])):
                self._bad("value_error", "loras", "at most 3, each with a path")
            return wide, high, self._price(prices, body, wide * high)
        across, down = (int(part) for part in str(body["aspect_ratio"]).split(":"))
        tier = str(body.get("resolution", ""))
        if tier not in prices:
            self._bad("value_error", "resolution", "not an allowed value")
        edge = {"0.5K": 512, "1K": 1024, "2K": 2048, "4K": 4096, "": 1024}[tier]
        shape = math.sqrt(across / down)
        return round(edge * shape), round(edge / shape), prices[tier]

    @staticmethod
    def _price(prices: dict[str, str], body: dict[str, Any], pixels: int) -> str:
        if "MP" not in prices:
            return prices[str(body.get("quality", ""))]
        # By started megapixel, of what goes in and of what comes out.
        urls = body.get("image_urls", [])
        inward = [cv2.imdecode(np.frombuffer(_data(url), np.uint8), cv2.IMREAD_UNCHANGED) for url in urls]
        counted = [
            pixels,
            *(picture.shape[0] * picture.shape[1] for picture in inward if picture is not None),
        ]
        return str(Decimal(prices["MP"]) * sum(math.ceil(one / 1_000_000) for one in counted))

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
        flags = {"has_nsfw_concepts": [True]} if job.fault == "refused_blackened" else {}
        return 200, {"images": [row], "seed": 1, "timings": {}, **flags}, {}

    def _file(self, name: str) -> tuple[int, Any, dict[str, str]]:
        job = self.jobs[name]
        job.downloads += 1
        urls = job.body.get("image_urls") or [job.body.get("image_url")]
        reference = _data(urls[0]) if urls[0] else None
        wide, high = (512, 512) if job.fault == "wrong_size" else (job.width, job.height)
        data = redrawn(reference, wide, high, job.digest, self.defect)
        if job.fault in ("truncated_picture", "truncated_json") and job.downloads == 1:
            return 200, data[: len(data) // 2], {}
        if job.line is not None:
            job.line.delivered = True
        return 200, data, {"content-type": "image/png"}

    def _bad(self, kind: str, where: str, message: str) -> None:
        raise AnsweredError(422, {"detail": [{"loc": ["body", where], "msg": message, "type": kind}]})


def _data(url: str) -> bytes:
    return base64.b64decode(url.split(",", 1)[1])

"""Where rembg keeps its models, asked without importing rembg.

The flat folder is the one every rembg release reads (newer ones also look in a folder per model), so that is
where files are put; a copy that lies in the newer place is found and used.
"""

from __future__ import annotations

import os
from pathlib import Path


def model_folder() -> Path:
    """Rembg's model folder: ``U2NET_HOME``, else ``.u2net`` under ``XDG_DATA_HOME`` or the home folder."""
    own = os.environ.get("U2NET_HOME")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or "~").expanduser() / ".u2net"


def existing_file(name: str) -> Path | None:
    """The model's file where rembg would find it, its newer layout first; None when there is none."""
    for path in (_layered_home() / "models" / name / f"{name}.onnx", model_folder() / f"{name}.onnx"):
        if path.is_file():
            return path
    return None


def _layered_home() -> Path:
    if os.environ.get("U2NET_HOME"):
        return model_folder()
    if os.environ.get("REMBG_HOME"):
        return Path(os.environ["REMBG_HOME"]).expanduser()
    data = os.environ.get("XDG_DATA_HOME")
    return Path(data).expanduser() / "rembg" if data else Path("~/.rembg").expanduser()

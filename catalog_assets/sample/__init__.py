"""The bundled sample catalogue (Fernhill & Co, CC0): photos with ground truth, brand, plates."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

INVENTORY = ("catalog.csv", "brand.yaml", "brand", "photos")
"""What a seller would have; plates, truth and notes stay in the package."""


def copy_inventory(folder: Path) -> Path:
    """Lay the sample out as an inventory a user may play with; files already there are left as they are.

    Args:
        folder: where; made when missing.

    Returns:
        the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with as_file(files(__name__)) as here:
        for name in INVENTORY:
            source = Path(here) / name
            for file in [source] if source.is_file() else sorted(source.rglob("*")):
                target = folder / file.relative_to(here)
                if file.is_file() and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, target)
    return folder

"""The rembg models that can be named in CATALOG_MATTE_MODEL: size, licence of the weights, what for.

Sizes are those of the published ONNX files in 10⁶ bytes; licences are those of the weights' own projects,
which rembg's MIT licence does not cover.
"""

from __future__ import annotations

from dataclasses import dataclass

from catalog_assets.weights.errors import WeightsError


@dataclass(frozen=True, slots=True)
class Model:
    """One matting network. ``commercial`` False means a shop may not use it without a further agreement."""

    name: str
    megabytes: int
    licence: str
    commercial: bool
    input_px: int
    note: str


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("u2net", 176, "Apache-2.0", True, 320, "the default; also on the package index"),
        Model("u2netp", 5, "Apache-2.0", True, 320, "small and fast, coarser"),
        Model("silueta", 44, "Apache-2.0", True, 320, "u2net, reduced"),
        Model("u2net_human_seg", 176, "Apache-2.0", True, 320, "people"),
        Model("isnet-general-use", 179, "Apache-2.0", True, 1024, "finer structures than u2net"),
        Model("isnet-anime", 176, "Apache-2.0", True, 1024, "drawn characters"),
        Model("birefnet-general", 973, "MIT", True, 1024, "the best open weights here; slow without a GPU"),
        Model("birefnet-general-lite", 224, "MIT", True, 1024, "birefnet with a small backbone"),
        Model("birefnet-portrait", 973, "MIT", True, 1024, "people"),
        Model("birefnet-dis", 973, "MIT", True, 1024, "thin structures"),
        Model("birefnet-hrsod", 973, "MIT", True, 1024, "high-resolution photos"),
        Model("birefnet-cod", 973, "MIT", True, 1024, "things hidden against their background"),
        Model("birefnet-massive", 973, "MIT", True, 1024, "birefnet trained on more data"),
        Model("bria-rmbg", 1024, "BRIA RMBG-2.0", False, 1024, "commercial use needs BRIA's agreement"),
    )
}


def networks(name: str) -> tuple[str, str | None]:
    """The network that cuts out and, where ``name`` joins two by ``+``, the one asked for a second opinion.

    Raises:
        WeightsError: a model is unknown, or two cannot be asked in this way; the text says which and why.
    """
    names = [part.strip() for part in name.split("+")]
    if len(names) > 2:
        raise WeightsError(f"{name!r} names {len(names)} models: one, or two joined by '+', can be asked.")
    for part in names:
        if part not in MODELS:
            raise WeightsError(
                f"There is no matting model named {part!r}; choose one of {', '.join(MODELS)}."
            )
    if len(names) == 1:
        return names[0], None
    if names[0] == names[1]:
        raise WeightsError(f"{name!r} names one model twice: a second opinion comes from another network.")
    return names[0], names[1]

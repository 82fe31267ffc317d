"""A SKU's cutouts as the compositor takes them, decoded only while something looks at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

from catalog_assets.scenes.contract import ProductView


class Views(Sequence[ProductView]):
    """Product views that are decoded at the first look and can be let go again.

    Dozens of SKUs wait for an answer at a time; their pixels need not wait in memory with them.

    Args:
        load: decodes all views.
        count: how many there are.
    """

    def __init__(self, load: Callable[[], tuple[ProductView, ...]], count: int) -> None:
        self._load = load
        self._count = count
        self._views: tuple[ProductView, ...] | None = None

    def let_go(self) -> None:
        """Forget the pixels; the next look decodes them anew."""
        self._views = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> ProductView: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ProductView, ...]: ...

    def __getitem__(self, index: int | slice) -> ProductView | tuple[ProductView, ...]:
        if self._views is None:
            self._views = self._load()
        return self._views[index]

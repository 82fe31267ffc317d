"""What the scenes of SKUs have cost on earlier days, so that ``budget_usd`` of a template is a ceiling for good.

Names in the ledger carry amounts and the scene's digest, so a day costs a listing and no read. It is listed once per
process, and of it only a sum per scene is kept.
"""

from __future__ import annotations

import threading

from catalog_assets.scenes.ledger import Ledger


class SceneCosts:
    """Sums by scene of the days that are over. Safe to share between threads.

    Args:
        ledger: whose days.
        announced: seconds for which an announcement counts that has not been sent.
    """

    def __init__(self, ledger: Ledger, announced: float) -> None:
        self._ledger = ledger
        self._announced = announced
        self._turn = threading.Lock()
        self._looked_for = ""
        self._sums: dict[str, dict[str, int]] = {}

    def before(self, day: str, scene: str) -> int:
        """Micro-dollars of all days before one; what was open when its day was listed counts as reserved.

        Args:
            day: the UTC day as in the ledger.
            scene: the digest that stands for SKU and scene.

        Raises:
            OSError: the ledger cannot be listed.
        """
        with self._turn:
            if self._looked_for < day:
                for earlier in self._days():
                    if earlier < day and earlier not in self._sums:
                        self._sums[earlier] = self._sum(earlier)
                self._looked_for = day
            return sum(of.get(scene, 0) for earlier, of in self._sums.items() if earlier < day)

    def _days(self) -> list[str]:
        """The days the ledger has, without listing what is in them."""
        try:
            return [path.name for path in self._ledger.store.path("ledger").iterdir()]
        except FileNotFoundError:
            return []

    def _sum(self, day: str) -> dict[str, int]:
        sums: dict[str, int] = {}
        now = self._ledger.now().timestamp()
        # A ledger of its own: the attempts of past days need not stay in memory.
        for standing in Ledger(self._ledger.store, self._ledger.now).standings(day).values():
            young = now - standing.at < self._announced
            if young or standing.called is not None or standing.settled is not None:
                sums[standing.scene] = sums.get(standing.scene, 0) + standing.micro
        return sums

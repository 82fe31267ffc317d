"""When a stage runs by itself, and what of that decision is kept.

Belongs here: automation conditions. Not: what a stage does, or what the sensors look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

# Not exported by Dagster, which asks for exactly this: conditions of one's own.
from dagster._core.definitions.declarative_automation.operators import SinceCondition

EXPLAINED = 5_000
"""With more SKUs than this a decision is stored without the steps it was made of."""


def due() -> dg.AutomationCondition[Any]:
    """When a stage runs a SKU by itself: its inputs are newer, or it was never made and its inputs are there.

    Dagster's ``eager()`` forgets what happened before its first look; a daemon that was down while photos came
    in would leave them lying. A SKU that failed is not asked for again until something before it changes.
    """
    condition = dg.AutomationCondition
    never_made = condition.missing() & ~condition.execution_failed()
    newer_inputs = condition.any_deps_updated().since_last_handled()
    ready = ~condition.any_deps_missing() & ~condition.any_deps_in_progress() & ~condition.in_progress()
    return Brief((never_made | newer_inputs) & ready, "inputs are there and newer")


def settled() -> dg.AutomationCondition[Any]:
    """When a summary runs by itself: what it sums up has changed, and none of it is being written."""
    condition = dg.AutomationCondition
    quiet = ~condition.any_deps_in_progress() & ~condition.in_progress()
    return Brief(condition.any_deps_updated() & quiet, "reports changed and none is being written")


@dataclass(frozen=True, eq=False)
class Brief(dg.AutomationCondition[Any]):
    """Another condition, stored without the steps of its decision where there are many SKUs.

    Dagster stores, for each of about fifty steps of a condition and each asset, which SKUs went in and which came
    out, as ranges of all SKUs: with 100 000 of them that is most of a tick, although nothing has changed. What the
    next tick needs (which SKUs still wait since when) is always stored, so the decision is the same either way; above
    :data:`EXPLAINED` the UI shows how many SKUs were asked for, but not which step held back the others.

    Attributes:
        operand: the condition.
        label: what a person reads.
    """

    operand: dg.AutomationCondition[Any]
    label: str

    @property
    def children(self) -> Sequence[dg.AutomationCondition[Any]]:
        """The condition it stands for."""
        return [self.operand]

    @property
    def name(self) -> str:
        """Shown in the UI, and part of what the state of the steps is found by."""
        return "decision"

    def get_label(self) -> str | None:
        """What a person reads."""
        return self.label

    async def evaluate(  # pyright: ignore[reportIncompatibleMethodOverride]  Dagster waits where it is one
        self, context: dg.AutomationContext[Any]
    ) -> dg.AutomationResult[Any]:
        """Which SKUs the condition holds for."""
        child = context.for_child_condition(self.operand, [0], context.candidate_subset)
        result = await child.evaluate_async()
        kept = [result]
        if _known(context) > EXPLAINED:
            kept = list(_memory(result))
            for since in kept:
                since._child_results = []  # pyright: ignore[reportPrivateUsage]  it has no setter
        return dg.AutomationResult(context, result.true_subset, child_results=kept)


def _known(context: dg.AutomationContext[Any]) -> int:
    """How many SKUs there are, seen from an asset or from what it sums up."""
    node = context.asset_graph.get(context.key)
    return max(
        context.asset_graph_view.get_full_subset(key=key).size for key in (node.key, *node.parent_keys)
    )


def _memory(result: dg.AutomationResult[Any]) -> Iterator[dg.AutomationResult[Any]]:
    """The steps whose outcome at the next tick depends on this one."""
    if isinstance(result.condition, SinceCondition):
        yield result
        return
    for child in result.child_results:
        yield from _memory(child)

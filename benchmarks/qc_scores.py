"""From checked pictures to power.

Limits are derived on one half of the honest pictures; false alarms are stated on the other half, recall on the
spoiled ones, of which the derivation has seen none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

Row = Mapping[str, Any]

PER_RULE, PER_PICTURE = 0.02, 0.05
"""False alarms allowed per rule and per picture."""

_DEMANDS = {"cropped", "fill", "margins", "resolution", "file_format", "provenance"}
"""Rules whose limit somebody asks for; it is not learned from pictures."""

_TAIL, _CONFIDENCE, _TOUCHED = 0.1, 0.95, 10

_LOWER_IS_WORSE = {"product_found", "sharpness", "compression", "resolution"}


def use_of(finding: Mapping[str, Any]) -> float:
    """How much of its limit a finding (its JSON) uses: above 1 fails."""
    uses = finding.get("uses")
    use = max(uses.values()) if uses else _plain_use(finding)
    return min(use, 1.0) if finding["passed"] else max(use, 1.0001)


def _plain_use(finding: Mapping[str, Any]) -> float:
    measured, limit = finding["measured"], finding["limit"]
    if isinstance(limit, list):
        middle, half = (limit[0] + limit[1]) / 2, (limit[1] - limit[0]) / 2
        return abs(measured - middle) / max(half, 1e-6)
    if not isinstance(measured, int | float) or not isinstance(limit, int | float):
        return 0.0 if finding["passed"] else 2.0
    if finding["rule"] in _LOWER_IS_WORSE and "photo" not in finding["unit"]:
        return limit / max(measured, 1e-3)
    return measured / limit if limit else float(measured)


def roc_area(bad: Sequence[float], good: Sequence[float]) -> float | None:
    """Probability that a defect scores above an honest picture (Mann and Whitney 1947)."""
    if not bad or not good:
        return None
    a, b = np.array(bad)[:, None], np.array(good)[None]
    return round(float(((a > b) + 0.5 * (a == b)).mean()), 3)


def thresholds(honest: Sequence[Row]) -> dict[str, float]:
    """Per rule the multiple of today's limit that keeps false alarms within the allowance on pictures to come.

    The largest of a hundred honest values says little about the next hundred. So the excesses over the 90th
    percentile are taken as exponential (peaks over threshold; Pickands 1975, shape 0), their mean at its upper 95 %
    confidence bound (2rβ̂/β is χ² with 2r degrees of freedom), and the limit is where that tail leaves the allowance:
    2 % per rule, or its share of the 5 % per picture where that is less. The highest 2 % count as "at least as high
    as the next" (type II censoring): they are the false alarms that are allowed for. Demands of brand and channel,
    and rules that hardly an honest picture touches, keep the shipped limit: nothing is learned about them here.
    """
    rules = sorted({rule for row in honest for rule in row["use"]})
    values = {rule: np.sort([row["use"].get(rule, 0.0) for row in honest]) for rule in rules}
    learned = [r for r in rules if r not in _DEMANDS and int((values[r] > 0).sum()) >= _TOUCHED]
    allowed = min(PER_RULE, PER_PICTURE / max(len(learned), 1))
    return {rule: _tail_limit(values[rule], allowed) if rule in learned else 1.0 for rule in rules}


def _tail_limit(values: NDArray[np.float64], allowed: float) -> float:
    """The value that a new picture exceeds with probability ``allowed`` or less; ``values`` (n,) ascending."""
    base = float(np.quantile(values, 1 - _TAIL))
    excess = values[values > base] - base
    censored = int(PER_RULE * len(values))
    seen = len(excess) - censored
    if seen < 5:
        return 1.0
    mean = (excess[:seen].sum() + censored * excess[seen - 1]) / seen
    mean *= 2 * seen / chi2.ppf(1 - _CONFIDENCE, 2 * seen)
    return float(base + mean * np.log(len(excess) / len(values) / allowed))


def score(row: Row, limits: Mapping[str, float]) -> float:
    """The worst use of the picture's rules under other limits; above 1 is caught."""
    return max((use / limits.get(rule, 1.0) for rule, use in row["use"].items()), default=0.0)


def caught(row: Row) -> bool:
    """Whether the picture does not pass at the shipped limits."""
    return row["verdict"] != "pass"


def summary(
    rows: Sequence[Row], order: Sequence[str], rules_of: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Everything the JSON holds."""
    honest = [r for r in rows if r["family"] == "honest"]
    planted = [r for r in rows if r["family"] != "honest"]
    derive, held = _half(honest, 0), _half(honest, 1)
    limits = thresholds(derive) if derive else {}
    families: dict[str, Any] = {}
    for name in order:
        mine = [r for r in planted if r["family"] == name]
        if mine:
            families[name] = _family(mine, honest, limits, rules_of[name])
    return {
        "honest_pictures": len(honest),
        "planted_pictures": len(planted),
        "sources": _count(rows, "source"),
        "scenes": sum(r["scene"] for r in rows),
        "shipped_limits": {
            "false_alarms_per_picture": _share([caught(r) for r in honest]),
            "false_alarms_per_picture_held_out": _share([caught(r) for r in held]),
            "false_alarms_per_rule": _alarms(honest),
        },
        "derived_limits": {
            "multiple_of_shipped": {k: round(v, 3) for k, v in limits.items()},
            "false_alarms_per_picture_held_out": _share([score(r, limits) > 1 for r in held]),
            "false_alarms_per_rule_held_out": {
                rule: _share([r["use"].get(rule, 0.0) > limit for r in held])
                for rule, limit in limits.items()
            },
        },
        "unmeasured_counted_as_pass": sum(bool(r["unmeasured"]) and r["verdict"] == "pass" for r in rows),
        "families": families,
        "roc_area_per_rule": {
            rule: roc_area(
                [r["use"].get(rule, 0.0) for r in planted if rule in rules_of[r["family"]]],
                [r["use"].get(rule, 0.0) for r in honest],
            )
            for rule in sorted({rule for r in rows for rule in r["use"]})
        },
        **_cost(honest),
    }


def _family(
    mine: Sequence[Row],
    honest: Sequence[Row],
    limits: Mapping[str, float],
    rules: Sequence[str],
) -> dict[str, Any]:
    by: dict[str, int] = defaultdict(int)
    for row in mine:
        for rule in row["failed"]:
            by[rule] += 1
    return {
        "pictures": len(mine),
        "recall": _by_severity(mine, caught),
        "recall_by_its_rules": _by_severity(mine, lambda r: bool(set(r["failed"]) & set(rules))),
        "recall_derived_limits": _by_severity(mine, lambda r: score(r, limits) > 1),
        "roc_area": roc_area([score(r, limits) for r in mine], [score(r, limits) for r in honest]),
        "caught_by": dict(sorted(by.items(), key=lambda pair: -pair[1])[:4]),
    }


def _by_severity(rows: Sequence[Row], test: Any) -> list[float | None]:
    return [_share([test(r) for r in rows if r["severity"] == s]) for s in range(4)]


def _half(rows: Sequence[Row], which: int) -> list[Row]:
    return [r for r in rows if r["number"] % 2 == which]


def _share(flags: Sequence[bool]) -> float | None:
    return round(float(np.mean(flags)), 4) if flags else None


def _count(rows: Sequence[Row], key: str) -> dict[str, int]:
    values = [r[key] for r in rows]
    return {value: values.count(value) for value in sorted(set(values))}


def _alarms(honest: Sequence[Row]) -> dict[str, float]:
    rules = sorted({rule for row in honest for rule in row["failed"]})
    return {rule: _share([rule in r["failed"] for r in honest]) or 0.0 for rule in rules}


def _cost(honest: Sequence[Row]) -> dict[str, Any]:
    if not honest:
        return {}
    timing: dict[str, list[float]] = defaultdict(list)
    for row in honest:
        for name, ms in row["timings"].items():
            timing[name].append(ms)
    return {
        "cpu_seconds_per_picture": round(float(np.mean([r["seconds"] for r in honest])), 2),
        "megapixels": round(float(np.mean([r["megapixels"] for r in honest])), 2),
        "ms_per_measure": {k: round(float(np.mean(v)), 1) for k, v in timing.items()},
    }


def _in_words(alarms: Mapping[str, float | None]) -> str:
    return ", ".join(f"{rule} {share:.1%}" for rule, share in alarms.items() if share) or "none"


def markdown(report: Mapping[str, Any]) -> str:
    """The table of ``docs/qc.md``."""
    shipped, derived = report["shipped_limits"], report["derived_limits"]
    alarms = _in_words(shipped["false_alarms_per_rule"])
    held = _in_words(derived["false_alarms_per_rule_held_out"])
    if not report["honest_pictures"]:
        return "No honest pictures."
    lines = [
        f"{report['honest_pictures']} honest and {report['planted_pictures']} spoiled pictures, {report['scenes']} "
        f"of them scenes. At the shipped limits {shipped['false_alarms_per_picture']:.1%} of the honest pictures do "
        f"not pass (by rule: {alarms}). With limits derived on one half of the honest pictures (at most 2 % false "
        f"alarms per rule, 5 % per picture), {derived['false_alarms_per_picture_held_out']:.1%} of the other half "
        f"are false alarms ({held}). Unmeasured and yet passed: {report['unmeasured_counted_as_pass']}.",
        "",
        "| family | pictures | recall at severity 1, 2, 3, 4 | by its own rules | at derived limits | ROC area "
        "| caught by |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in report["families"].items():
        cells = [
            " ".join("–" if r is None else f"{r:.2f}" for r in row[key])
            for key in ("recall", "recall_by_its_rules", "recall_derived_limits")
        ]
        by = ", ".join(f"{k} {v}" for k, v in row["caught_by"].items())
        area = "–" if row["roc_area"] is None else f"{row['roc_area']:.3f}"
        lines.append(f"| {name} | {row['pictures']} | {' | '.join(cells)} | {area} | {by} |")
    done = report["honest_pictures"] + report["planted_pictures"]
    if done < report["planned"]:
        lines += [
            "",
            f"The run is not complete: {done} of {report['planned']} planned pictures; families and severities "
            "without a figure were not reached.",
        ]
    if "cpu_seconds_per_picture" in report:
        parts = ", ".join(f"{k} {v:.0f}" for k, v in report["ms_per_measure"].items() if v >= 1)
        lines += [
            "",
            f"{report['cpu_seconds_per_picture']} CPU seconds per picture of {report['megapixels']} megapixels, "
            f"reading included; wall milliseconds by measure: {parts}.",
        ]
    return "\n".join(lines)

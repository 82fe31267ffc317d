"""``catalog-assets run``: the whole line on an inventory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from catalog_assets.cli.console import OK, SOME_FAILED, bad_call, dollars, print_json, progress, stdout
from catalog_assets.cli.meter import Meter
from catalog_assets.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from catalog_assets.orchestration.run_line import LineRun, SkuResult
    from catalog_assets.stages.stage import Step

COLOURS = {"listed": "green", "unchanged": "green", "done": "green", "held": "yellow", "failed": "red"}


def command(
    inventory: Annotated[str, typer.Argument(help="Folder or s3://bucket/prefix with catalogue and photos.")],
    store: Annotated[str, typer.Option(help="Folder or s3://bucket/prefix for what is made.")] = "",
    sku: Annotated[list[str] | None, typer.Option(help="Only this SKU; may be repeated.")] = None,
    stage: Annotated[str, typer.Option(help="Stop after this stage.")] = "listing",
    engine: Annotated[str, typer.Option(help="Engine for scenes whose template says auto.")] = "",
    budget: Annotated[str, typer.Option(help="Ceiling in US dollars for this run.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Take an inventory through the line; what has not changed costs nothing."""
    given = _settings(inventory, store, engine, budget)
    started = time.perf_counter()
    line_run = start(given, sku or [], stage, quiet=json_)
    results = line_run.results()
    seconds = time.perf_counter() - started
    if json_:
        print_json(document(line_run, results, seconds))
    else:
        stdout.print(table(results))
        stdout.print(closing(results, seconds), soft_wrap=True)
        for note in line_run.notes:
            stdout.print(f"[dim]note: {escape(note)}[/dim]", highlight=False, soft_wrap=True)
    bad = any(r.outcome in ("held", "failed") for r in results.values())
    raise typer.Exit(SOME_FAILED if bad else OK)


def _settings(inventory: str, store: str, engine: str, budget: str) -> Settings:
    changes: dict[str, Any] = {"inventory": inventory}
    if store:
        changes["store"] = store
    if engine:
        changes["engine"] = engine
    if budget:
        changes["budget_run_usd"] = dollars(budget)
    try:
        return load_settings().with_(**changes)
    except SettingsError as error:
        bad_call(str(error))


def start(settings: Settings, skus: list[str], stage: str, *, quiet: bool) -> LineRun:
    """Plan and run the line with progress bars on stderr; ends with exit code 2 where the input is wrong."""
    from catalog_assets.catalogue.brand import BrandError
    from catalog_assets.catalogue.rows import CatalogueError
    from catalog_assets.channels.packs import PackError
    from catalog_assets.orchestration.run_line import STAGE_NAMES, LineRun, UnknownSku
    from catalog_assets.scenes.contract import EngineError
    from catalog_assets.scenes.templates import TemplateError
    from catalog_assets.weights import WeightsError

    if stage not in STAGE_NAMES:
        bad_call(f"there is no stage {stage!r}: the stages are {', '.join(STAGE_NAMES)}")
    line_run = LineRun(settings, skus, stage)
    try:
        line_run.plan()
        with progress(quiet) as bar:
            task = bar.add_task("weights", total=1, note="")
            line_run.line.load_predictor(lambda got, all_: bar.update(task, completed=got, total=all_))
            bar.remove_task(task)
            names = STAGE_NAMES[: STAGE_NAMES.index(stage) + 1]
            meter = Meter(names, len(line_run.skus))
            task = bar.add_task("SKUs", total=len(names) * len(line_run.skus), note="")

            def show(name: str, step: Step) -> None:
                failed = step.outcome == "failed"
                meter.finished(name, step.record.seconds, failed=failed, unchanged=step.unchanged)
                passed = len(names) - names.index(name) if failed else 1
                bar.update(task, advance=passed, note=f"{meter.text()}; {step.record.sku} {name}")

            line_run.go(show)
    except (
        BrandError,
        CatalogueError,
        EngineError,
        PackError,
        TemplateError,
        UnknownSku,
        WeightsError,
    ) as error:
        bad_call(str(error))
    return line_run


def document(line_run: LineRun, results: Mapping[str, SkuResult], seconds: float) -> dict[str, Any]:
    """The JSON of DESIGN §4.4."""
    return {
        "skus": {sku: result.to_json() for sku, result in results.items()},
        "seconds": round(seconds, 2),
        "cost_usd": float(line_run.cost_usd),
        "notes": line_run.notes,
    }


def table(results: Mapping[str, SkuResult]) -> Table:
    """One row per SKU: what came of it and why."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("SKU", "cutout", "scenes", "verdict", "outcome"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("reason", overflow="fold")
    for sku, result in results.items():
        cut = "–" if result.confidence is None else f"{result.confidence:.2f}"
        shown.add_row(
            escape(sku),
            cut,
            str(result.scenes) if result.scenes else "–",
            result.verdict or "–",
            f"[{COLOURS[result.outcome]}]{result.outcome}[/]",
            escape(_brief(result.reasons)),
        )
    return shown


def _brief(reasons: Sequence[str], most: int = 2) -> str:
    """The first reasons; the gallery and ``--json`` have all of them."""
    more = f" (+{len(reasons) - most} more)" if len(reasons) > most else ""
    return "; ".join(reasons[:most]) + more


def closing(results: Mapping[str, SkuResult], seconds: float) -> str:
    """The line under the table."""
    counts = {name: sum(r.outcome == name for r in results.values()) for name in COLOURS}
    unchanged = sum(r.unchanged for r in results.values())
    parts = [f"{counts[name]} {name}" for name in ("listed", "done", "held", "failed") if counts[name]]
    if unchanged:
        parts.append(f"{unchanged} unchanged (fingerprints verified, nothing made again)")
    made = len(results) - unchanged
    pace = f" ({60 * made / seconds:.1f} a minute)" if made and seconds else ""
    return f"{len(results)} SKUs in {seconds:.1f} s{pace}: {', '.join(parts) or 'nothing to do'}"

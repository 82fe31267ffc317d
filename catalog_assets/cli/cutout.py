"""``catalog-assets cutout``: photos in, RGBA cutouts out, without a catalogue."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog_assets.cli.console import bad_call, print_json

if TYPE_CHECKING:
    from catalog_assets.imaging.matting import CutoutHints
    from catalog_assets.weights import Predictor

    Sessions = tuple[Predictor, Predictor | None]
    """The network, and the one asked for a second opinion."""


def command(
    photos: Annotated[list[Path], typer.Argument(help="Photos; any format the line itself reads.")],
    out: Annotated[Path, typer.Option(help="Folder for the cutouts; made where it does not exist.")],
    material: Annotated[str, typer.Option(help="What it is made of, such as 'glass'.")] = "",
    category: Annotated[str, typer.Option(help="What it is, such as 'Jewellery > Rings'.")] = "",
    items: Annotated[int | None, typer.Option(help="How many separate things belong to it.", min=1)] = None,
    model: Annotated[
        str, typer.Option(help="A rembg model, or two joined by +; default: CATALOG_MATTE_MODEL.")
    ] = "",
    runtime: Annotated[
        str,
        typer.Option(help="auto, onnxruntime, openvino or openvino-bf16; default: CATALOG_MATTE_RUNTIME."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Cut products out of photos: <stem>.png with alpha, and how far to trust each.

    A photo that cannot be read is named and the others are still done. Doubtful cutouts are written too, with a
    second picture <stem>.doubt.jpg of what is doubtful. Exit code 1 when any photo failed or is doubtful.
    """
    from catalog_assets.imaging.matting import CutoutHints
    from catalog_assets.settings import SettingsError, load_settings
    from catalog_assets.weights import WeightsError, runtime_for

    for photo in photos:
        if photo.is_dir():
            bad_call(f"{photo} is a folder: name the photos in it, for example {photo}/*.jpg.")
        if not photo.is_file():
            bad_call(f"{photo} does not exist.")
    try:
        settings = load_settings()
        wish = runtime or settings.matte_runtime
        on = runtime_for(wish)
        out.mkdir(parents=True, exist_ok=True)
        sessions = _sessions(model or settings.matte_model, wish)
    except (SettingsError, WeightsError) as error:
        bad_call(str(error))
    except OSError as error:
        bad_call(f"The folder {out} cannot be made: {error.strerror}.")
    hints = CutoutHints(material=material, category=category, items=items)
    rows = _all(photos, out, sessions, hints)
    if on.precision != "f32":
        for row in rows:
            row["runtime"] = str(on)
    if as_json:
        print_json({"photos": rows})
    else:
        for row in rows:
            typer.echo(_line(row))
    if any(row["verdict"] != "pass" for row in rows):
        raise typer.Exit(1)


def _sessions(name: str, runtime: str) -> Sessions:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from catalog_assets.weights import matte_session, networks

    first, second = networks(name)
    console = Console(stderr=True)
    columns = (TextColumn("weights of {task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:

        def session(model: str) -> Predictor:
            task = progress.add_task(model, total=None, visible=False)
            return matte_session(
                model,
                runtime=runtime,
                keep_scratch=True,  # nothing but cutouts is made here: photo after photo needs the same
                progress=lambda done, total: progress.update(task, completed=done, total=total, visible=True),
            )

        return session(first), None if second is None else session(second)


def _all(photos: list[Path], out: Path, sessions: Sessions, hints: CutoutHints) -> list[dict[str, Any]]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    taken: set[str] = set()
    rows: list[dict[str, Any]] = []
    for photo in track(photos, "cutouts", console=console, disable=not console.is_terminal, transient=True):
        stem = _free_stem(photo.stem, taken)
        row = _one(photo, out, stem, sessions, hints)
        if "error" in row:
            typer.echo(f"{photo}: {row['error']}", err=True)
        rows.append(row)
    return rows


def _free_stem(stem: str, taken: set[str]) -> str:
    """Two photos of the same name from two folders must not overwrite each other."""
    name, number = stem, 2
    while name.casefold() in taken:
        name, number = f"{stem}-{number}", number + 1
    taken.add(name.casefold())
    return name


def _one(photo: Path, out: Path, stem: str, sessions: Sessions, hints: CutoutHints) -> dict[str, Any]:
    from catalog_assets.imaging.decode import UnreadablePhoto, decode_photo
    from catalog_assets.imaging.doubt import mark_doubt
    from catalog_assets.imaging.encode import encode_png, thumbnail
    from catalog_assets.imaging.matting import make_cutout

    start = time.perf_counter()
    network, opinion = sessions
    row: dict[str, Any] = {"file": str(photo), "out": None, "seconds": 0.0, "confidence": 0.0, "flags": []}
    try:
        rgb = decode_photo(photo.read_bytes()).rgb
        cutout = make_cutout(rgb, network.predict, hints, sees=network.sees, another=opinion)
        target = out / f"{stem}.png"
        _write(target, encode_png(cutout.rgba))
        row |= {
            "out": str(target),
            "confidence": cutout.confidence,
            "flags": list(cutout.flags),
            "verdict": cutout.verdict,
            "reasons": list(cutout.reasons),
            "method": cutout.method,
        }
        if opinion is not None:
            row["model"] = f"{network.name}+{opinion.name}"
        if cutout.doubt is not None:
            doubt = out / f"{stem}.doubt.jpg"
            _write(doubt, thumbnail(mark_doubt(rgb, cutout.doubt), side=1024))
            row["doubt"] = str(doubt)
    except UnreadablePhoto as error:
        row |= {"verdict": "failed", "error": str(error)}
    except OSError as error:
        row |= {"verdict": "failed", "error": f"The file could not be read or written: {error.strerror}."}
    row["seconds"] = round(time.perf_counter() - start, 3)
    return row


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: an interrupted run leaves no half picture under the final name."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _line(row: dict[str, Any]) -> str:
    if row["out"] is None:
        return f"{row['file']}: failed. {row['error']}"
    doubt = "" if row["verdict"] == "pass" else f" Look at it: {' '.join(row['reasons'])}"
    return (
        f"{row['file']} -> {row['out']} ({row['seconds']:.1f} s, confidence {row['confidence']:.2f}).{doubt}"
    )

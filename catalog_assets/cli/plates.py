"""``catalog-assets plates``: proposes the numbers of a plate of one's own and draws them over the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from catalog_assets.cli.console import bad_call, print_json


def command(
    image: Annotated[Path, typer.Argument(help="An empty background photo.")],
    width_mm: Annotated[
        float,
        typer.Option(help="How many millimetres of ground the picture's width shows where products stand."),
    ] = 600.0,
    name: Annotated[str, typer.Option(help="The plate's name; default: the file's.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Picture of the proposal; default: <image>.plate.jpg.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Propose horizon, ground line, scale and light of a background, ready to paste into plates.json.

    Look at the drawing: the blue line should be at eye level, the red bar as long as 100 mm would be there.
    """
    from catalog_assets.imaging.decode import UnreadablePhoto, decode_photo
    from catalog_assets.imaging.encode import encode_jpeg
    from catalog_assets.imaging.survey import draw_survey, survey

    if not image.is_file():
        bad_call(f"{image} does not exist.")
    if width_mm <= 0:
        bad_call("--width-mm must be more than 0.")
    try:
        rgb = decode_photo(image.read_bytes()).rgb
    except UnreadablePhoto as error:
        bad_call(f"{image}: {error}")
    found = survey(rgb)
    px_per_mm = rgb.shape[1] / width_mm
    target = out or image.with_suffix(".plate.jpg")
    try:
        target.write_bytes(encode_jpeg(draw_survey(rgb, found, px_per_mm), quality=90))
    except OSError as error:
        bad_call(f"{target} cannot be written: {error.strerror}.")
    plate: dict[str, Any] = {
        "file": image.name,
        "size": [rgb.shape[1], rgb.shape[0]],
        "horizon_y": found.horizon_y,
        "contact": {"center": list(found.contact)},
        "ground_rows": [found.ground_top, rgb.shape[0]],
        "scale": {"px_per_mm_at_contact": round(px_per_mm, 3)},
        "light": {"azimuth_deg": found.light_azimuth_deg, "elevation_deg": 40, "softness": "soft"},
    }
    document = {"plates": {name or image.stem: plate}}
    sure = (
        f"{found.horizon_lines} lines meet on the horizon."
        if found.horizon_lines
        else "Too few lines run into depth, so the horizon is a guess."
    )
    if as_json:
        print_json({**document, "drawing": str(target), "horizon_lines": found.horizon_lines})
        return
    print_json(document)
    typer.echo(f"{sure} Look at {target}, correct what is off, and save this as plates.json.", err=True)

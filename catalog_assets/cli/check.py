"""``catalog-assets check``: quality control of any picture, from any tool, against any cutout."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer
from rich.markup import escape
from rich.table import Table

from catalog_assets.cli.console import OK, SOME_FAILED, bad_call, print_json, stderr, stdout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from catalog_assets.catalogue.brand import Brand
    from catalog_assets.imaging.decode import Photo
    from catalog_assets.qc.case import Kind
    from catalog_assets.qc.findings import Finding, PictureReport
    from catalog_assets.qc.rules import ChannelRules


def command(
    image: Annotated[Path, typer.Argument(help="The picture to check.")],
    cutout: Annotated[Path, typer.Option(help="RGBA cutout of the product that should be in it.")],
    photo: Annotated[Path | None, typer.Option(help="The photo the cutout was made from.")] = None,
    label_text: Annotated[
        str | None,
        typer.Option(
            help="Print expected on the product, lines split by |; empty for a product without print."
        ),
    ] = None,
    language: Annotated[str, typer.Option(help="Languages of the print, as en or de,fr.")] = "",
    brand: Annotated[Path | None, typer.Option(help="brand.yaml with limits, background and logo.")] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(help="Sales channel, or a .toml file of your own."),
    ] = None,
    category: Annotated[str, typer.Option(help="Category of the product, for channel rules.")] = "",
    certificate: Annotated[
        Path | None, typer.Option(help="Certificate of a locked picture, to verify.")
    ] = None,
    kind: Annotated[str, typer.Option(help="packshot, scene or any.")] = "any",
    evidence: Annotated[
        Path | None, typer.Option(help="Write a sheet with boxes and differences here.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Is the product in this picture still our product, and does the picture obey brand and channel?

    Exit code 0: everything passed. 1: something failed or needs a look. 2: the call or a file is wrong.
    """
    from catalog_assets.qc.case import Kind

    if kind not in get_args(Kind):
        bad_call(f"--kind is {kind!r}: write packshot, scene or any.")
    report, pixels, cut = _check(
        image,
        cutout,
        photo,
        label_text,
        language,
        brand,
        channel or [],
        category,
        certificate,
        cast("Kind", kind),
    )
    document = report.to_json()
    if evidence is not None:
        _write_evidence(evidence, pixels, cut, report)
        document["evidence"] = str(evidence)
    if json_:
        print_json(document)
    else:
        stdout.print(_table(report))
        if evidence is not None:
            stdout.print(f"Evidence: {escape(str(evidence))}", highlight=False)
    raise typer.Exit(OK if report.verdict == "pass" else SOME_FAILED)


def _check(
    image: Path,
    cutout: Path,
    photo: Path | None,
    label_text: str | None,
    language: str,
    brand: Path | None,
    channel: list[str],
    category: str,
    certificate: Path | None,
    kind: Kind,
) -> tuple[PictureReport, NDArray[np.uint8], NDArray[np.uint8]]:
    import numpy as np

    from catalog_assets.ocr import tesseract_reader
    from catalog_assets.qc.check import Expectation, Picture, check_picture
    from catalog_assets.qc.rules import Limits

    rules = _channel_rules(channel, category)
    image_data, cutout_data = _read(image, "picture"), _read(cutout, "cutout")
    picture, cut = _decoded(image_data, image), _decoded(cutout_data, cutout)
    if cut.alpha is None:
        bad_call(
            f"{cutout} has no alpha channel, so it is no cutout: save it as a PNG with transparency "
            "(catalog-assets cutout makes one)."
        )
    rgba = np.dstack([cut.rgb, cut.alpha])
    photo_data = _read(photo, "photo") if photo else None
    photo_rgb = _decoded(photo_data, photo).rgb if photo and photo_data is not None else None
    limits, background, logo, mirrors = Limits(), None, None, False
    if brand is not None:
        wishes, logo = _brand(brand)
        limits, background = wishes.limits, wishes.ground
        mirrors = wishes.packshot.reflection > 0
    document = _certificate(certificate) if certificate else None
    lines = tuple(part.strip() for part in (label_text or "").split("|") if part.strip())
    expect = Expectation(
        kind=kind,
        label_lines=lines,
        languages=tuple(part for part in language.replace(";", ",").split(",") if part),
        logo_rgba=logo,
        background_rgb=background,
        reflection=mirrors and kind == "packshot",
        label_known=label_text is not None,
        transform_hint=_noted_place(document),
    )
    named = Picture(str(image), picture.rgb, picture.facts, _source_type(image_data))
    try:
        report = check_picture(
            named,
            rgba,
            photo_rgb=photo_rgb,
            expect=expect,
            limits=limits,
            channels=rules,
            read_text=tesseract_reader(),
        )
    except ValueError as error:
        blamed = photo if str(error).startswith("The photo") else cutout if "utout" in str(error) else image
        bad_call(f"{blamed}: {error}")
    if document is not None:
        report.findings.extend(
            _verified(image_data, cutout_data, document, photo_data, limits.colour_delta_e)
        )
    return report, picture.rgb, rgba


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        bad_call(f"The {what} {path} cannot be read: {(error.strerror or 'it is not a file').lower()}.")


def _decoded(data: bytes, path: Path) -> Photo:
    from catalog_assets.imaging.decode import UnreadablePhoto, decode_photo

    try:
        return decode_photo(data)
    except UnreadablePhoto as error:
        bad_call(f"{path}: {error}")


def _channel_rules(names: list[str], category: str) -> list[ChannelRules]:
    if not names:
        return []
    from catalog_assets.channels.packs import PackError, load_packs

    today = datetime.now(UTC).date()
    built_in = load_packs()
    rules: list[ChannelRules] = []
    for name in names:
        pack = built_in.get(name)
        if pack is None and name.endswith(".toml"):
            try:
                text = _read(Path(name), "channel file").decode("utf-8-sig")
                pack = load_packs({name: text})[tomllib.loads(text)["name"]]
            except (PackError, UnicodeDecodeError) as error:
                bad_call(f"{error}" if name in str(error) else f"{name} is not UTF-8 text: {error}")
        if pack is None:
            known = ", ".join(built_in)
            bad_call(
                f"There is no channel {name!r}; known channels are {known}, or name a channel's .toml file."
            )
        rules.append(pack.rules(today, category))
    return rules


def _brand(path: Path) -> tuple[Brand, NDArray[np.uint8] | None]:
    import numpy as np

    from catalog_assets.catalogue.brand import BrandError, load_brand

    try:
        brand = load_brand(_read(path, "brand file").decode("utf-8"), str(path))
    except (BrandError, UnicodeDecodeError) as error:
        bad_call(str(error))
    logo: NDArray[np.uint8] | None = None
    if brand.logo:
        # The logo's path is written relative to the inventory, which is where brand.yaml lies.
        mark = _decoded(_read(path.parent / brand.logo, "logo"), path.parent / brand.logo)
        alpha = mark.alpha if mark.alpha is not None else np.full(mark.rgb.shape[:2], 255, np.uint8)
        logo = np.dstack([mark.rgb, alpha])
    return brand, logo


def _certificate(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_read(path, "certificate"))
    except ValueError:
        bad_call(f"The certificate {path} is not JSON; use the one stored beside the scene.")
    if isinstance(document, dict):
        # A scene's record carries its certificate under that key.
        inner = cast("dict[str, Any]", document).get("certificate", document)
        if isinstance(inner, dict):
            return cast("dict[str, Any]", inner)
    return bad_call(f"The certificate {path} is not a JSON object; use the one stored beside the scene.")


def _noted_place(document: dict[str, Any] | None) -> NDArray[np.float64] | None:
    import numpy as np

    try:
        noted = np.array(document["transform"], dtype=np.float64) if document else None
    except (KeyError, TypeError, ValueError):
        return None  # verifying the certificate says what is wrong with it
    if noted is None or noted.shape != (2, 3) or not np.isfinite(noted).all():
        return None
    return noted if abs(np.linalg.det(noted[:, :2])) > 1e-9 else None


def _verified(
    image: bytes, cutout: bytes, document: dict[str, Any], photo: bytes | None, colour_delta_e: float
) -> list[Finding]:
    from catalog_assets.scenes.certificate import verify_certificate

    return verify_certificate(image, cutout, document, photo=photo, colour_delta_e=colour_delta_e)


def _source_type(data: bytes) -> str | None:
    from catalog_assets.channels import provenance

    try:
        return provenance.read(data).source_type
    except provenance.ProvenanceError:
        return None


def _write_evidence(
    path: Path, picture: NDArray[np.uint8], cutout: NDArray[np.uint8], report: PictureReport
) -> None:
    from catalog_assets.imaging.encode import encode_png
    from catalog_assets.qc.evidence import evidence_sheet

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(evidence_sheet(picture, cutout, report), level=6))
    except OSError as error:
        bad_call(f"The evidence cannot be written to {path}: {(error.strerror or 'no access').lower()}.")
    stderr.print(f"Evidence written to {escape(str(path))}", highlight=False)


_COLOURS = {"pass": "green", "review": "yellow", "fail": "red"}


def _table(report: PictureReport) -> Table:
    colour = _COLOURS[report.verdict]
    table = Table(
        title=f"[{colour}]{report.verdict}[/{colour}]  {escape(report.image)}", title_justify="left"
    )
    for column in ("rule", "measured", "limit", "what was seen"):
        table.add_column(column)
    for finding in sorted(report.findings, key=lambda f: f.passed):
        if finding.passed:
            mark = "green"
        elif finding.measured is None or finding.severity == "warn":
            mark = "yellow"
        else:
            mark = "red"
        seen = escape(finding.message) + (f" [dim]{escape(finding.remedy)}[/dim]" if finding.remedy else "")
        table.add_row(
            f"[{mark}]{finding.rule}[/{mark}]",
            _shown(finding.measured, finding.unit),
            _shown(finding.limit, ""),
            seen,
        )
    return table


def _shown(value: object, unit: str) -> str:
    if value is None:
        return "—" if not unit else "not measured"
    if isinstance(value, float):
        text = f"{value:.3g}"
    elif isinstance(value, tuple):
        text = " to ".join(f"{v:g}" for v in cast("tuple[float, ...]", value))
    else:
        text = escape(str(value))
    return f"{text} {unit}".strip()

"""The severity of a scan as JSON, as CSV and as a page to read."""

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jinja2.environment import TemplateStream
from markupsafe import Markup

from datasets.volumes.volume import Volume
from figures.page_template import load_script, load_template
from figures.palette import LUNG_OUTLINE, METRICS, class_colour, predicted_colours
from severity import regions, score
from severity.browser import SliceBrowser
from severity.lungs.grid import AIR_HU
from severity.lungs.lobes import GivenLobes
from severity.lungs.lungs import FoundLungs, Lungs
from severity.lungs.threshold import CLOSING_MM, LEAST_AREA_CM2
from severity.measure import DENSE_HU, Severity, measure_scan
from severity.views import View, make_views
from utils.files import quote_cell, whole_file

DISCLAIMER = "For research only; not a medical device."
_TEMPLATE = Path(__file__).resolve().parent / "templates" / "severity.html.jinja"
# A mask of specks has many thousands; the count and the sizes' quartiles are of all of them.
_LISTED_IN_JSON, _LISTED_ON_PAGE = 1000, 20
_COLUMNS = ("scan", "region", "lung_ml", "lesion_ml", "involvement_percent", "points")


def write_severity(
    stem_path: Path,
    volume: Volume,
    mask: np.ndarray,
    lung: np.ndarray | Lungs | None,
    *,
    unit_is_hu: bool,
    title: str,
    class_names: Mapping[int, str] = MappingProxyType({}),
    prob: np.ndarray | None = None,
) -> Severity:
    """Measure a scan and write <stem_path>_severity.json, .csv and .html, all or none of them.

    Memory holds a few slices, the page and, while lungs are looked for, a coarse copy of the scan.

    Args:
        stem_path: Folder and beginning of the files' names.
        volume: The scan.
        mask: (slices, H, W) as volume.axial, or a memory map of it; > 0 is lesion.
        lung: Lung masks of the same shape, > 0 is lung; 1 and 2 tell the lungs apart where there
            are both of them and nothing else; or the lungs themselves, as they were found. None
            finds the lungs in a scan in HU.
        unit_is_hu: Whether the scan is in HU. If not and no lungs are given, only the lesions'
            volumes are told.
        title: Heading of the page; names the scan in the CSV.
        class_names: Of the lesions, by value in the mask; less than two are no classes.
        prob: (slices, H, W) uint8 probability of any lesion, 255 being 1, or a memory map of it;
            shown on the page where it is given.

    Raises:
        ValueError: Mask or probability, and scan differ in shape.
        UserError: Lung masks and scan differ in shape, a slice cannot be read, or the disk is full.
    """
    if prob is not None and prob.shape != volume.shape:
        raise ValueError(f"prob is {prob.shape}, the scan is {volume.shape}")
    browser = SliceBrowser(volume, prob, tuple(class_names), unit_is_hu)
    severity, counts, lungs = measure_scan(
        title, volume, mask, lung, unit_is_hu, class_names, browser.add
    )
    views = make_views(volume, mask, lungs, counts, unit_is_hu, tuple(class_names))
    page = _page(severity, counts, views, browser, lungs)
    _write(stem_path, severity, page)
    return severity


def _write(stem_path: Path, severity: Severity, page: TemplateStream) -> None:
    """All three files, or none."""
    with ExitStack() as files:
        paths = {
            suffix: files.enter_context(
                whole_file(stem_path.with_name(f"{stem_path.name}_severity{suffix}"))
            )
            for suffix in (".json", ".csv", ".html")
        }
        text = json.dumps(to_plain(severity), indent=2, ensure_ascii=False)
        paths[".json"].write_text(text + "\n", encoding="utf-8")
        with paths[".html"].open("wb") as stream:
            page.dump(stream, encoding="utf-8")
        _write_csv(paths[".csv"], severity)


def to_plain(severity: Severity) -> dict[str, Any]:
    """The figures for JSON; lengths in mm, volumes in mL, shares in %."""
    return {
        "title": severity.title,
        "disclaimer": DISCLAIMER,
        "slices_rows_columns": list(severity.shape),
        "spacing_mm": list(severity.spacing_mm),
        "lungs": severity.lungs,
        "notes": list(severity.notes),
        "lesion_ml": severity.lesion_ml,
        "lesion_outside_lungs_ml": severity.lesion_outside_ml,
        "involvement_percent": severity.involvement_percent,
        "classes": [own._asdict() for own in severity.classes],
        "score": severity.score,
        "score_maximum": score.MOST_POINTS,
        "score_source": score.SOURCE,
        "mean_hu": severity.mean_hu,
        "above_minus_300_hu_percent": severity.dense_percent,
        "regions": [region._asdict() for region in severity.regions],
        "num_lesions": severity.num_lesions,
        "lesion_sizes_ml": severity.lesion_sizes_ml,
        "lesions": [lesion._asdict() for lesion in severity.lesions[:_LISTED_IN_JSON]],
    }


def _write_csv(path: Path, severity: Severity) -> None:
    """A row for the whole scan, for what lies outside of lungs, for each class and region."""
    rows: list[Sequence[Any]] = [("whole scan", None, severity.lesion_ml, None, None)]
    if severity.lesion_outside_ml is not None:
        rows.append(("outside of lungs", None, severity.lesion_outside_ml, None, None))
    rows += [(f"all {own.name}", None, own.volume_ml, None, None) for own in severity.classes]
    rows += [
        (region.name, region.lung_ml, region.lesion_ml, region.involvement_percent, points)
        for region, points in _region_rows(severity)
    ]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        writer.writerows([quote_cell(severity.title), *row] for row in rows)


def _region_rows(severity: Severity) -> list[tuple[regions.Region, int | None]]:
    """Regions with their points; those of both lungs are the score."""
    return [
        (region, region.points if number else severity.score)
        for number, region in enumerate(severity.regions)
    ]


def _page(
    severity: Severity,
    counts: regions.SliceCounts,
    views: Sequence[View],
    browser: SliceBrowser,
    lungs: Lungs | None,
) -> TemplateStream:
    """The page; it refers to nothing outside of itself."""
    template = load_template(_TEMPLATE, ml=format_ml, percent=format_percent)
    return template.stream(
        severity=severity,
        scan=_scan_facts(severity, browser),
        strip=_strip(counts.lesion.sum(1)),
        slices=map(Markup, browser.texts),
        script=load_script(_TEMPLATE.with_name("browser.js")),
        rows=_region_rows(severity),
        lobes=_lobes(severity),
        lesions=severity.lesions[:_LISTED_ON_PAGE],
        views=views,
        class_colour=class_colour,
        colours={
            "lung": LUNG_OUTLINE,
            "lesions": predicted_colours(len(severity.classes)),
            "prob": METRICS["specificity"],
        },
        is_found=isinstance(lungs, FoundLungs),
        has_lobes=isinstance(lungs, GivenLobes),
        score=score,
        constants={
            "air_hu": AIR_HU,
            "closing_mm": CLOSING_MM,
            "least_cm2": LEAST_AREA_CM2,
            "dense_hu": DENSE_HU,
        },
        disclaimer=DISCLAIMER,
    )


def _scan_facts(severity: Severity, browser: SliceBrowser) -> dict[str, Any]:
    """What the page's script needs of the scan."""
    _, rows, columns = severity.shape
    _, height_mm, width_mm = severity.spacing_mm
    return {
        "rows": rows,
        "columns": columns,
        "aspect": columns * width_mm / (rows * height_mm),
        "windows": browser.windows,
        "classes": [own.name for own in severity.classes] or ["lesions"],
        "hasLungs": bool(severity.regions),
        "hasProb": browser.has_prob,
    }


def _strip(areas: np.ndarray) -> str:
    """SVG path of a bar per slice, as high as its share of the largest area, 1 at the most."""
    shares = areas / max(areas.max(), 1)
    return "".join(f"M{index} 1v{-share:.3f}h1V1Z" for index, share in enumerate(shares) if share)


def _lobes(severity: Severity) -> Mapping[str, list[regions.Region]]:
    """The regions that stand for lobes, by side, from top to bottom."""
    return {
        side: [own for own in severity.regions if own.is_lobe and own.name.startswith(side)]
        for side in ("right", "left")
    }


def format_ml(volume: float | None) -> str:
    """A volume in mL with about three digits; a dash for None."""
    if volume is None:
        return "–"
    if 0 < volume < 0.005:
        return "< 0.01"
    return f"{volume:,.{0 if volume >= 99.95 else 1 if volume >= 9.995 else 2}f}"


def format_percent(share: float | None) -> str:
    """A share in % with a decimal; a dash for None."""
    if share is None:
        return "–"
    return "< 0.1" if 0 < share < 0.05 else f"{share:.1f}"

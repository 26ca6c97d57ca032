"""The plots of a data folder's page."""

from collections.abc import Iterator, Sequence

import numpy as np

from figures.palette import LESION, OTHER, SPLIT_STYLES, class_colour
from preparation.overview.fingerprint import Fingerprint
from preparation.overview.histograms import (
    draw_areas,
    draw_component_numbers,
    draw_grey_levels,
    draw_spacing,
)
from preparation.overview.measure import SliceRow
from preparation.overview.plotting import (
    BAR_WIDTH,
    Plot,
    add_legend_on_top,
    count_in_whole_numbers,
    start_bars,
    start_plot,
)
from preparation.overview.summary import summarise_patients

_MOST_SIZES = 8
_NUM_CONTOURS = 4


def draw_charts(fingerprint: Fingerprint) -> Iterator[Plot]:
    """The plots for which there is something to show, one by one."""
    rows = fingerprint.rows
    ill = [row for row in rows if row.lesion_px]
    yield _draw_slices(fingerprint)
    if len(fingerprint.labels) > 1 and any(row.class_px for row in rows):
        yield _draw_classes(fingerprint)
    yield _draw_sizes(rows)
    yield draw_grey_levels(fingerprint)
    if ill:
        areas = [(row.lesion_px, row.px_mm2) for row in ill]
        yield draw_areas("Lesion area per slice", "slices with lesion", areas)
        parts = [(area, row.px_mm2) for row in ill for area in row.component_px]
        yield draw_areas("Area of the components", "components", parts)
        yield draw_component_numbers(rows)
        yield _draw_position(fingerprint.position)
    yield _draw_patients(fingerprint)
    if len({row.entry.files.spacing for row in rows} - {None}) > 1:
        yield draw_spacing(rows)


def _draw_slices(fingerprint: Fingerprint) -> Plot:
    """Slices with and without lesion by split."""
    splits = list(fingerprint.levels)
    figure, place = start_bars("slices with and without lesion", splits, xlabel="slices")
    counts = [
        (sum(row.lesion_px > 0 for row in rows), len(rows))
        for rows in map(fingerprint.rows_of, splits)
    ]
    ill, total = np.array(counts).T
    heights = np.arange(len(splits))
    place.barh(heights, ill, color=LESION, label="with lesion", height=BAR_WIDTH)
    place.barh(
        heights, total - ill, left=ill, color=OTHER, alpha=0.5, label="without", height=BAR_WIDTH
    )
    count_in_whole_numbers(place, "x")
    add_legend_on_top(place)
    return Plot("Slices", figure, f"{ill.sum() / total.sum():.0%} of all slices show a lesion.")


def _draw_classes(fingerprint: Fingerprint) -> Plot:
    """Share of every class in the lesions of each split."""
    areas: dict[str, dict[int, int]] = {}
    for row in fingerprint.rows:
        own = areas.setdefault(row.entry.split, dict.fromkeys(fingerprint.labels, 0))
        for value, area in row.class_px.items():
            own[value] += area
    areas = {split: own for split, own in areas.items() if any(own.values())}
    figure, place = start_bars("classes by split", list(areas), xlabel="% of the px of lesion")
    place.set_xlim(0, 100)
    heights, left = np.arange(len(areas)), np.zeros(len(areas))
    for value, name in fingerprint.labels.items():
        share = np.array([100 * own[value] / sum(own.values()) for own in areas.values()])
        colour = class_colour(value)
        place.barh(heights, share, left=left, color=colour, label=name, height=BAR_WIDTH)
        left += share
    add_legend_on_top(place)
    return Plot("Class balance", figure, "The pixels and slices of each are in the table above.")


def _draw_position(position: np.ndarray) -> Plot:
    """Contours of the share of slices that have their lesion there."""
    figure, place = start_plot("position of the lesions", xlabel="% of the width")
    percent = 100 * position
    centres = (np.arange(percent.shape[0]) + 0.5) / percent.shape[0] * 100
    bounds = np.linspace(0, percent.max(), _NUM_CONTOURS + 2)[1:-1]
    for number, bound in enumerate(bounds, 1):
        where = (centres, centres, percent)
        place.contourf(*where, [bound, np.inf], colors=[LESION], alpha=0.25)
        place.contour(*where, [bound], colors=[LESION], linewidths=0.4 + 0.2 * number)
    place.set(xlim=(0, 100), ylim=(100, 0), aspect="equal", ylabel="% of the height")
    shares = ", ".join(f"{bound:.2g}" for bound in bounds)
    caption = f"Lines around where {shares} % of the slices with lesion have it, as in the images."
    return Plot("Where lesions lie", figure, caption)


def _draw_patients(fingerprint: Fingerprint) -> Plot:
    """A point per patient: number of slices and lesion load."""
    patients = summarise_patients(fingerprint.rows)
    has_lungs = all(patient["lung_share"] is not None for patient in patients)
    key, whole = ("lung_share", "lung") if has_lungs else ("image_share", "image")
    figure, place = start_plot(
        "patients", xlabel="slices of the patient", ylabel=f"lesion in % of the {whole}"
    )
    for split in fingerprint.levels:
        own = [patient for patient in patients if patient["split"] == split]
        numbers = [patient["num_slices"] for patient in own]
        loads = [100 * patient[key] for patient in own]
        marker, colour = SPLIT_STYLES[split]
        style = {"color": colour, "alpha": 0.75, "clip_on": False}
        place.plot(numbers, loads, marker, label=f"{split}, {len(own)}", **style)
    place.set_xlim(0, 1.08 * max(patient["num_slices"] for patient in patients))
    place.set_ylim(0, 1.08 * max(100 * patient[key] for patient in patients) or 1)
    count_in_whole_numbers(place, "x")
    add_legend_on_top(place)
    note = "in the slices with a lung mask" if has_lungs else "as not all have lung masks"
    return Plot("Patients", figure, f"A point each; lesion in % of the {whole}, {note}.")


def _draw_sizes(rows: Sequence[SliceRow]) -> Plot:
    """The most common sizes."""
    sizes, counts = np.unique([row.size for row in rows], axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_SIZES]
    names = [f"{height} × {width}" for height, width in sizes[order]]
    figure, place = start_bars("sizes of the slices", names, xlabel="slices")
    place.barh(np.arange(len(names)), counts[order], color=OTHER, height=BAR_WIDTH)
    count_in_whole_numbers(place, "x")
    more = f"; the {_MOST_SIZES} most common" if len(counts) > _MOST_SIZES else ""
    noun = "size" if len(counts) == 1 else "sizes"
    return Plot("Sizes", figure, f"{len(counts)} {noun}, height × width in px{more}.")

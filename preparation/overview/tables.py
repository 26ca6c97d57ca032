"""The figures of a fingerprint as text in tables."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Part = Mapping[str, Any]


class TextTable(NamedTuple):
    """Rows of a head and cells, all of text; heads names their columns, the first included."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


def make_tables(plain: Mapping[str, Any]) -> list[TextTable]:
    """Counts, classes and measures, a column per part of the data folder.

    Args:
        plain: What Fingerprint.to_plain gives.
    """
    parts = plain["parts"]
    tables = [TextTable("Slices and patients", ["", *parts], _count_rows(parts))]
    if plain["labels"]:
        tables.append(TextTable("Classes of lesion", ["", *parts], _class_rows(plain)))
    tables.append(TextTable("Median, from 5th to 95th percentile", ["", *parts], _area_rows(parts)))
    if parts["all"]["spacing_mm"]:
        tables.append(TextTable("Spacing in mm: median, range", ["", *parts], _spacing_rows(parts)))
    return tables


def make_patient_table(patients: Sequence[Mapping[str, Any]]) -> TextTable:
    """A row per patient and split."""
    rows = [
        (
            patient["patient"],
            [
                patient["split"],
                f"{patient['num_cases']:,}",
                f"{patient['num_slices']:,}",
                f"{patient['num_with_lesion']:,}",
                _percent(patient["image_share"]),
                _percent(patient["lung_share"]),
            ],
        )
        for patient in patients
    ]
    heads = ["patient", "split", "cases", "slices", "with lesion", "% of image", "% of lung"]
    return TextTable(f"All {len(rows):,} patients", heads, rows)


def _count_rows(parts: Mapping[str, Part]) -> list[tuple[str, list[str]]]:
    """How many of each."""
    rows = {
        "slices": "num_slices",
        "patients": "num_patients",
        "cases": "num_cases",
        "with lesion": "num_with_lesion",
        "without lesion": "num_without_lesion",
        "with lung mask": "num_with_lung",
    }
    table = [(label, [f"{part[key]:,}" for part in parts.values()]) for label, key in rows.items()]
    sources = parts["all"]["slices_per_source"]
    if len(sources) > 1:
        table += [
            (
                f"of {name}",
                [f"{part['slices_per_source'].get(name, 0):,}" for part in parts.values()],
            )
            for name in sources
        ]
    shares = [_percent(part["lesion_share_of_px"]) for part in parts.values()]
    return [*table, ("lesion, % of px", shares)]


def _class_rows(plain: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Share of the lesions' px, and slices."""
    parts = plain["parts"].values()
    table = []
    for value, name in plain["labels"].items():
        own = [part["classes"][value] for part in parts]
        table.append((f"{name}, % of px", [_percent(figures["lesion_share"]) for figures in own]))
        table.append((f"{name}, slices", [f"{figures['num_slices']:,}" for figures in own]))
    return table


def _area_rows(parts: Mapping[str, Part]) -> list[tuple[str, list[str]]]:
    """Lesions and their components; mm² where it is known of some."""
    wanted: dict[str, Callable[[Part], Any]] = {
        "lesion per slice, px": lambda part: part["lesion_area"]["px"],
        "lesion per slice, mm²": lambda part: part["lesion_area"]["mm2"],
        "component, px": lambda part: part["components"]["px"],
        "component, mm²": lambda part: part["components"]["mm2"],
    }
    table = [
        (label, [_range(get(part), "50", "5", "95") for part in parts.values()])
        for label, get in wanted.items()
        if get(parts["all"])
    ]
    if parts["all"]["lesion_area"]["lung_share"]:
        shares = [part["lesion_area"]["lung_share"] for part in parts.values()]
        table.insert(
            1, ("lesion, % of lung", [_range(own, "50", "5", "95", 100) for own in shares])
        )
    return table


def _spacing_rows(parts: Mapping[str, Part]) -> list[tuple[str, list[str]]]:
    """Each side of a voxel."""
    return [
        (
            side.replace("_", " "),
            [
                _range((part["spacing_mm"] or {}).get(side), "median", "min", "max")
                for part in parts.values()
            ],
        )
        for side in parts["all"]["spacing_mm"]
    ]


def _range(
    figures: Mapping[str, float] | None, middle: str, low: str, high: str, factor: float = 1
) -> str:
    """The middle, and below it from where to where unless it is all the same."""
    if figures is None:
        return "–"
    texts = [_short(factor * figures[key]) for key in (middle, low, high)]
    return texts[0] if texts[1] == texts[2] else f"{texts[0]}\n{texts[1]}–{texts[2]}"


def _short(value: float) -> str:
    """Three digits, and no fraction from a thousand on."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"

"""Which slices of a data folder are whole scans: one after the other, a known distance apart."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from datasets.pairing import SliceFiles
from datasets.slice_names import place_of_stem


class SliceScan(NamedTuple):
    """A scan.

    Attributes:
        name: What its slices' names have before their numbers.
        slices: From the lowest number to the highest.
        distance: Of these slices, mm.
    """

    name: str
    slices: list[SliceFiles]
    distance: float


def find_scans(slices: Sequence[SliceFiles]) -> tuple[list[SliceScan], str]:
    """The scans, in the order of their first slices, and ''; or none, and why not all are of one.

    Every second slice of a scan is a scan of twice the distance.
    """
    by_scan: dict[str, list[tuple[int, SliceFiles]]] = {}
    for files in slices:
        place = place_of_stem(files.name)
        if place is None:
            return [], f"{files.name} has no number of a slice in its name"
        by_scan.setdefault(place[0], []).append((place[1], files))
    scans = []
    for name, numbered in by_scan.items():
        numbered.sort(key=lambda item: item[0])
        own = [files for _, files in numbered]
        steps = np.diff([number for number, _ in numbered])
        if len(own) < 2 or steps.min() < 1 or steps.min() != steps.max():
            return [], f"slices of {name} are missing, or not one after the other"
        if len({(files.spacing, files.distance) for files in own}) > 1 or not own[0].distance:
            return [], f"the manifest does not give {name} one spacing with a distance of slices"
        scans.append(SliceScan(name, own, own[0].distance * int(steps[0])))
    return scans, ""

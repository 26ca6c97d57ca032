"""Which DICOM slices make up one stack, where the series UID alone does not say so."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from datasets.volumes.dicom_geometry import arrange, have_places, is_axial, is_flat
from datasets.volumes.dicom_header import MARKS, SliceHeader
from utils.errors import UserError
from utils.messages import count

# Places that differ by less are the same, mm.
_SAME_PLACE = 0.01
# Marks that differ between acquisitions alone.
_SURE = MARKS[:4]
# Numbers that go up and down without order make shorter ones.
_SHORTEST_PASS = 3


class Stack(NamedTuple):
    """Slices that lie upon each other.

    Attributes:
        headers: Of the slices, as they were found.
        mark: What tells the stack from others of its series, such as "AcquisitionNumber 2"; empty
            where there is none.
        note: What was done to the series, for a line; None where it was taken as it is.
    """

    headers: list[SliceHeader]
    mark: str = ""
    note: str | None = None


def find_stacks(headers: Iterable[SliceHeader]) -> tuple[list[Stack], list[SliceHeader]]:
    """The stacks of any number of series, and the slices that belong to none: scouts.

    A UID per slice, as anonymisers write it, is one series where study, patient, number,
    description, orientation, size and spacing are equal and no place is taken twice; where every
    slice has a study of its own, or none, all of them must lie one step apart. Slices of one series
    whose acquisitions, phases or reconstructions overlap are several stacks.
    """
    by_uid = _group(headers, lambda header: header.series)
    stacks, scouts = [], []
    for stack in _join(by_uid):
        kept, dropped = _drop_scouts(stack.headers)
        scouts += dropped
        if kept:
            stacks += _split(stack._replace(headers=kept))
    return stacks, scouts


def _group(
    headers: Iterable[SliceHeader], key: Callable[[SliceHeader], Hashable]
) -> list[list[SliceHeader]]:
    """Slices of equal keys, in the order in which they come."""
    groups: dict[Hashable, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        groups[key(header)].append(header)
    return list(groups.values())


def _is_sound(headers: Sequence[SliceHeader]) -> bool:
    """Whether the places of all slices are known."""
    return all(header.problem is None for header in headers) and have_places(headers)


def _join(series: Sequence[list[SliceHeader]]) -> list[Stack]:
    """Every series, those of one slice joined where they are one stack."""
    single = [headers[0] for headers in series if len(headers) == 1]
    stacks = [Stack(headers) for headers in series if len(headers) > 1]
    alone = []
    for headers in _group(single, lambda header: (header.study, *_stack_key(header))):
        if len(headers) == 1 or not headers[0].study:
            alone += headers
        else:
            stacks += _join_group(headers, _are_one_stack(headers), "SeriesInstanceUID")
    # Nobody but their places says that slices of different studies are one scan.
    for headers in _group(alone, _stack_key):
        is_one = len(headers) >= _SHORTEST_PASS and _is_even(headers)
        stacks += _join_group(headers, is_one, "StudyInstanceUID and SeriesInstanceUID")
    return stacks


def _join_group(headers: list[SliceHeader], is_one: bool, uids: str) -> list[Stack]:
    """One stack with a note, or a stack per slice."""
    if not is_one:
        return [Stack([header]) for header in headers]
    what = headers[0].title or "slices without a title"
    note = (
        f"{headers[0].path.parent}: {what}: {count(len(headers), 'slice')} with a {uids} each are "
        "read as one series"
    )
    return [Stack(headers, note=note)]


def _stack_key(header: SliceHeader) -> tuple:
    """What the slices of one stack have in common."""
    axes = np.nan_to_num(header.axes).ravel().round(3) + 0.0  # no -0
    spacing = np.round(header.spacing, 3)
    return header.patient, header.title, header.size, *axes, *spacing.tolist()


def _are_one_stack(headers: Sequence[SliceHeader]) -> bool:
    """Whether all lie in places of their own, or do so by their acquisition; or by number."""
    if any(header.problem is not None for header in headers):
        return True  # one series that is refused, rather than a line for every slice
    if not have_places(headers):
        numbers = {header.number for header in headers}
        return None not in numbers and len(numbers) == len(headers)
    parts = _split(Stack(list(headers)))
    return all(len(part.headers) > 1 and not _have_doubles(part.headers) for part in parts)


def _places(headers: Sequence[SliceHeader]) -> np.ndarray:
    """Along the normal of the first slice, mm, ascending."""
    normal = np.cross(*headers[0].axes)
    return np.sort([header.position @ normal for header in headers])


def _have_doubles(headers: Sequence[SliceHeader]) -> bool:
    return bool((np.diff(_places(headers)) < _SAME_PLACE).any())


def _drop_scouts(headers: list[SliceHeader]) -> tuple[list[SliceHeader], list[SliceHeader]]:
    """The slices of a scan, and the radiographs on which it was planned.

    These are flat stacks; within a series of slices they have a size of their own.
    """
    if not all(header.problem is None and have_places([header]) for header in headers):
        return headers, []
    directions = _group(headers, lambda header: tuple(header.axes.ravel().round(2) + 0.0))
    flat = [group for group in directions if is_flat(group)]
    if len(flat) == len(directions):
        return [], headers
    sizes = {h.size for group in directions if not is_flat(group) for h in group}
    scouts = {
        header.path
        for group in flat
        for header in group
        if not is_axial(header) and header.size not in sizes
    }
    return (
        [header for header in headers if header.path not in scouts],
        [header for header in headers if header.path in scouts],
    )


def _split(stack: Stack) -> list[Stack]:
    """The acquisitions of a series that overlap; the series alone where none do."""
    headers = stack.headers
    if len(headers) < 2 or not _is_sound(headers):
        return [stack]
    for keyword, marks in _marks_of(headers):
        groups = [
            [header for header, mark in zip(headers, marks, strict=True) if mark == value]
            for value in dict.fromkeys(marks)
        ]
        # A value per slice, such as a time, tells no stacks apart.
        if len(groups) < 2 or 2 * len(groups) > len(headers):
            continue
        if any(_overlap(*pair) for pair in combinations(groups, 2)) and (
            all(map(_is_even, groups)) or (keyword in _SURE and not _is_even(headers))
        ):
            values = [value or "none" for value in dict.fromkeys(marks)]
            note = (
                f"{headers[0].path.parent}: {headers[0].title}: {len(groups)} overlapping stacks "
                f"of one series are told apart by {keyword}: {', '.join(values)}"
            )
            notes = ["; ".join(filter(None, (stack.note, note))), *[None] * (len(groups) - 1)]
            names = [f"{keyword} {value}" for value in values]
            return [Stack(*parts) for parts in zip(groups, names, notes, strict=True)]
    return [stack]


def _marks_of(headers: Sequence[SliceHeader]) -> Iterator[tuple[str, list[str]]]:
    """What may tell stacks apart, with its value for every slice."""
    for index, keyword in enumerate(MARKS):
        yield keyword, [header.marks[index] for header in headers]
    passes = _count_passes(headers)
    if passes is not None:
        yield "InstanceNumber", passes


def _count_passes(headers: Sequence[SliceHeader]) -> list[str] | None:
    """Which pass over the patient a slice is of, where their numbers begin anew or run on.

    None where that is not known: numbers are missing, or go up and down without order.
    """
    if any(header.number is None for header in headers):
        return None
    normal = np.cross(*headers[0].axes)
    keys = [(header.number, float(header.position @ normal)) for header in headers]
    repeats: Counter[int] = Counter()
    number_of: list[tuple[int, int, float, int]] = []
    for index in sorted(range(len(keys)), key=keys.__getitem__):
        number, place = keys[index]
        repeats[number] += 1
        number_of.append((repeats[number], number, place, index))
    passes, current, former = [""] * len(headers), 0, None
    places = [place for _, _, place, _ in sorted(number_of)]
    direction = np.sign(np.median(np.diff(places)))
    for repeat, _, place, index in sorted(number_of):
        is_new = former is None or repeat != former[0] or (place - former[1]) * direction <= 0
        current, former = current + is_new, (repeat, place)
        passes[index] = str(current)
    return passes if min(Counter(passes).values()) >= _SHORTEST_PASS else None


def _is_even(headers: Sequence[SliceHeader]) -> bool:
    """Whether slices make up a scan by themselves."""
    try:
        arrange(headers)
    except UserError:
        return False
    return True


def _overlap(first: Sequence[SliceHeader], second: Sequence[SliceHeader]) -> bool:
    """Whether one range of places begins before the other has ended."""
    normal = np.cross(*first[0].axes)
    ranges = [[header.position @ normal for header in group] for group in (first, second)]
    low = max(min(places) for places in ranges)
    return low <= min(max(places) for places in ranges) + _SAME_PLACE

"""A scan through the network: its lungs first, then the slices that show them."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets.crop import LUNGS
from datasets.intensity import IntensityRule
from datasets.volumes import Volume, release_pages
from inference.intensity_options import HU
from inference.model import Model
from inference.slices import PredictedSlice, ReadLungs, predict_slices, to_levels
from inference.smoothing import SMOOTHING_MM, reach_between, smooth_between, step_between
from severity.lungs.grid import Grid, read_mask
from severity.lungs.learned import learned_lungs
from severity.lungs.lungs import FoundLungs, GivenLungs, Lungs, NoLungs, find_lungs
from training.prediction import check_prediction
from training.runtime import return_freed_memory
from utils.errors import UserError
from utils.progress import Progress

LEARNED, THRESHOLD = "learned", "threshold"
_SLICES_IN_MEMORY = 32
# Beyond the lungs found, so that what disease has made dense at their ends is seen.
_MARGIN_MM = 20.0


class LungSource(NamedTuple):
    """Where the lungs of a scan are to be from.

    Attributes:
        given: (slices, H, W), > 0 is lung; None where there are no masks.
        found_by: LEARNED, the network where it has learnt lungs; or THRESHOLD.
        are_required: Whether a scan in HU without lungs is refused.
    """

    given: np.ndarray | None = None
    found_by: str = LEARNED
    are_required: bool = True


class ScanLesions(NamedTuple):
    """What was found in a scan.

    Attributes:
        areas: Lesion px of every slice.
        num_classes: Beside the background.
        lungs: For severity; masks, or lungs, or None where they are not known.
    """

    areas: list[int]
    num_classes: int
    lungs: np.ndarray | Lungs | None


def predict_scan(
    volume: Volume,
    rule: IntensityRule,
    model: Model,
    source: LungSource,
    mask: np.ndarray,
    prob: np.ndarray,
    smoothing_mm: float = SMOOTHING_MM,
) -> ScanLesions:
    """Predict the slices of a scan that show lung, a few in memory at a time.

    Args:
        volume: The scan.
        rule: From its values to grey levels.
        model: What predicts.
        source: Where the lungs are from.
        mask: (slices, H, W) uint8 zeros to be filled with classes.
        prob: (slices, H, W) uint8 zeros to be filled with probabilities, 255 being 1.
        smoothing_mm: Standard deviation of the average between slices; 0 is none, as where the
            spacing is unknown.

    Raises:
        UserError: There are no lungs, or a slice cannot be read.
        NonFiniteError: A prediction holds NaN.
    """
    lungs = _lungs_before(volume, rule, source, model.config.data.crop == LUNGS)
    chosen = range(len(volume)) if lungs is None else _slices_near(lungs, source.given, volume)
    is_learned = source.given is None and source.found_by == LEARNED and model.has_lung
    marked = _MarkedLungs(lungs.grid) if is_learned and isinstance(lungs, FoundLungs) else None
    return_freed_memory()
    areas, num_channels = [0] * len(volume), 1
    with closing(_predict_between(volume, rule, model, chosen, lungs, smoothing_mm)) as slices:
        for done, predicted in enumerate(Progress(slices, volume.name, total=len(chosen)), 1):
            index = chosen[predicted.index]
            lesion_prob = predicted.lesion_prob()
            label = predicted.label(model.threshold)
            mask[index] = label
            prob[index] = to_levels(lesion_prob)
            areas[index] = int(np.count_nonzero(label))
            num_channels = len(predicted.prob)
            if marked:
                marked.add(index, predicted.lung)
            if done % _SLICES_IN_MEMORY == 0:
                for array in (volume.stored, mask, prob):
                    release_pages(array)
                return_freed_memory()
    lungs = _put_right(lungs, marked)
    known = source.given if source.given is not None else lungs
    return ScanLesions(areas, max(num_channels - 1, 1), known)


class _MarkedLungs:
    """What a network takes for lung, slice by slice, on the grid of a scan."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._sum = np.zeros(grid.num_blocks, np.float32)
        self._counts = np.zeros(grid.num_blocks[0], np.float32)

    def add(self, index: int, prob: NDArray[np.float32]) -> None:
        """Takes a slice's probability of lung, (H, W)."""
        block = index // self._grid.step
        self._sum[block] += self._grid.coarse(prob)
        self._counts[block] += 1

    def mean(self) -> NDArray[np.float32]:
        """(z, h, w) of the slices that were added; 0 where there are none. Spends the sums."""
        self._sum /= np.maximum(self._counts, 1)[:, None, None]
        return self._sum


def _put_right(lungs: Lungs | None, marked: _MarkedLungs | None) -> Lungs | None:
    """The lungs as the network has marked them, too, where it has."""
    return_freed_memory()
    if marked:
        lungs = learned_lungs(lungs, marked.mean())
        return_freed_memory()
    return lungs


def _lungs_before(
    volume: Volume, rule: IntensityRule, source: LungSource, for_crop: bool
) -> Lungs | None:
    """The lungs as known without the network; None where it is not known where they are.

    Raises:
        UserError: There are none, though they are needed.
    """
    is_hu = rule.unit == HU
    try:
        if source.given is not None:
            return GivenLungs(source.given, Grid.of(volume.shape, volume.spacing))
        if volume.has_place or for_crop:
            return find_lungs(volume, is_hu)
    except NoLungs as reason:
        if for_crop:
            raise UserError(
                f"{volume.path}: the network was trained on slices cropped to the lungs. {reason}"
            ) from reason
        if is_hu and source.given is None:
            _refuse_or_warn(volume, source)
    return None


def _refuse_or_warn(volume: Volume, source: LungSource) -> None:
    """What to say of a scan in HU without lungs."""
    found = f"{volume.path}: shows no lungs, so it is no CT of the chest, or one cut off below them"
    if source.are_required:
        raise UserError(
            f"{found}; nothing was written. Leave it out, give its lung masks by --lung, or take "
            "--no-severity for a mask of every slice without a score"
        )
    print(f"warning: {found}; every slice is predicted")


def _slices_near(lungs: Lungs, given: np.ndarray | None, volume: Volume) -> range:
    """The slices from the lowest to the highest with lung, and a margin."""
    if isinstance(lungs, FoundLungs):
        blocks = np.flatnonzero(lungs.coarse.labels.any((1, 2)))
        step = lungs.grid.step
        first, last = blocks[0] * step, blocks[-1] * step + step - 1
    else:
        inside = np.flatnonzero([read_mask(given, index).any() for index in range(len(volume))])
        first, last = inside[0], inside[-1]
    margin = round(_MARGIN_MM / volume.spacing[0])
    return range(max(int(first) - margin, 0), min(int(last) + margin + 1, len(volume)))


def _predict_between(
    volume: Volume,
    rule: IntensityRule,
    model: Model,
    chosen: range,
    lungs: Lungs | None,
    smoothing_mm: float,
) -> Iterator[PredictedSlice]:
    """The chosen slices in their order, averaged between them; indices count within them."""
    deviation, spacing = smoothing_mm if volume.has_place else 0.0, volume.spacing[0]
    step = step_between(deviation, spacing)
    # The average between slices is one over mirror images, too, at no further cost.
    mirrors = model.learnt_mirrored and reach_between(deviation, spacing) > 0
    with closing(_predict(volume, rule, model, chosen[::step], lungs, mirrors)) as slices:
        yield from smooth_between(slices, len(chosen), step, deviation, spacing)


def _predict(
    volume: Volume,
    rule: IntensityRule,
    model: Model,
    chosen: range,
    lungs: Lungs | None,
    mirrors_every_second: bool,
) -> Iterator[PredictedSlice]:
    """Predict the chosen slices in their order; indices count within them."""
    none = np.zeros(volume.shape[1:], bool)
    bits = model.data_properties.bits
    read_lungs: ReadLungs | None = None
    if model.config.data.crop == LUNGS:
        read_lungs = lambda place: lungs.read_slice(chosen[place], none)  # noqa: E731
    slices = predict_slices(
        model.predictor,
        [partial(_read_levels, volume, rule, bits, index) for index in chosen],
        model.config.evaluation.batch_size,
        transform=model.transform,
        read_lungs=read_lungs,
        mirrors_every_second=mirrors_every_second,
    )
    with closing(slices):
        for predicted in slices:
            place = f"{volume.path}, slice {chosen[predicted.index]}"
            check_prediction(predicted.lesion_prob(), place)
            yield predicted


def _read_levels(volume: Volume, rule: IntensityRule, bits: int, index: int) -> np.ndarray:
    """A slice as the network's training data had it."""
    return rule.apply(volume.read_slice(index), bits)

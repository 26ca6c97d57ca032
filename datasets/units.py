"""What the stored values of a scan are: Hounsfield units or grey levels, told by some slices."""

from typing import NamedTuple

import numpy as np

from datasets.volumes.volume import Volume

HU, GRAY, UNIT, ARBITRARY = "HU", "0-255", "0-1", "arbitrary"
# What a scanner adds to HU to store them without a sign (RescaleIntercept of CT).
OFFSET = 1024.0
_NOISE_HU = 100.0  # of air
_UNSIGNED = 2.0**15  # what is larger was negative before it lost its sign
_NUM_SLICES = 16  # that are looked at
_SIDE = 64  # px of a slice that are looked at in each direction, at the most

# Lung and the air around the body lie below, even dense ground-glass opacity; fat far above.
_AIR_HU = -300
_LEAST_AIR = 0.001  # share of all values, so that a dark px or two is no air
# Of a chest, the rims of skin and lung take more. Air itself may be of one value, as padding is.
_LEAST_RIM = 0.02
# One value in more px than this is padding, or a range that was cut off, at -1000 HU or below.
_SPIKE, _SPIKE_PX, _AIR_TOP_HU = 0.02, 50, -990
# Cortical bone and metal lie above, a few per cent of a slice; with an offset all soft tissue does.
_BONE_HU, _MOST_BONE, _LITTLE_LUNG = 700, 0.1, 0.03
# Scanners cut off at -1024, and noise reaches little further.
_BELOW_AIR_HU, _MOST_BELOW = -1200, 0.03

# Cubic resampling overshoots an edge by up to a quarter of its step, at few px.
_OVERSHOOT, _MOST_OVERSHOOT = 0.25, 0.02
_ROUNDING = 0.01  # what interpolation leaves of black and white, as a share of the range
_MOST_CLASSES = 8  # of a mask or label map that nothing but its values tells
_MOST_BETWEEN = 0.02  # share of values between the two of a mask that was resampled
_SHARES = ("air", "rim", "below")
_LEAST_WHITE = {GRAY: 25.5, UNIT: 0.05}
_WHITE = {GRAY: 255.0, UNIT: 1.0}


class StoredValues(NamedTuple):
    """Values of some slices of a scan, after slope and intercept.

    Attributes:
        low: The least value of these slices.
        high: The largest.
        slices: Of each slice, every few px in a row.
    """

    low: float
    high: float
    slices: tuple[np.ndarray, ...]

    def minus(self, offset: float) -> "StoredValues":
        """The values without an offset."""
        shifted = tuple(values - np.float32(offset) for values in self.slices)
        return StoredValues(self.low - offset, self.high - offset, shifted)


def sample_values(volume: Volume) -> StoredValues:
    """Read some slices of a scan, evenly from its first to its last.

    Raises:
        UserError: A value is NaN or infinite.
    """
    num_slices = min(len(volume), _NUM_SLICES)
    low, high, slices = np.inf, -np.inf, []
    for index in np.linspace(0, len(volume) - 1, num_slices).round().astype(int):
        values = volume.read_slice(int(index))
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        steps = (slice(None, None, -(-side // _SIDE)) for side in values.shape)
        slices.append(values[tuple(steps)].flatten())
    return StoredValues(low, high, tuple(slices))


def find_misfit(values: StoredValues, unit: str) -> str:
    """Why values cannot be of a unit, as the end of a sentence; '' where they may be.

    Args:
        values: Of a scan of the chest.
        unit: HU, 0-255, 0-1 or arbitrary.
    """
    if unit == HU:
        return _misfit_of_hounsfield(values)
    if unit == ARBITRARY:
        return ""
    if unit == GRAY and values.low >= 0 and values.high <= 1:
        return "are black, being 0 to 1 rather than 0 to 255"
    if not _is_within(values, _WHITE[unit]):
        return "are no grey levels of 0 to 255" if unit == GRAY else "do not lie in 0 to 1"
    if values.high < _LEAST_WHITE[unit]:
        return f"are all but black as grey levels of {unit}"
    return ""


def recognise_unit(values: StoredValues) -> str | None:
    """What values are: 0-1, 0-255 or HU; None where they are nothing of these.

    Values that are all the same, such as a blank scan, count as 0-255 where they lie in it.
    """
    if values.low == values.high and 0 <= values.low <= _WHITE[GRAY]:
        return GRAY
    return next((unit for unit in (UNIT, GRAY, HU) if not find_misfit(values, unit)), None)


def is_label_map(values: StoredValues, most_classes: int = _MOST_CLASSES) -> bool:
    """Whether values are the classes of a mask or label map rather than a picture.

    These are few whole numbers from 0 on; or, of a mask that was resampled, two values nearly
    everywhere. Values that are all the same may be a blank scan.
    """
    if values.low == values.high:
        return False
    everything = np.concatenate(values.slices)
    levels = np.unique(everything)
    if len(levels) <= most_classes and values.low >= 0 and (levels == levels.round()).all():
        return True
    rounded = np.rint((everything - values.low) / ((values.high - values.low) * _ROUNDING))
    counts = np.sort(np.bincount(rounded.astype(int)))
    return bool(counts[-2:].sum() >= (1 - _MOST_BETWEEN) * counts.sum())


def is_offset(values: StoredValues) -> bool:
    """Whether values look like HU + 1024, of which the header no longer says so.

    Air then lies at 0 or a little above; another offset is not to be taken for this one.
    """
    if not _BONE_HU <= values.high < _UNSIGNED or not find_misfit(values, HU):
        return False
    everything = np.concatenate(values.slices)
    has_air = np.mean((everything > -_NOISE_HU) & (everything < _NOISE_HU)) >= _LEAST_AIR
    return bool(has_air) and not find_misfit(values.minus(OFFSET), HU)


def _is_within(values: StoredValues, white: float) -> bool:
    """Whether values lie in 0 to white, but for what resampling overshoots."""
    if values.low < -_OVERSHOOT * white or values.high > (1 + _OVERSHOOT) * white:
        return False
    everything = np.concatenate(values.slices)
    rounding = _ROUNDING * white
    outside = (everything < -rounding) | (everything > white + rounding)
    return float(outside.mean()) <= _MOST_OVERSHOOT


def _misfit_of_hounsfield(values: StoredValues) -> str:
    """See find_misfit."""
    slices = [_Levels.of(one) for one in values.slices]
    air, rim, below = (np.mean([getattr(one, name) for one in slices]) for name in _SHARES)
    is_padding = rim < _LEAST_RIM < air and not any(one.has_lung for one in slices)
    if air < _LEAST_AIR or is_padding:
        return "hold no air and so are no Hounsfield units"
    # By slice: of a series, some may have lost their offset, and padding is no air.
    if any(one.bone > _MOST_BONE and one.lung < _LITTLE_LUNG for one in slices):
        return "hold soft tissue near 1000 and so are no Hounsfield units"
    if below > _MOST_BELOW:
        return "reach far below air and so are no Hounsfield units"
    return ""


class _Levels(NamedTuple):
    """Shares of a slice's values, in 0 to 1.

    Attributes:
        air: Below -300.
        rim: The same without values that many px share, such as padding.
        lung: Of these, those above -990, which air is not.
        below: Of these, those below -1200, without the least.
        bone: Above 700.
        has_lung: Whether many px share a value between lung and air.
    """

    air: float
    rim: float
    lung: float
    below: float
    bone: float
    has_lung: bool

    @classmethod
    def of(cls, values: np.ndarray) -> "_Levels":
        levels, counts = np.unique(values[values < _AIR_HU], return_counts=True)
        is_spike = (counts > _SPIKE * values.size) & (counts > _SPIKE_PX)
        lone = ~is_spike
        is_below = lone & (levels < _BELOW_AIR_HU) & (levels > values.min())
        return cls(
            air=counts.sum() / values.size,
            rim=counts[lone].sum() / values.size,
            lung=counts[lone & (levels > _AIR_TOP_HU)].sum() / values.size,
            below=counts[is_below].sum() / values.size,
            bone=np.count_nonzero(values > _BONE_HU) / values.size,
            has_lung=bool((is_spike & (levels > _AIR_TOP_HU)).any()),
        )

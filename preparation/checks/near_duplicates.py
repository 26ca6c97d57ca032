"""Slices that show the same: found by a perceptual hash, confirmed by aligned thumbnails.

The hash holds the signs of the 255 lowest cosine frequencies of a slice. Pairs whose hashes differ
in few bits are compared as thumbnails without their coarse shading, at the best shift of up to
3 px, by normalised correlation. All eight flips and quarter turns are tried, as data sets differ in
their orientation. Thresholds were set on the slices of ten real patients (777 of every second
slice, 256 px) and of 60 synthetic ones (1,520): the highest correlation between two patients was
0.59 and 0.80; a slice saved as JPEG of quality 50, resized to 0.9 or 0.5, brightened by a fifth,
windowed anew, or shifted by 2 px keeps at least 0.89. One that is turned by 2 degrees or cropped by
2 % on every side may pass unseen.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from preparation.checks.positions import NUM_TURNS, turn

THUMBNAIL_SIDE = 64
_HASH_SIDE = 16  # cosine frequencies per axis
_MAX_BITS = 64  # of 255 that may differ in a candidate
_MIN_COARSE = 0.7  # correlation at 32 px that a candidate needs to be looked at closely
_MIN_MATCH = 0.85
_MIN_WHOLE_PX = 0.6  # at whole px of shift; half px add no more than the rest
_MAX_SHIFT = 3
_DETAIL = 2.0  # standard deviation of the shading that is taken away, px of a thumbnail
_BLOCK = 1024  # rows of the table of all pairs at a time: 4 MiB per 1,000 slices


def make_thumbnail(image: np.ndarray) -> np.ndarray:
    """A slice in small.

    Args:
        image: (H, W) uint8 or uint16.

    Returns:
        (64, 64) uint8, its grey levels stretched to 0..255; all 0 for a constant image.
    """
    side = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    small = cv2.resize(image, side, interpolation=cv2.INTER_AREA).astype(np.float32)
    low, high = small.min(), small.max()
    return np.rint((small - low) * (255 / max(high - low, 1e-6))).astype(np.uint8)


def find_near_duplicates(thumbnails: np.ndarray, *keys: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of slices that show the same, and differ in every key.

    Args:
        thumbnails: (n, 64, 64) uint8 by make_thumbnail; a constant one is like no other.
        keys: Of every slice, such as its patient; pairs with an equal key are of no interest.

    Returns:
        Pairs (i, j) with i < j, sorted.
    """
    signs, coarse = _hashes(thumbnails)
    codes = [np.unique(np.asarray(key), return_inverse=True)[1] for key in keys]
    is_flat = thumbnails.max((1, 2)) == 0
    pairs = set()
    for number in range(NUM_TURNS):
        turned_signs, turned = _turn_signs(signs, number), turn(coarse, number)
        for first, second in _close_hashes(signs, turned_signs):
            wanted = ~is_flat[first] & ~is_flat[second]
            for code in codes:
                wanted &= code[first] != code[second]
            first, second = first[wanted], second[wanted]
            alike = np.einsum("nij,nij->n", coarse[first], turned[second]) >= _MIN_COARSE
            for i, j in zip(first[alike].tolist(), second[alike].tolist(), strict=True):
                if (i, j) not in pairs and _match(thumbnails[i], turn(thumbnails[j], number)):
                    pairs.add((i, j))
    return sorted(pairs)


def _hashes(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signs of the low cosine frequencies, and what is left without coarse shading.

    Returns:
        (n, 16, 16) float32 of -1, 0 (the constant part) and 1, and (n, 32, 32) float32 of length 1.
    """
    side = THUMBNAIL_SIDE // 2
    small = thumbnails.reshape(-1, side, 2, side, 2).mean((2, 4), dtype=np.float32)
    places = (np.arange(side) + 0.5) * np.pi / side
    cosines = np.cos(np.arange(_HASH_SIDE)[:, None] * places).astype(np.float32)
    signs = np.where(cosines @ small @ cosines.T > 0, np.float32(1), np.float32(-1))
    signs[:, 0, 0] = 0
    detail = np.stack([_detail(item) for item in small]) if len(small) else small
    length = np.sqrt((detail**2).sum((1, 2), keepdims=True))
    return signs, detail / np.maximum(length, 1e-6)


def _close_hashes(signs: np.ndarray, turned: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices i < j of pairs whose hashes differ in few bits, block by block."""
    rows, columns = (item.reshape(len(item), _HASH_SIDE**2) for item in (signs, turned))
    least = _HASH_SIDE**2 - 1 - 2 * _MAX_BITS  # a product of signs counts equal minus unequal
    for start in range(0, len(rows), _BLOCK):
        products = rows[start : start + _BLOCK] @ columns[start:].T
        first, second = np.nonzero(products >= least)
        later = second > first
        yield first[later] + start, second[later] + start


def _turn_signs(signs: np.ndarray, number: int) -> np.ndarray:
    """The hashes of turned images: a flip turns the sign of every odd frequency."""
    if number & 4:
        signs = signs.swapaxes(-1, -2)
    odd = np.where(np.arange(_HASH_SIDE) % 2, np.float32(-1), np.float32(1))
    signs = signs * odd[:, None] if number & 2 else signs
    return signs * odd if number & 1 else signs


def _detail(image: np.ndarray) -> np.ndarray:
    """An image without its coarse shading, which is the same in every chest."""
    image = image.astype(np.float32)
    return image - cv2.GaussianBlur(image, (0, 0), _DETAIL)


def _match(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two thumbnails show the same at some shift, in steps of half a px."""
    whole, moved = _detail(first), _detail(second)
    best = _correlation(whole, moved)
    if not _MIN_WHOLE_PX <= best < _MIN_MATCH:
        return bool(best >= _MIN_MATCH)
    for right, down in ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5)):
        shift = np.array([[1, 0, right], [0, 1, down]], np.float32)
        shifted = cv2.warpAffine(
            moved, shift, moved.shape, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        if _correlation(whole, shifted) >= _MIN_MATCH:
            return True
    return False


def _correlation(whole: np.ndarray, moved: np.ndarray) -> float:
    """The highest normalised correlation over shifts of whole px."""
    inner = slice(_MAX_SHIFT, -_MAX_SHIFT)
    return float(cv2.matchTemplate(whole, moved[inner, inner], cv2.TM_CCOEFF_NORMED).max())

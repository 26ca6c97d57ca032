"""Slices through a predictor, read ahead while it works: grey levels in, probabilities out."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from datasets.crop import Box
from datasets.transforms import SliceTransform
from inference.predictors import Heads, Predictor, predict_heads
from training.prediction import resize_prob, resize_probs
from utils.errors import UserError

_NUM_READERS = 2  # one alone would wait for the disk
_BATCHES_AHEAD = 2

ReadSlice = Callable[[], np.ndarray]
ReadLungs = Callable[[int], np.ndarray]


class PredictedSlice(NamedTuple):
    """What a predictor makes of a slice, at the slice's own size.

    Attributes:
        index: Of the slice among those that were asked for.
        gray: (H, W) grey levels, as read.
        prob: (K, H, W) float32 in [0, 1].
        lung: (H, W) float32 probability of lung; None of a network without a lung head.
    """

    index: int
    gray: np.ndarray
    prob: np.ndarray
    lung: np.ndarray | None = None

    def lesion_prob(self) -> np.ndarray:
        """(H, W) probability of lesion, of any class."""
        return self.prob[0] if len(self.prob) == 1 else 1 - self.prob[0]

    def label(self, threshold: float) -> np.ndarray:
        """(H, W) uint8: 1 from the threshold on; the likeliest class where there are several."""
        if len(self.prob) == 1:
            return (self.prob[0] >= threshold).astype(np.uint8)
        return self.prob.argmax(0).astype(np.uint8)


class _ReadSlice(NamedTuple):
    """A slice that waits for the predictor: as read (H, W), and as its input (1, h, w).

    The box is what was cut out of it, None without a crop.
    """

    index: int
    gray: np.ndarray
    image: Tensor
    box: Box | None


def predict_slices(
    predictor: Predictor,
    reads: Iterable[ReadSlice],
    batch_size: int,
    on_error: Callable[[int, UserError], None] | None = None,
    transform: SliceTransform | None = None,
    read_lungs: ReadLungs | None = None,
    *,
    mirrors_every_second: bool = False,
) -> Iterator[PredictedSlice]:
    """Predict slices in their order, batch by batch.

    Slices are cropped, resized, z-scored and their probabilities resized back just as test.py does
    it. No more than a few batches are in memory, however many slices there are.

    Args:
        predictor: From grey levels to probabilities.
        reads: Gives a slice each, (H, W) uint8 or uint16 grey levels; called in threads.
        batch_size: Slices per call of the predictor.
        on_error: Told of a slice that cannot be read, which is then left out; None raises.
        transform: How the network sees a slice; None: resized and z-scored.
        read_lungs: Gives the lungs (H, W) of a slice by its index, where that is the crop.
        mirrors_every_second: The network sees slices of odd index left for right, and their
            probabilities are turned back.

    Raises:
        UserError: A slice cannot be read.
    """
    transform = transform or SliceTransform(predictor.image_size)
    jobs = (partial(_prepare, i, read, transform, read_lungs) for i, read in enumerate(reads))
    slices = _read_ahead(jobs, batch_size * _BATCHES_AHEAD, on_error)
    try:
        while batch := list(islice(slices, batch_size)):
            images = torch.stack([item.image for item in batch])
            odd = [mirrors_every_second and item.index % 2 == 1 for item in batch]
            probs, lungs = _predict_mirrored(predictor, images, torch.tensor(odd))
            for place, item in enumerate(batch):
                size, box = item.gray.shape, item.box
                prob = resize_probs(probs[place], size, box).cpu().numpy()
                lung = None
                if lungs is not None:
                    lung = resize_prob(lungs[place, 0], size, box).cpu().numpy()
                yield PredictedSlice(item.index, item.gray, prob, lung)
    finally:
        slices.close()


def _predict_mirrored(predictor: Predictor, images: Tensor, is_mirrored: Tensor) -> Heads:
    """What a predictor knows of a batch (B, 1, h, w), some of which (B,) it sees left for right."""
    if not is_mirrored.any():
        return predict_heads(predictor, images)

    def mirror(maps: Tensor) -> Tensor:
        return torch.where(is_mirrored.to(maps.device)[:, None, None, None], maps.flip(-1), maps)

    heads = predict_heads(predictor, mirror(images))
    return Heads(mirror(heads.prob), None if heads.lung is None else mirror(heads.lung))


def _read_ahead(
    jobs: Iterable[Callable[[], _ReadSlice]],
    num_ahead: int,
    on_error: Callable[[int, UserError], None] | None,
) -> Iterator[_ReadSlice]:
    """The slices that can be read, in their order, some of them before they are asked for."""
    pool = ThreadPoolExecutor(_NUM_READERS, thread_name_prefix="read")
    pending: deque[tuple[int, Future]] = deque()
    numbered = enumerate(jobs)
    try:
        while True:
            for index, job in islice(numbered, num_ahead - len(pending)):
                pending.append((index, pool.submit(job)))
            if not pending:
                return
            index, future = pending.popleft()
            try:
                item = future.result()
            except UserError as error:
                if on_error is None:
                    raise
                on_error(index, error)
            else:
                yield item
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(
    index: int, read: ReadSlice, transform: SliceTransform, read_lungs: ReadLungs | None
) -> _ReadSlice:
    """A slice as read, and as the network sees it."""
    gray = read()
    box = transform.find_box(gray, read_lungs(index) if read_lungs else None)
    levels = gray if box is None else box.of(gray)
    image = torch.from_numpy(levels.astype(np.float32))[None]
    image, _ = transform(image, torch.empty(0, *levels.shape, dtype=torch.uint8))
    return _ReadSlice(index, gray, image, box)


def to_levels(prob: np.ndarray) -> np.ndarray:
    """Probabilities as uint8, 255 being 1; rounded half up, as the maps of test.py are."""
    levels = prob.astype(np.float64)
    levels *= 255
    levels += 0.5
    return levels.astype(np.uint8)  # without its fraction

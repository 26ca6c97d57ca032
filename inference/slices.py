"""Slices through a predictor, read ahead while it works: grey levels in, probabilities out."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from datasets.transforms import SliceTransform
from inference.predictors import Predictor, predict_heads
from training.prediction import resize_prob
from utils.errors import UserError

_NUM_READERS = 2  # one alone would wait for the disk
_BATCHES_AHEAD = 2

ReadSlice = Callable[[], np.ndarray]


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
    """A slice that waits for the predictor: as read (H, W), and as its input (1, h, w)."""

    index: int
    gray: np.ndarray
    image: Tensor


def predict_slices(
    predictor: Predictor,
    reads: Iterable[ReadSlice],
    batch_size: int,
    on_error: Callable[[int, UserError], None] | None = None,
) -> Iterator[PredictedSlice]:
    """Predict slices in their order, batch by batch.

    Slices are resized, z-scored and their probabilities resized back just as test.py does it. No
    more than a few batches are in memory, however many slices there are.

    Args:
        predictor: From grey levels to probabilities.
        reads: Gives a slice each, (H, W) uint8 or uint16 grey levels; called in threads.
        batch_size: Slices per call of the predictor.
        on_error: Told of a slice that cannot be read, which is then left out; None raises.

    Raises:
        UserError: A slice cannot be read.
    """
    transform = SliceTransform(predictor.image_size)
    slices = _read_ahead(reads, transform, batch_size * _BATCHES_AHEAD, on_error)
    try:
        while batch := list(islice(slices, batch_size)):
            probs, lungs = predict_heads(predictor, torch.stack([item.image for item in batch]))
            for place, item in enumerate(batch):
                prob = _at_size(probs[place], item.gray)
                lung = None if lungs is None else _at_size(lungs[place], item.gray)[0]
                yield PredictedSlice(item.index, item.gray, prob, lung)
    finally:
        slices.close()


def _at_size(prob: Tensor, gray: np.ndarray) -> np.ndarray:
    """Channels (K, h, w) at the size of a slice."""
    return torch.stack([resize_prob(channel, gray.shape) for channel in prob]).cpu().numpy()


def _read_ahead(
    reads: Iterable[ReadSlice],
    transform: SliceTransform,
    num_ahead: int,
    on_error: Callable[[int, UserError], None] | None,
) -> Iterator[_ReadSlice]:
    """The slices that can be read, in their order, some of them before they are asked for."""
    pool = ThreadPoolExecutor(_NUM_READERS, thread_name_prefix="read")
    pending: deque[tuple[int, Future]] = deque()
    jobs = enumerate(reads)
    try:
        while True:
            for index, read in islice(jobs, num_ahead - len(pending)):
                pending.append((index, pool.submit(_prepare, read, transform)))
            if not pending:
                return
            index, future = pending.popleft()
            try:
                gray, image = future.result()
            except UserError as error:
                if on_error is None:
                    raise
                on_error(index, error)
            else:
                yield _ReadSlice(index, gray, image)
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(read: ReadSlice, transform: SliceTransform) -> tuple[np.ndarray, Tensor]:
    """A slice as read (H, W), and as the network sees it (1, h, w)."""
    gray = read()
    image = torch.from_numpy(gray.astype(np.float32))[None]
    return gray, transform(image, torch.empty(0, *gray.shape, dtype=torch.uint8))[0]


def to_levels(prob: np.ndarray) -> np.ndarray:
    """Probabilities as uint8, 255 being 1; rounded half up, as the maps of test.py are."""
    return np.floor(255 * prob.astype(np.float64) + 0.5).astype(np.uint8)

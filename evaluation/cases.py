"""Cases to score: the predictions of a network, slice by slice, at the size of a protocol."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from datasets.batches import SliceKey, create_loader
from training.data import Split, build_dataset
from training.prediction import check_prediction, logits_to_prob, predict, resize_prob
from training.runtime import Runtime
from utils.config import Config


class Case(NamedTuple):
    """One slice, predicted.

    Attributes:
        name: File stem.
        patient: The patient whom the slice belongs to.
        image: (H, W) grey levels, for pictures.
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool.
        spacing: Height and width of a px in mm, None where unknown.
        lung: Probabilities and mask of the lung, as prob and target; None where the network has no
            trained lung head, or the slice no lung mask.
    """

    name: str
    patient: str
    image: NDArray[Any]
    prob: NDArray[np.floating]
    target: NDArray[np.bool_]
    spacing: tuple[float, float] | None
    lung: tuple[NDArray[np.floating], NDArray[np.bool_]] | None = None


class CaseSource(Protocol):
    """Where cases come from, over and over again.

    Attributes:
        has_spacing: Whether every case has a spacing.
    """

    has_spacing: bool

    def __len__(self) -> int: ...

    def cases(self, indices: Sequence[int] | None = None) -> Iterator[Case]:
        """The cases in their order; all of them, or those of the indices."""
        ...


class NetworkCases:
    """A network's predictions on a split.

    Args:
        network: Prepared by the runtime.
        split: Which slices.
        config: How slices are read and batched.
        runtime: Device, precision, memory format.
        at_network_size: Image and target as the network sees them (the mask resized by nearest
            neighbour); else as stored, the probabilities resized to them bilinearly.
        scores_lung: Whether the network has a trained lung head, whose maps come along.
    """

    def __init__(
        self,
        network: nn.Module,
        split: Split,
        config: Config,
        runtime: Runtime,
        at_network_size: bool,
        scores_lung: bool = False,
    ) -> None:
        self.network, self.split, self.config, self.runtime = network, split, config, runtime
        self.at_network_size = at_network_size
        self.scores_lung = scores_lung
        self.has_spacing = all(files.spacing is not None for files in split.slices)

    def __len__(self) -> int:
        return len(self.split.slices)

    @torch.no_grad()
    def cases(self, indices: Sequence[int] | None = None) -> Iterator[Case]:
        """Predict slices, batch by batch; all of them, or those of the indices.

        Raises:
            NonFiniteError: A prediction holds NaN; names the slice.
        """
        keys = [SliceKey(i) for i in (range(len(self)) if indices is None else indices)]
        size = self.config.evaluation.batch_size
        dataset = build_dataset(self.config.data, self.split, augment=False)
        batches = create_loader(
            dataset,
            [keys[start : start + size] for start in range(0, len(keys), size)],
            num_workers=self.config.data.num_workers if indices is None else 0,
            pin_memory=self.runtime.device.type == "cuda",
        )
        order = iter(keys)
        for batch, output in predict(self.network, batches, self.runtime):
            for place, prob in enumerate(logits_to_prob(output.mask)[:, 0]):
                index = next(order).index
                if self.at_network_size:
                    image = batch["image"][place, 0].cpu().numpy()
                    target = batch["mask"][place, 0].cpu().numpy() > 0.5
                else:
                    image, target = dataset.original(index)
                files = self.split.slices[index]
                prob = _as_scored(prob, target.shape, files.name)
                lung = None
                if self.scores_lung and files.lung is not None:
                    lung_target = (
                        batch["lung"][place, 0].cpu().numpy() > 0.5
                        if self.at_network_size
                        else dataset.original_lung(index)
                    )
                    lung_prob = logits_to_prob(output.lung[place : place + 1])[0, 0]
                    lung = _as_scored(lung_prob, target.shape, files.name), lung_target
                yield Case(files.name, files.patient, image, prob, target, files.spacing, lung)


def _as_scored(prob: Tensor, size: tuple[int, ...], name: str) -> NDArray[np.floating]:
    """A predicted map at the size at which it is scored, without NaN."""
    values = resize_prob(prob, size).cpu().numpy()
    check_prediction(values, name)
    return values

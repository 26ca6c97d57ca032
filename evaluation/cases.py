"""Cases to score: the predictions of a network, slice by slice, at the size of a protocol."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

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
    """

    name: str
    patient: str
    image: NDArray[Any]
    prob: NDArray[np.floating]
    target: NDArray[np.bool_]
    spacing: tuple[float, float] | None


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
    """

    def __init__(
        self,
        network: nn.Module,
        split: Split,
        config: Config,
        runtime: Runtime,
        at_network_size: bool,
    ) -> None:
        self.network, self.split, self.config, self.runtime = network, split, config, runtime
        self.at_network_size = at_network_size
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
                    prob = resize_prob(prob, target.shape)
                files = self.split.slices[index]
                prob = prob.cpu().numpy()
                check_prediction(prob, files.name)
                yield Case(files.name, files.patient, image, prob, target, files.spacing)

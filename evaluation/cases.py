"""Cases to score: the predictions of a network, slice by slice, at the size of a protocol."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from datasets.batches import SliceKey, create_loader
from datasets.pairing import SliceFiles
from datasets.scans import find_scans
from training.data import build_dataset
from training.prediction import (
    boxes_of,
    check_prediction,
    drop_small_lesions,
    lesion_prob,
    logits_to_prob,
    predict,
    resize_prob,
    resize_probs,
)
from training.runtime import Runtime
from training.split import Split
from utils.config import Config
from utils.errors import UserError


class ScanPlace(NamedTuple):
    """The scan that a slice is of.

    Attributes:
        name: Of the scan; its slices come one after the other, from one end to the other.
        distance: Of its slices, mm; None where unknown.
    """

    name: str
    distance: float | None


class Case(NamedTuple):
    """One slice, predicted.

    Attributes:
        name: File stem.
        patient: The patient whom the slice belongs to.
        image: (H, W) grey levels, for pictures.
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool.
        spacing: Height and width of a px in mm, None where unknown.
        class_prob: (K, H, W) float32, of every class, background first; None without classes.
        label: (H, W) uint8, the target's classes, 0 background; None without classes.
        lung: Probabilities and mask of the lung, as prob and target; None where the network has no
            trained lung head, or the slice no lung mask.
        scan: Of a slice of a volume that is scored as a whole, too; None of any other.
    """

    name: str
    patient: str
    image: NDArray[Any]
    prob: NDArray[np.floating]
    target: NDArray[np.bool_]
    spacing: tuple[float, float] | None
    class_prob: NDArray[np.floating] | None = None
    label: NDArray[np.uint8] | None = None
    lung: tuple[NDArray[np.floating], NDArray[np.bool_]] | None = None
    scan: ScanPlace | None = None


class CaseSource(Protocol):
    """Where cases come from, over and over again.

    Attributes:
        has_spacing: Whether every case has a spacing.
        has_scans: Whether the cases are slices of whole scans, see Case.scan.
        classes: Value in the class maps by name, of the classes that are told apart; often none.
    """

    has_spacing: bool
    has_scans: bool
    classes: Mapping[str, int]

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

    Raises:
        UserError: The network does not see whole slices, and would be scored at its size.
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
        if config.data.crop and at_network_size:
            raise UserError(
                "--protocol: this one scores what the network sees, which data.crop="
                f"{config.data.crop} cuts out of the slices; take native or infnet"
            )
        self.network, self.split, self.config, self.runtime = network, split, config, runtime
        self.at_network_size = at_network_size
        self.scores_lung = scores_lung
        encoding = split.inspection.encoding
        self.classes = dict(zip(encoding.classes, encoding.lesion_values, strict=False))
        self.has_spacing = all(files.spacing is not None for files in split.slices)
        self._places = find_places(split.slices)
        self.has_scans = bool(self._places)

    def __len__(self) -> int:
        return len(self.split.slices)

    @torch.no_grad()
    def cases(self, indices: Sequence[int] | None = None) -> Iterator[Case]:
        """Predict slices, batch by batch; all of them, or those of the indices.

        Raises:
            NonFiniteError: A prediction holds NaN; names the slice.
        """
        keys = [SliceKey(i) for i in (range(len(self)) if indices is None else indices)]
        settings = self.config.evaluation
        size = settings.batch_size
        dataset = build_dataset(self.config.data, self.split, augment=False)
        batches = create_loader(
            dataset,
            [keys[start : start + size] for start in range(0, len(keys), size)],
            num_workers=self.config.data.num_workers if indices is None else 0,
            pin_memory=self.runtime.device.type == "cuda",
        )
        order = iter(keys)
        for batch, output in predict(self.network, batches, self.runtime):
            boxes = boxes_of(batch)
            for place, probs in enumerate(logits_to_prob(output.mask)):
                box = None if self.at_network_size else boxes[place]
                index = next(order).index
                probs = drop_small_lesions(probs, settings.threshold, settings.min_lesion_size)
                if self.at_network_size:
                    image = batch["image"][place, 0].cpu().numpy()
                    label = (batch["label"] if self.classes else batch["mask"][:, 0])[place]
                    label = label.cpu().numpy().astype(np.uint8)
                else:
                    image, label = dataset.original_label(index)
                    probs = resize_probs(probs, label.shape, box)
                case = self._case(index, image, probs, label)
                if self.scores_lung and self.split.slices[index].lung is not None:
                    target = batch["lung"][place, 0].cpu().numpy() > 0.5
                    if not self.at_network_size:
                        target = dataset.original_lung(index)
                    lung = logits_to_prob(output.lung[place : place + 1])[0, 0]
                    lung = resize_prob(lung, target.shape, box).cpu().numpy()
                    check_prediction(lung, case.name)
                    case = case._replace(lung=(lung, target))
                yield case

    def _case(
        self, index: int, image: NDArray[Any], probs: Tensor, label: NDArray[np.uint8]
    ) -> Case:
        """A case of probabilities (K, H, W) and its target's classes."""
        files = self.split.slices[index]
        prob = lesion_prob(probs[None])[0, 0].cpu().numpy()
        check_prediction(prob, files.name)
        case = Case(files.name, files.patient, image, prob, label > 0, files.spacing)
        case = case._replace(scan=self._places.get(files.name))
        if not self.classes:
            return case
        return case._replace(class_prob=probs.cpu().numpy(), label=label)


def find_places(slices: Sequence[SliceFiles]) -> dict[str, ScanPlace]:
    """The scan of every slice by name; {} unless all are of whole ones and come in their order."""
    scans, _ = find_scans(slices)
    in_order = [files for scan in scans for files in scan.slices]
    if in_order != list(slices):
        return {}
    return {
        files.name: ScanPlace(scan.name, scan.distance) for scan in scans for files in scan.slices
    }

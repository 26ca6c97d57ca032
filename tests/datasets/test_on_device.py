"""Slices finished on a device are those that the loader's own processes finish."""

from pathlib import Path

import pytest
import torch

from datasets.batches import SeededBatches, create_loader
from datasets.inspection import inspect_slices
from datasets.pairing import SliceFiles, find_slices
from datasets.slices import OnDevice, SliceDataset
from datasets.transforms import Augmentation, SliceTransform
from tests.datasets.drawn_slices import STRONGEST
from utils.contracts import Batch

CPU = torch.device("cpu")
WAYS = {
    "none": None,
    "flip": Augmentation(horizontal_flip=0.5),
    "affine": Augmentation(rotation=20, scale=0.1),
    "all": STRONGEST,
}


def load(
    slices: list[SliceFiles],
    augmentation: Augmentation | None,
    device: torch.device | None,
    num_workers: int = 0,
) -> list[Batch]:
    """Two epochs, finished on the device; None finishes them in the loader."""
    encoding, transform = inspect_slices(slices).encoding, SliceTransform((48, 32), augmentation)
    dataset = SliceDataset(slices, encoding, transform, 3, is_finished=device is None)
    batches = SeededBatches(len(slices), 4, seed=5)
    loader = create_loader(dataset, batches, num_workers=num_workers)
    if device is not None:
        loader = OnDevice(loader, transform, 3, device)
    loaded = []
    for epoch in (1, 2):
        batches.set_epoch(epoch)
        loaded += list(loader)
    return loaded


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("augmentation", WAYS.values(), ids=WAYS)
def test_both_ways_are_bit_identical_on_a_cpu(
    augmentation: Augmentation | None, num_workers: int, mixed_slices: list[SliceFiles]
) -> None:
    # The slices have and lack edges and lungs, within one batch.
    in_loader = load(mixed_slices, augmentation, None)
    on_device = load(mixed_slices, augmentation, CPU, num_workers)
    assert len(in_loader) == len(on_device) == 4
    for one, other in zip(in_loader, on_device, strict=True):
        assert one.keys() == other.keys() == Batch.__required_keys__
        for key, value in one.items():
            if torch.is_tensor(value):
                assert value.dtype == other[key].dtype
                assert torch.equal(value, other[key]), key
            else:
                assert value == other[key]


def test_finishing_leaves_the_global_generator_alone(mixed_slices: list[SliceFiles]) -> None:
    state = torch.get_rng_state()
    load(mixed_slices, STRONGEST, CPU)
    assert torch.equal(state, torch.get_rng_state())


def test_its_length_is_what_is_left_of_the_epoch(data_root: Path) -> None:
    slices = find_slices(data_root, "train")
    transform = SliceTransform((32, 32), STRONGEST)
    dataset = SliceDataset(slices, inspect_slices(slices).encoding, transform, 2, is_finished=False)
    batches = SeededBatches(len(slices), 3, seed=5)
    loader = OnDevice(create_loader(dataset, batches, num_workers=0), transform, 2, CPU)
    batches.set_epoch(1)
    whole = list(loader)
    assert len(loader) == len(whole) == 3
    batches.set_epoch(1, first_step=2)
    assert len(loader) == 1
    (last,) = loader
    assert torch.equal(last["image"], whole[2]["image"])


def test_a_padding_slice_stays_one(data_root: Path) -> None:
    slices = find_slices(data_root, "train")[:5]
    transform = SliceTransform((32, 32))
    dataset = SliceDataset(slices, inspect_slices(slices).encoding, transform, 2, is_finished=False)
    batches = SeededBatches(5, 3, seed=2, rank=2, world_size=3)
    loader = OnDevice(create_loader(dataset, batches, num_workers=0), transform, 2, CPU)
    assert [batch["is_padding"].tolist() for batch in loader] == [[False], [True]]


@pytest.mark.gpu
@pytest.mark.parametrize("augmentation", WAYS.values(), ids=WAYS)
def test_a_gpu_finishes_slices_as_a_cpu_does(
    augmentation: Augmentation | None, mixed_slices: list[SliceFiles]
) -> None:
    state = torch.cuda.get_rng_state()
    in_loader = load(mixed_slices, augmentation, None)
    on_device = load(mixed_slices, augmentation, torch.device("cuda"))
    assert torch.equal(state, torch.cuda.get_rng_state())
    for one, other in zip(in_loader, on_device, strict=True):
        for key in ("image", "mask", "edge", "lung"):
            assert other[key].device.type == "cuda"
            # A pixel on the rim of a rotated mask may round to its neighbour.
            differs = (one[key] - other[key].cpu()).abs() > 1e-3
            assert differs.float().mean() < 0.01, key
        for key in ("has_lung", "is_padding"):
            assert torch.equal(one[key], other[key].cpu())
        assert (one["name"], one["patient"]) == (other["name"], other["patient"])

"""Loaders of a configuration, for one process and for several."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch
from torch import multiprocessing

from datasets.slices import OnDevice
from training.data import build_evaluation_loader, build_training_data
from training.distributed import World, join_world, leave_world
from training.runtime import create_runtime
from training.split import open_split
from utils.config import Config
from utils.config_loader import load_config
from utils.errors import UserError

CPU = create_runtime("cpu", "fp32", channels_last=True)


@pytest.fixture
def configure(data_root: Path) -> Callable[..., Config]:
    """A configuration of the small data set, with keys set."""

    def create(*settings: str) -> Config:
        common = (f"data.root={data_root}", "data.image_size=32", "data.num_workers=0")
        return load_config(overrides=[*common, "training.batch_size=3", *settings])

    return create


def names_of(batches) -> list[str]:
    return [name for batch in batches for name in batch["name"]]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_processes_share_an_epoch_and_an_evaluation(
    size: int, configure: Callable[..., Config]
) -> None:
    config = configure("evaluation.batch_size=1")
    split = open_split(config.data, "val")
    whole = names_of(build_evaluation_loader(config, split, CPU))
    shares = [
        names_of(build_evaluation_loader(config, split, CPU, World(rank=rank, size=size)))
        for rank in range(size)
    ]
    assert whole == [entry.name for entry in split.slices]
    assert shares == [whole[rank::size] for rank in range(size)]


def test_a_batch_smaller_than_the_job_is_refused(configure: Callable[..., Config]) -> None:
    with pytest.raises(UserError, match=r"^training\.batch_size: 3 slices .* by 4 processes; set"):
        build_training_data(configure(), CPU, World(rank=1, size=4))


def test_only_the_main_process_speaks(
    configure: Callable[..., Config], data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_root / ".cache").mkdir()
    build_training_data(configure(), CPU, World(rank=1))
    assert capsys.readouterr().out == ""
    build_training_data(configure(), CPU)
    train, val = capsys.readouterr().out.splitlines()
    assert train.startswith("train: 8 slices")
    assert train.endswith(", 8 cached")
    assert val.startswith("val: 4 slices")
    build_training_data(configure("data.cache_mib=0"), CPU)
    assert "cached" not in capsys.readouterr().out


@pytest.mark.parametrize("on_device", ["true", "false"])
@pytest.mark.parametrize("cache_mib", [0, 1])
def test_neither_cache_nor_place_of_augmentation_changes_a_batch(
    on_device: str, cache_mib: int, configure: Callable[..., Config]
) -> None:
    augmentation = ("data.augmentation.rotation=20", "data.augmentation.noise=0.1")
    settings = (f"data.augment_on_device={on_device}", f"data.cache_mib={cache_mib}")
    plain = build_training_data(configure(*augmentation, "data.cache_mib=0"), CPU)
    other = build_training_data(configure(*augmentation, *settings), CPU)
    assert isinstance(other.train, OnDevice) == (on_device == "true")
    for data in (plain, other):
        data.batches.set_epoch(3)
    for kind in ("train", "val", "pictures"):
        pairs = zip(getattr(plain, kind), getattr(other, kind), strict=True)
        for one, another in pairs:
            assert one["name"] == another["name"]
            for key in ("image", "mask", "edge", "lung", "has_lung", "is_padding"):
                assert torch.equal(one[key], another[key]), key


def test_pictures_are_one_batch_of_slices_with_lesion(configure: Callable[..., Config]) -> None:
    data = build_training_data(configure("logging.num_images=2"), CPU)
    (batch,) = data.pictures
    assert len(batch["name"]) == 2
    assert batch["mask"].flatten(1).any(1).all()


def _train_in_a_job(rank: int, config: Config, port: int, folder: str) -> None:
    """One of two processes: note what was decoded, and the slices of an epoch."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    decode, decoded = cv2.imdecode, []
    cv2.imdecode = lambda *arguments: decoded.append(1) or decode(*arguments)
    world = join_world(use_cuda=False)
    data = build_training_data(config, CPU, world)
    data.batches.set_epoch(1)
    batches = [batch["name"] for batch in data.train]
    torch.save([len(decoded), batches, names_of(data.val)], f"{folder}/{rank}.pt")
    leave_world()


@pytest.mark.slow
def test_one_process_of_a_machine_decodes_for_all(
    configure: Callable[..., Config], tmp_path: Path
) -> None:
    config = configure()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_train_in_a_job, (config, port, str(tmp_path)), nprocs=2)
    (first, *shares), (second, *others) = (torch.load(tmp_path / f"{r}.pt") for r in range(2))
    assert (first, second) == (2 * (8 + 4), 0)  # image and mask of every slice, by one process
    alone = build_training_data(config, CPU)
    alone.batches.set_epoch(1)
    both = [one + other for one, other in zip(shares[0], others[0], strict=True)]
    assert both == [batch["name"] for batch in alone.train]
    assert sorted(shares[1] + others[1]) == names_of(alone.val)


def test_a_training_set_without_lesion_is_warned_of(
    configure: Callable[..., Config], data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_training_data(configure(), CPU)
    assert capsys.readouterr().err == ""
    for path in (data_root / "train" / "mask").iterdir():
        cv2.imwrite(str(path), 0 * cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    build_training_data(configure(), CPU)
    warning = capsys.readouterr().err
    assert warning.startswith(f"warning: {data_root / 'train'}: no mask shows a lesion")
    assert warning.count("\n") == 1

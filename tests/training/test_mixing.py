"""Training slices of several folders: their shares, their order, and what is refused."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch

from datasets.card import CARD_FILE
from tests.conftest import write_slices
from training.data import build_training_data
from training.mixed_slices import MixedOrder
from training.runtime import create_runtime
from utils.config import Config
from utils.config_loader import load_config
from utils.errors import UserError
from utils.files import write_json

CPU = create_runtime("cpu", "fp32", channels_last=True)
CARD = {"sources": [], "intensity": None, "bits": 8, "labels": {}, "modality": "CT"}
WINDOW = {"unit": "HU", "low": -1250.0, "high": 250.0}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A second folder of 5 training slices, whose masks are 0 and 1 and whose patients differ."""
    write_slices(tmp_path / "raw", "train", 5, seed=9)
    root = tmp_path / "other"
    for kind in ("image", "mask"):
        (root / "train" / kind).mkdir(parents=True)
        for path in (tmp_path / "raw" / "train" / kind).iterdir():
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            name = path.name.replace("train", "other")
            cv2.imwrite(
                str(root / "train" / kind / name), pixels // 255 if kind == "mask" else pixels
            )
    return root


@pytest.fixture
def configure(data_root: Path, other: Path) -> Callable[..., Config]:
    """A configuration of both folders."""

    def create(*settings: str, share: str = "null", lung: str = "null") -> Config:
        extra = f"data.extra=[{{root: {other}, share: {share}, lung: {lung}}}]"
        common = (f"data.root={data_root}", "data.image_size=32", "data.num_workers=0", extra)
        return load_config(overrides=[*common, "training.batch_size=3", *settings])

    return create


def names_of(config: Config, epoch: int = 1, first_step: int = 0) -> list[str]:
    data = build_training_data(config, CPU)
    data.batches.set_epoch(epoch, first_step)
    return [name for batch in data.train for name in batch["name"]]


def origins(names: list[str]) -> Counter:
    return Counter(name[:5] for name in names)


def test_without_a_share_every_slice_comes_once(configure: Callable[..., Config]) -> None:
    names = names_of(configure())
    assert origins(names) == {"train": 8, "other": 5}
    assert len(set(names)) == 13
    assert names != sorted(names)


@pytest.mark.parametrize(("share", "count"), [("0.2", 2), ("0.5", 8), ("0.8", 32)])
def test_a_share_is_that_part_of_every_epoch(
    share: str, count: int, configure: Callable[..., Config]
) -> None:
    # All 8 slices of data.root once; the share s of the epoch is 8 s / (1 - s).
    epochs = [names_of(configure(share=share), epoch) for epoch in (1, 2)]
    for names in epochs:
        assert origins(names) == {"train": 8, "other": count}
        own = Counter(name for name in names if name.startswith("other"))
        assert max(own.values()) - min(own.get(n, 0) for n in _all_others(epochs)) <= 1
    assert epochs[0] != epochs[1]


def _all_others(epochs: list[list[str]]) -> set[str]:
    return {name for names in epochs for name in names if name.startswith("other")}


def test_folders_meet_within_a_batch_and_masks_mean_lesion(
    configure: Callable[..., Config],
) -> None:
    data = build_training_data(configure("training.batch_size=13"), CPU)
    (batch,) = data.train
    assert origins(batch["name"]) == {"train": 8, "other": 5}
    assert batch["mask"].unique().tolist() == [0, 1]  # 0/255 there, 0/1 here
    with_lesion = batch["mask"].flatten(1).any(1)
    assert [n for n, own in zip(batch["name"], with_lesion, strict=True) if not own] == [
        name for name in batch["name"] if name.endswith(("z007", "other02_z004"))
    ]


def test_a_resumed_epoch_goes_on_with_the_slices_that_are_left(
    configure: Callable[..., Config],
) -> None:
    config = configure(share="0.5")
    assert names_of(config, 3)[6:] == names_of(config, 3, first_step=2)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_augmentation_on_the_device_changes_no_batch(
    num_workers: int, configure: Callable[..., Config]
) -> None:
    settings = ("data.augmentation.rotation=20", f"data.num_workers={num_workers}")
    loaded = [
        list(build_training_data(configure(*settings, f"data.augment_on_device={on}"), CPU).train)
        for on in ("false", "true")
    ]
    for one, two in zip(*loaded, strict=True):
        assert one["name"] == two["name"]
        assert torch.equal(one["image"], two["image"])


def test_without_extra_folders_the_order_is_as_ever() -> None:
    order = MixedOrder([6], [None])
    assert sorted(order(torch.Generator().manual_seed(0))) == list(range(6))
    assert len(MixedOrder([10, 3, 100], [None, None, 0.35])) == 20  # 13 / 0.65
    assert MixedOrder([10, 3, 100], [None, None, 0.35]).counts == [10, 3, 7]


def test_the_mixture_is_printed(
    configure: Callable[..., Config], data_root: Path, other: Path, capsys: pytest.CaptureFixture
) -> None:
    build_training_data(configure(share="0.5"), CPU)
    out = capsys.readouterr().out
    assert f"an epoch: 16 slices, 8 of {data_root}, 8 of {other}" in out
    assert f"{other}, train: 5 slices" in out


def refusal(config: Config) -> str:
    with pytest.raises(UserError) as error:
        build_training_data(config, CPU)
    return str(error.value)


def test_cards_that_disagree_are_refused(
    configure: Callable[..., Config], data_root: Path, other: Path
) -> None:
    write_json(data_root / CARD_FILE, CARD | {"intensity": WINDOW})
    write_json(other / CARD_FILE, CARD | {"intensity": WINDOW | {"low": -160.0}})
    assert "HU -160 to 250" in refusal(configure())
    write_json(other / CARD_FILE, CARD | {"modality": "DX"})
    assert "holds chest X-ray (DX)" in refusal(configure())
    write_json(other / CARD_FILE, CARD | {"labels": {"255": "effusion"}})
    assert "class 255" in refusal(configure("data.classes={ground-glass: 255}"))
    write_json(other / CARD_FILE, CARD)  # nobody knows its window: taken
    build_training_data(configure(), CPU)


def test_patients_of_validation_and_test_are_refused(
    configure: Callable[..., Config], other: Path
) -> None:
    for patient in ("val00", "test01"):
        for kind in ("image", "mask"):
            first = min((other / "train" / kind).iterdir())
            first.rename(first.with_name(f"{patient}_z000.png"))
        assert patient in refusal(configure())
    build_training_data(configure("data.allow_patient_overlap=true"), CPU)


def test_a_folder_that_is_not_there_is_named(
    configure: Callable[..., Config], tmp_path: Path
) -> None:
    assert "nowhere" in refusal(configure(f"data.extra=[{{root: {tmp_path / 'nowhere'}}}]"))
    assert "derived" in refusal(configure(lung="derived"))
    assert "data.guide" in refusal(configure(f"data.guide={tmp_path}"))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("[{root: a, share: 0.5}, {root: b, share: 0.5}]", "below 1"),
        ("[{root: a, share: 0}]", "greater than 0"),
        ("[{share: 0.5}]", "data.extra.root: missing"),
        ("[{root: a, weight: 1}]", "data.extra.weight: unknown key"),
        ("[data/synthetic]", "data.extra"),
    ],
)
def test_settings_that_make_no_sense_are_refused(extra: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_config(overrides=[f"data.extra={extra}"])

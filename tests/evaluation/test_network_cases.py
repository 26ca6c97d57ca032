"""Predictions of a network as cases: sizes, order, spacing, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluation.cases import NetworkCases
from tests.conftest import write_slices
from training.prediction import resize_prob
from training.runtime import create_runtime
from training.split import Split, open_split
from utils.config import Config
from utils.config_loader import load_config
from utils.contracts import SegOutput
from utils.errors import NonFiniteError

CPU = create_runtime("cpu", "fp32", channels_last=False)


class Brightness(nn.Module):
    """Logits that grow with the grey value: the disc of the test slices is brighter."""

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        return SegOutput(mask=4 * image[:, :1] - 2)


def open_slices(root: Path, **keys: object) -> tuple[Config, Split]:
    pairs = {"data.root": root, "data.image_size": 32, "data.num_workers": 0} | keys
    config = load_config(overrides=[f"{key}={value}" for key, value in pairs.items()])
    return config, open_split(config.data, "test")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five slices of 64 x 64 px, the third one cut to 64 x 48 px."""
    write_slices(tmp_path, "test", 5)
    for kind in ("image", "mask"):
        path = str(tmp_path / "test" / kind / "test01_z002.png")
        cv2.imwrite(path, cv2.imread(path, cv2.IMREAD_UNCHANGED)[:, :48])
    return tmp_path


def cases(root: Path, at_network_size: bool, indices: list[int] | None = None, **keys: object):
    config, split = open_slices(root, **keys)
    return list(NetworkCases(Brightness(), split, config, CPU, at_network_size).cases(indices))


def test_at_original_size_targets_and_images_are_as_stored(root: Path) -> None:
    found = cases(root, at_network_size=False)
    assert [case.name for case in found] == [f"test{i // 2:02d}_z{i:03d}" for i in range(5)]
    assert [case.patient for case in found] == ["test00", "test00", "test01", "test01", "test02"]
    assert [case.prob.shape for case in found] == [(64, 64)] * 2 + [(64, 48)] + [(64, 64)] * 2
    for case in found:
        stored = cv2.imread(str(root / "test" / "mask" / f"{case.name}.png"), cv2.IMREAD_UNCHANGED)
        assert (case.target == (stored > 0)).all()
        image = cv2.imread(str(root / "test" / "image" / f"{case.name}.png"), cv2.IMREAD_UNCHANGED)
        assert (case.image == image).all()
    # The map of half the size finds the disc again in its place, but for a rim of one px.
    for case in found[:4]:
        pred = case.prob > 0.5
        dilated = cv2.dilate(case.target.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        assert (case.target & pred).sum() > 0.95 * case.target.sum()
        assert not (pred & ~dilated).any()


def test_at_network_size_all_maps_have_it(root: Path) -> None:
    found = cases(root, at_network_size=True)
    assert {case.prob.shape for case in found} == {(32, 32)}
    assert {case.target.shape for case in found} == {(32, 32)}


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batches_change_nothing(batch_size: int, root: Path) -> None:
    keys = {"evaluation.batch_size": batch_size}
    alone, together = cases(root, False), cases(root, False, **keys)
    for one, other in zip(alone, together, strict=True):
        assert one.name == other.name
        assert (one.prob == other.prob).all()


@pytest.mark.parametrize("at_network_size", [True, False])
def test_some_cases_can_be_had_again(at_network_size: bool, root: Path) -> None:
    whole, some = cases(root, at_network_size), cases(root, at_network_size, [3, 2])
    assert [case.name for case in some] == ["test01_z003", "test01_z002"]
    for case, index in zip(some, (3, 2), strict=True):
        assert (case.prob == whole[index].prob).all()
        assert (case.target == whole[index].target).all()


def test_small_spots_are_left_out_before_anything_is_scored(root: Path) -> None:
    whole = cases(root, at_network_size=False)
    assert all(case.prob.max() > 0.5 for case in whole)
    none = cases(root, at_network_size=False, **{"evaluation.min_lesion_size": 32 * 32})
    assert all(case.prob.max() < 0.5 for case in none)
    some = cases(root, at_network_size=False, **{"evaluation.min_lesion_size": 1})
    assert all((one.prob == two.prob).all() for one, two in zip(whole, some, strict=True))


def test_spacing_is_known_only_where_all_slices_have_it(root: Path) -> None:
    lines = [f"test{i // 2:02d}_z{i:03d}.png,p{i},0.7x0.8" for i in range(5)]
    (root / "manifest.csv").write_text("\n".join(["file,patient,spacing_mm", *lines]))
    config, split = open_slices(root)
    source = NetworkCases(Brightness(), split, config, CPU, at_network_size=False)
    assert source.has_spacing
    assert next(source.cases()).spacing == (0.7, 0.8)
    (root / "manifest.csv").write_text("\n".join(["file,patient,spacing_mm", *lines[1:]]))
    config, split = open_slices(root)
    assert not NetworkCases(Brightness(), split, config, CPU, False).has_spacing


def test_nan_names_its_case(root: Path) -> None:
    class Spoilt(Brightness):
        def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
            logits = super().forward(image).mask
            logits[2:3, :, 5, 5] = float("nan")
            return SegOutput(mask=logits)

    config, split = open_slices(root)
    source = NetworkCases(Spoilt(), split, config, CPU, at_network_size=False)
    with pytest.raises(NonFiniteError, match="case test01_z002"):
        list(source.cases())


def test_probabilities_are_resized_bilinearly_and_stay_probabilities() -> None:
    # Twice as wide: centres lie a quarter px from the old ones, 3/4 a + 1/4 b.
    resized = resize_prob(torch.tensor([[0.0, 1.0]]), (1, 4))
    assert resized.tolist() == [[0.0, 0.25, 0.75, 1.0]]
    rng = np.random.default_rng(0)
    prob = torch.from_numpy(rng.integers(0, 2, (9, 7)).astype(np.float32))
    large = resize_prob(prob, (31, 40))
    assert large.min() >= 0
    assert large.max() <= 1
    assert resize_prob(prob, (9, 7)) is prob

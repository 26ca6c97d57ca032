"""Changes of grey levels and sharpness: within their range, rising, off at 0."""

from dataclasses import fields
from functools import partial

import pytest
import torch
from torch import Tensor

from datasets.appearance import change_appearance
from datasets.transforms import Augmentation, SliceTransform

OFF = dict.fromkeys(("low_resolution", "blur", "curve", "gamma", "window"), 0.0)
OF_LEVELS = {"curve": 0.6, "gamma": 0.8, "window": 0.3}
OF_SHARPNESS = {"low_resolution": 0.6, "blur": 2.0}


def change(levels: Tensor, seed: int, **strengths: float) -> Tensor:
    torch.manual_seed(seed)
    return change_appearance(levels, **OFF | strengths)


def ramp() -> Tensor:
    """Every level from 0 to 255 once."""
    return torch.arange(256.0).reshape(1, 16, 16)


def noise() -> Tensor:
    return torch.rand(1, 40, 32, generator=torch.Generator().manual_seed(1)) * 255


def test_every_strength_is_a_setting_that_is_off() -> None:
    assert set(OFF) == {*OF_LEVELS, *OF_SHARPNESS} <= {f.name for f in fields(Augmentation)}
    assert not any(OFF.values())


def test_off_it_draws_nothing_and_changes_nothing() -> None:
    state = torch.get_rng_state()
    assert change_appearance(noise(), **OFF).equal(noise())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", OF_LEVELS)
def test_contrast_never_falls_and_keeps_the_ends(name: str) -> None:
    changes = []
    for seed in range(12):
        changed = change(ramp(), seed, **{name: OF_LEVELS[name]}).flatten()
        assert (changed.diff() >= -1e-3).all()  # rounding
        assert (changed[0].item(), changed[-1].item()) == pytest.approx((0, 255), abs=1e-3)
        changes.append((changed - ramp().flatten()).abs().max().item())
    assert sorted(changes)[2] > 1  # a small draw may change next to nothing


def test_gamma_draws_exponents_within_its_range() -> None:
    exponents = []
    for seed in range(60):
        middle = change(ramp(), seed, gamma=1.0).flatten()[64] / 255
        exponents.append((middle.log() / torch.tensor(64 / 255).log()).item())
    assert 0.5 <= min(exponents) < 0.55
    assert 1.8 < max(exponents) <= 2


def test_window_cuts_off_up_to_its_part_at_either_end() -> None:
    black, white = [], []
    for seed in range(60):
        changed = change(ramp(), seed, window=0.25).flatten()
        black.append((changed == 0).sum().item())
        white.append((changed == 255).sum().item())
    for counts in (black, white):  # a quarter of 256 levels is 64
        assert min(counts) < 8
        assert 56 < max(counts) <= 65


@pytest.mark.parametrize("name", OF_SHARPNESS)
def test_sharpness_is_lost_and_the_mean_stays(name: str) -> None:
    deviations = []
    for seed in range(12):
        changed = change(noise(), seed, **{name: OF_SHARPNESS[name]})
        assert changed.shape == noise().shape
        deviations.append((changed.std() / noise().std()).item())
        assert changed.mean().item() == pytest.approx(noise().mean().item(), rel=0.03)
    assert max(deviations) <= 1
    assert sorted(deviations)[8] < 0.9  # a small draw may change nothing


def test_a_constant_slice_stays_constant() -> None:
    for levels in (torch.zeros(1, 32, 32), torch.full((1, 32, 32), 7.0)):
        changed = change(levels, 0, **OF_LEVELS, **OF_SHARPNESS)
        assert torch.isfinite(changed).all()
        assert changed.std() < 1e-3


def test_the_changes_outlive_the_z_score_and_leave_masks_alone() -> None:
    masks = (noise() > 128).to(torch.uint8)
    plain, _ = SliceTransform((40, 32))(noise(), masks)
    for name, strength in (OF_LEVELS | OF_SHARPNESS).items():
        torch.manual_seed(5)
        transform = partial(SliceTransform, (40, 32), Augmentation(**{name: strength}))
        image, same = transform()(noise(), masks)
        assert torch.equal(same, masks)
        assert (image - plain).abs().max() > 0.1, name
        assert image.std(correction=0).item() == pytest.approx(1, abs=1e-4)

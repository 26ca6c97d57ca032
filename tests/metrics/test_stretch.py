"""The stretch by minimum and maximum, and the grey levels of an image file."""

import numpy as np
import pytest

from metrics import as_saved, stretch


def test_the_ends_become_0_and_1() -> None:
    # (0.2, 0.3, 0.6) - 0.2 = (0, 0.1, 0.4), over 0.4: (0, 1/4, 1)
    assert stretch(np.array([[0.2, 0.3, 0.6]])) == pytest.approx(np.array([[0, 0.25, 1]]))


@pytest.mark.parametrize("level", [0.0, 0.1, 1.0])
def test_a_constant_map_stays_as_it_is(level: float) -> None:
    assert (stretch(np.full((3, 4), level)) == level).all()


def test_faint_noise_becomes_an_alarm() -> None:
    noise = np.random.default_rng(0).uniform(0, 0.02, (64, 64)).astype(np.float32)
    assert (noise >= 0.5).sum() == 0
    assert 0.45 < (stretch(noise) >= 0.5).mean() < 0.55


def test_a_saved_map_has_256_levels_with_halves_up() -> None:
    prob = np.array([[0.0, 0.49 / 255, 0.5 / 255, 127.5 / 255, 254.4 / 255, 1.0]])
    assert (as_saved(prob) * 255).round(9).tolist() == [[0, 0, 1, 128, 254, 255]]
    assert (as_saved(as_saved(prob)) == as_saved(prob)).all()


def test_float32_is_stretched_in_float64() -> None:
    assert stretch(np.zeros((2, 2), np.float32)).dtype == np.float64
    assert as_saved(np.zeros((2, 2), np.float32)).dtype == np.float64

import random

import numpy as np
import torch

from training.random_state import random_state, restore_random_state, seed_everything


def draw() -> list[float]:
    return [
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.randn(),
        torch.rand(()),
    ]


def test_restored_generators_draw_the_same_numbers() -> None:
    seed_everything(5)
    draw()  # a single Gaussian leaves its twin in the state
    state = random_state()
    expected = draw()
    draw()
    restore_random_state(state)
    assert draw() == expected


def test_a_state_is_loadable_without_running_code(tmp_path) -> None:
    torch.save(random_state(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    expected = draw()
    restore_random_state(state)
    assert draw() == expected


def test_seeding_seeds_every_generator() -> None:
    seed_everything(2**40 + 7)
    first = draw()
    seed_everything(2**40 + 7)
    assert draw() == first

"""Spots of predicted lesion that are too small to count."""

from pathlib import Path

import pytest
import torch
from saved_network import save_network
from torch import Tensor

from inference.model import open_model
from inference.predictors import LargeLesions, Predictor
from training.prediction import drop_small_lesions, resize_prob

SIZE = (12, 16)


def lesions() -> Tensor:
    """(1, 12, 16): a spot of 6 px, one of 4 px that meet at corners, one of 1 px."""
    prob = torch.full((1, *SIZE), 0.2)
    prob[0, 1:3, 1:4] = 0.9
    for step in range(4):
        prob[0, 6 + step, 8 + step] = 0.6
    prob[0, 1, 12] = 0.5  # the threshold belongs to the lesion
    return prob


@pytest.mark.parametrize(("min_size", "kept"), [(0, 11), (1, 11), (2, 10), (4, 10), (5, 6), (7, 0)])
def test_spots_below_the_size_fall_under_the_threshold(min_size: int, kept: int) -> None:
    prob = lesions()
    found = drop_small_lesions(prob, 0.5, min_size)
    assert int((found >= 0.5).sum()) == kept
    changed = found != prob
    assert int(changed.sum()) == 11 - kept
    assert torch.equal(prob, lesions())


def test_small_spots_do_not_come_back_at_another_size() -> None:
    assert (resize_prob(lesions()[0], (31, 45)) >= 0.5).any()
    found = drop_small_lesions(lesions(), 0.5, 7)
    assert not (resize_prob(found[0], (31, 45)) >= 0.5).any()


def test_the_threshold_decides_what_a_spot_is() -> None:
    found = drop_small_lesions(lesions(), 0.7, 7)
    assert found.max() < 0.7
    assert int((found > 0.55).sum()) == 10  # below it all stays


def test_classes_give_their_place_to_the_background() -> None:
    prob = torch.tensor([0.7, 0.2, 0.1])[:, None, None].repeat(1, *SIZE)
    prob[:, 1:4, 1:4] = torch.tensor([0.3, 0.5, 0.2])[:, None, None]
    prob[:, 2, 2] = torch.tensor([0.3, 0.2, 0.5])  # one spot of two classes
    prob[:, 8, 8] = torch.tensor([0.1, 0.3, 0.6])
    found = drop_small_lesions(prob, 0.5, 5)
    assert torch.equal(found[:, 1:4, 1:4], prob[:, 1:4, 1:4])
    torch.testing.assert_close(found[:, 8, 8], torch.tensor([0.6, 0.3, 0.1]))
    torch.testing.assert_close(found.sum(0), torch.ones(SIZE))


class Constant(Predictor):
    """The lesions above, for every slice."""

    image_size, has_lung = SIZE, False

    def predict(self, images: Tensor) -> Tensor:
        return lesions().expand(len(images), -1, -1, -1)


def test_a_predictor_may_do_without_them() -> None:
    images = torch.zeros(2, 1, *SIZE)
    found = LargeLesions(Constant(), 0.5, 5).predict(images)
    assert found.shape == (2, 1, *SIZE)
    assert [int((prob >= 0.5).sum()) for prob in found] == [6, 6]


@pytest.mark.parametrize("flip", [False, True])
def test_a_model_is_opened_with_the_setting_of_its_checkpoint(flip: bool, tmp_path: Path) -> None:
    path = save_network(tmp_path / "small" / "seed0" / "best.pt")
    assert not isinstance(open_model(path, flip=flip).predictor, LargeLesions)
    model = open_model(path, ["evaluation.min_lesion_size=40"], flip=flip)
    assert isinstance(model.predictor, LargeLesions)
    images = torch.randn(1, 1, *model.predictor.image_size)
    plain = open_model(path, flip=flip).predictor.predict(images)
    wanted = drop_small_lesions(plain[0], 0.5, 40)
    assert not torch.equal(wanted, plain[0])
    torch.testing.assert_close(model.predictor.predict(images)[0], wanted)

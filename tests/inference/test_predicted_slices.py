import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from identity import Identity
from saved_network import save_network
from torch import Tensor

from datasets.inspection import inspect_slices
from datasets.pairing import find_slices
from datasets.slices import SliceDataset
from datasets.transforms import SliceTransform
from inference.predictors import Flipped, Heads, NetworkPredictor
from inference.slices import PredictedSlice, predict_slices, to_levels
from models import create_model
from training.builders import build_runtime
from training.prediction import logits_to_prob
from training.trained_run import open_run
from utils.config_loader import load_config
from utils.errors import UserError

SIZE = (12, 16)


class Recorder(Identity):
    """Keeps what it is given."""

    def __init__(self, image_size: tuple[int, int]) -> None:
        super().__init__(image_size)
        self.images: list[Tensor] = []

    def predict(self, images: Tensor) -> Tensor:
        self.images += images
        return super().predict(images)


class Columns:
    """Probability that grows from left to right, and as many classes as asked for."""

    image_size, has_lung = SIZE, False

    def __init__(self, num_channels: int = 1) -> None:
        self.num_channels = num_channels

    def predict(self, images: Tensor) -> Tensor:
        ramp = torch.linspace(0, 1, SIZE[1]).expand(len(images), self.num_channels, *SIZE)
        return ramp if self.num_channels == 1 else torch.softmax(ramp + torch.randn(ramp.shape), 1)


def read_constant(level: int) -> np.ndarray:
    return np.full(SIZE, level, np.uint8)


@pytest.mark.parametrize("seen", [{}, {"blur": 0.6}, {"blur": 0.6, "gamma": 0.7}])
def test_slices_are_prepared_as_the_data_set_prepares_them(data_root: Path, seen: dict) -> None:
    files = find_slices(data_root, "test")
    transform = SliceTransform(SIZE, **seen)
    dataset = SliceDataset(files, inspect_slices(files).encoding, transform, edge_width=3)
    recorder = Recorder(SIZE)
    reads = [partial(lambda i: dataset.original(i)[0], index) for index in range(4)]
    list(predict_slices(recorder, reads, batch_size=3, transform=transform))
    assert recorder.batches == [3, 1]
    for index, image in enumerate(recorder.images):
        assert torch.equal(image, dataset[index]["image"])


def test_slices_come_back_in_their_order_and_at_their_own_size() -> None:
    shapes = [(12, 16), (30, 20), (7, 40), (12, 16), (5, 5)]
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 255, shape).astype(np.uint8) for shape in shapes]
    reads = [partial(np.copy, image) for image in images]
    found = list(predict_slices(Identity(SIZE), reads, batch_size=2))
    assert [item.index for item in found] == [0, 1, 2, 3, 4]
    for item, image in zip(found, images, strict=True):
        np.testing.assert_array_equal(item.gray, image)
        assert item.prob.shape == (1, *image.shape)
        assert 0 <= item.prob.min() <= item.prob.max() <= 1
    np.testing.assert_array_equal(found[0].label(0.5), images[0] > images[0].mean())


def test_few_slices_are_read_ahead_of_those_that_are_taken() -> None:
    num_read, lock = 0, threading.Lock()

    def read() -> np.ndarray:
        nonlocal num_read
        with lock:
            num_read += 1
        return read_constant(1)

    for number, _ in enumerate(predict_slices(Identity(SIZE), [read] * 200, batch_size=4), 1):
        assert num_read <= number + 3 * 4
    assert num_read == 200


def _fail() -> np.ndarray:
    raise UserError("spoilt.png: not a readable image")


def test_a_slice_that_cannot_be_read_stops_the_others_or_is_left_out() -> None:
    reads: list[Callable] = [partial(read_constant, level) for level in range(5)]
    reads[1] = reads[3] = _fail
    with pytest.raises(UserError, match=r"spoilt\.png"):
        list(predict_slices(Identity(SIZE), reads, batch_size=2))
    errors: list[int] = []
    found = predict_slices(
        Identity(SIZE), reads, batch_size=2, on_error=lambda i, error: errors.append(i)
    )
    assert [item.index for item in found] == [0, 2, 4]
    assert errors == [1, 3]


def test_one_channel_is_cut_at_the_threshold_which_belongs_to_the_lesion() -> None:
    predicted = PredictedSlice(0, read_constant(0), np.array([[[0.2, 0.5, 0.7]]], np.float32))
    np.testing.assert_array_equal(predicted.label(0.5), [[0, 1, 1]])
    np.testing.assert_array_equal(predicted.lesion_prob(), predicted.prob[0])


def test_of_several_classes_the_likeliest_is_taken() -> None:
    prob = np.array([[[0.5, 0.2, 0.1]], [[0.3, 0.7, 0.3]], [[0.2, 0.1, 0.6]]], np.float32)
    predicted = PredictedSlice(0, read_constant(0), prob)
    np.testing.assert_array_equal(predicted.label(0.5), [[0, 1, 2]])
    np.testing.assert_allclose(predicted.lesion_prob(), [[0.5, 0.8, 0.9]], rtol=1e-6)


def test_levels_are_rounded_half_up() -> None:
    prob = np.array([0, 0.5 / 255, 1.49 / 255, 0.5, 1], np.float32)
    assert to_levels(prob).tolist() == [0, 1, 1, 128, 255]


@pytest.mark.parametrize("num_channels", [1, 3])
def test_flipped_is_the_mean_over_a_slice_and_its_mirror_image(num_channels: int) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 1, *SIZE)
    flipped = Flipped(Columns(num_channels))
    assert flipped.image_size == SIZE
    prob = flipped.predict(images)
    assert prob.shape == (2, num_channels, *SIZE)
    if num_channels == 1:  # rising and falling columns
        torch.testing.assert_close(prob, torch.full_like(prob, 0.5))
    else:
        torch.testing.assert_close(prob.sum(1), torch.ones(2, *SIZE))


def test_flipped_looks_at_slices_from_left_and_right_alone() -> None:
    image = torch.zeros(1, 1, *SIZE)
    image[..., 2, 3] = 1
    recorder = Recorder(SIZE)
    prob = Flipped(recorder).predict(image)
    torch.testing.assert_close(prob, image)  # found in place both times
    mirrored, plain = recorder.images
    assert mirrored[0, 2, SIZE[1] - 1 - 3] == plain[0, 2, 3] == 1


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
def test_every_second_slice_is_seen_mirrored_and_turned_back(batch_size: int) -> None:
    image = np.zeros(SIZE, np.uint8)
    image[2, 3] = 1
    recorder = Recorder(SIZE)
    found = predict_slices(recorder, [lambda: image] * 5, batch_size, mirrors_every_second=True)
    for predicted in found:
        np.testing.assert_array_equal(predicted.prob[0], image)
    columns = [int(seen[0, 2].argmax()) for seen in recorder.images]
    assert columns == [3, SIZE[1] - 1 - 3, 3, SIZE[1] - 1 - 3, 3]


def test_lungs_of_a_mirrored_slice_are_turned_back_with_it() -> None:
    reads = [partial(read_constant, 9)] * 2
    straight, turned = predict_slices(WithLungs(), reads, 2, mirrors_every_second=True)
    np.testing.assert_array_equal(turned.prob, straight.prob[..., ::-1])
    np.testing.assert_array_equal(turned.lung, straight.lung[..., ::-1])


def test_a_network_gives_sigmoid_of_its_logits_in_evaluation_mode(tmp_path: Path) -> None:
    run = open_run(save_network(tmp_path / "small" / "seed0" / "best.pt"), "small")
    predictor = NetworkPredictor(run)
    images = torch.randn(2, 1, *predictor.image_size)
    prob = predictor.predict(images)
    with torch.no_grad():
        wanted = torch.sigmoid(run.network.eval()(images).mask)
    torch.testing.assert_close(prob, wanted)
    assert prob.dtype == torch.float32
    assert not prob.requires_grad


def test_several_logits_become_a_softmax() -> None:
    prob = logits_to_prob(torch.tensor([[[[0.0]], [[1.0]], [[2.0]]]]))
    torch.testing.assert_close(prob.sum(1), torch.ones(1, 1, 1))
    assert prob.flatten().tolist() == pytest.approx([0.0900, 0.2447, 0.6652], abs=1e-4)


class WithLungs(Columns):
    """Lungs where probabilities of lesion are low."""

    def predict_heads(self, images: Tensor) -> Heads:
        prob = self.predict(images)
        return Heads(prob, 1 - prob)


def test_lungs_come_at_the_size_of_the_slice_and_flipped_with_it() -> None:
    reads = [partial(read_constant, 9), lambda: np.zeros((5, 7), np.uint8)]
    for predicted in predict_slices(WithLungs(), reads, batch_size=2):
        assert predicted.lung.shape == predicted.gray.shape
        np.testing.assert_allclose(predicted.lung, 1 - predicted.prob[0], atol=1e-6)
    for predicted in predict_slices(Flipped(WithLungs()), reads, batch_size=2):
        np.testing.assert_allclose(predicted.lung, 0.5, atol=1e-6)
    for predictor in (Columns(), Flipped(Columns())):
        assert next(predict_slices(predictor, reads, batch_size=2)).lung is None


def test_a_network_with_a_lung_head_gives_its_lungs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    overrides = ["model.name=coeranet", "data.image_size=64", "loss.function=own"]
    config = load_config(overrides=[*overrides, "loss.args={}"])
    network = create_model("coeranet").eval()
    run = SimpleNamespace(
        network=network, config=config, trained=config, runtime=build_runtime(config)
    )
    assert NetworkPredictor(run).has_lung
    images = torch.randn(1, 1, 64, 64)
    heads = NetworkPredictor(run).predict_heads(images)
    with torch.no_grad():
        output = network(images)
    assert torch.equal(heads.lung, torch.sigmoid(output.lung))
    assert torch.equal(heads.prob, torch.sigmoid(output.mask))

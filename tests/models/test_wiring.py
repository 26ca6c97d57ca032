"""Fixed weights give the published outputs: at 256 px, and at a small size those pinned since."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.models import pin_small
from tests.models.fingerprint import (
    FINGERPRINTS,
    FULL_SIZE,
    SMALL_PATH,
    assert_matches,
    num_parameters,
)
from tests.models.published import PUBLISHED, run

PINNED = json.loads(SMALL_PATH.read_text())["networks"]


def test_every_fingerprint_has_its_network_and_a_small_twin() -> None:
    assert PUBLISHED.keys() == FINGERPRINTS.keys() == PINNED.keys()


# Other forms of a network that is checked here as well, and the two that take longest; at 256 px,
# among the slow tests, all of them are.
LONG = ["acfnet_r50", "fcn8s", "fcn8s_3class", "deeplabv3plus_r50_os8", "deeplabv3plus_xception"]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in PUBLISHED]
)
def test_small_outputs_are_those_pinned_from_a_network_that_gave_the_published_ones(
    name: str,
) -> None:
    assert_matches(run(name, PUBLISHED[name].small_size), PINNED[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_outputs_are_the_published_ones(name: str) -> None:
    assert_matches(run(name, FULL_SIZE), FINGERPRINTS[name]["outputs"])


@pytest.mark.parametrize(
    "name", [name for name, published in PUBLISHED.items() if published.surplus is not None]
)
def test_parameters_are_those_that_the_published_network_trains(name: str) -> None:
    with torch.device("meta"):
        found = num_parameters(PUBLISHED[name].build())
    assert found == FINGERPRINTS[name]["params_live"] + PUBLISHED[name].surplus


@pytest.fixture
def pinned_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the pinned outputs, which the command writes instead of them."""
    path = tmp_path / "fingerprints_small.json"
    path.write_text(SMALL_PATH.read_text())
    monkeypatch.setattr(pin_small, "SMALL_PATH", path)
    return path


def constant_outputs(name: str, size: tuple[int, int]) -> list[Tensor]:
    return [torch.full((2, 1, *size), 0.5)]


def test_a_network_that_does_not_give_the_published_outputs_is_not_pinned(
    pinned_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pin_small, "run", constant_outputs)
    assert pin_small.main(["unet"]) == 1
    assert capsys.readouterr().err.startswith("unet differs from the published outputs")
    assert pinned_path.read_text() == SMALL_PATH.read_text()


def test_a_network_that_does_is_pinned_and_the_others_stay(
    pinned_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (published,) = constant_outputs("unet", FULL_SIZE)
    monkeypatch.setattr(pin_small, "run", constant_outputs)
    monkeypatch.setitem(FINGERPRINTS["unet"], "outputs", [pin_small.take(published)])
    assert pin_small.main(["unet"]) == 0
    found = json.loads(pinned_path.read_text())["networks"]
    assert_matches(constant_outputs("unet", (64, 64)), found.pop("unet"))
    assert found == {name: outputs for name, outputs in PINNED.items() if name != "unet"}

"""Classes from the configuration to the step, and the step without them as it ever was."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.card import DataProperties
from losses import JointLoss
from losses.dice import dice_loss
from models import create_model
from tests.class_data import VALUES, add_classes
from tests.training.small_steps import disc_batch, make_step, snapshot
from training.builders import build_loss, build_network
from training.checkpoint import load_checkpoint
from training.classes import with_classes
from training.trained_run import open_run
from utils.config_loader import load_config
from utils.contracts import Batch, SegOutput
from utils.errors import UserError

SMALL = ("model.args.width=4", "model.args.depth=18", "data.image_size=32")
GIVEN = "data.classes={ground-glass: 1, consolidation: 2}"


def build(*pairs: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    config = load_config(overrides=[*SMALL, *pairs])
    network = build_network(config)
    return network, build_loss(config, network)


class JointLossAsEver(JointLoss):
    """The joint loss of one class, written out."""

    def forward(self, output: SegOutput, batch: Batch) -> dict[str, torch.Tensor]:
        edge = torch.stack([dice_loss(s, batch["edge"]) for s in output.edge]).sum()
        semantic = torch.stack([dice_loss(s, batch["mask"]) for s in output.semantic]).sum()
        fusion = dice_loss(output.mask, batch["mask"])
        total = torch.stack([self.theta * edge, self.beta * semantic, fusion]).sum()
        return {"edge": edge, "semantic": semantic, "fusion": fusion, "total": total}


def test_without_classes_steps_are_bit_for_bit_those_of_the_binary_loss() -> None:
    weights = []
    batch = disc_batch()
    labelled = {**batch, "label": batch["mask"][:, 0].long()}  # which one map does not look at
    for loss, own in ((JointLossAsEver(), batch), (JointLoss(), batch), (JointLoss(), labelled)):
        torch.manual_seed(0)
        step = make_step(create_model("resunet", width=4, depth=18), loss)
        step.train()
        terms = [step(own).terms for _ in range(3)]
        weights.append([*snapshot(step.state.model), *terms[-1].values()])
    first, *others = weights
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))


def test_classes_decide_on_the_channels() -> None:
    network, _ = build(GIVEN)
    output = network(torch.randn(2, 1, 32, 32))
    assert output.mask.shape[1] == 3
    assert [side.shape[1] for side in output.semantic] == [3, 3, 3]
    assert [side.shape[1] for side in output.edge] == [1, 1]
    assert build(GIVEN, "model.args.num_classes=3")[0](torch.randn(2, 1, 32, 32)).mask.shape[1] == 3


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ((GIVEN, "model.args.num_classes=2"), r"num_classes: 2, but data\.classes name 2, .* 3"),
        (("model.args.num_classes=3",), r"num_classes: 3, but data\.classes is null"),
        ((GIVEN, "loss.function=infnet"), r"infnet has no form for several classes .*=dice"),
        ((GIVEN, "loss.function=scrn"), r"scrn has no form for several classes .*=dice"),
        (("loss.args.class_weights=balanced",), r"class_weights: there are no classes"),
        ((GIVEN, "data.lesion_values=[1]"), r"classes and lesion_values exclude each other"),
        (("data.classes=some",), r"data\.classes: give all, a list of names, or a value by name"),
        (("data.classes={a: 1, b: 1}",), r"data\.classes: give every class a value of its own"),
        (("data.classes=[a, a]",), r"data\.classes: a class stands twice"),
        (("data.classes={a: 0}",), r"data\.classes: give every class a value of its own"),
        (("data.classes=[]",), r"data\.classes: give all, a list of names"),
    ],
)
def test_what_does_not_go_together_is_refused(pairs: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(*pairs)


def test_classes_of_an_experiment_take_the_place_of_the_former_ones() -> None:
    config = load_config(overrides=["data.classes={a: 1, b: 2}", "data.classes={c: 3}"])
    assert config.data.classes == {"c": 3}


@pytest.fixture
def class_settings(data_root: Path, small_settings: list[str]) -> list[str]:
    """Settings of a run on two classes."""
    add_classes(data_root)
    return [*small_settings, "--set", "data.classes=all"]


def test_a_run_keeps_its_classes_and_goes_on_with_no_others(
    run_script: Callable, refused: Callable, class_settings: list[str], tmp_path: Path
) -> None:
    finished = run_script("train.py", *class_settings)
    assert finished.code == 0, finished.err
    assert "masks of classes (ground-glass 1, consolidation 2)" in finished.out
    best = tmp_path / "runs" / "train_config" / "seed2" / "best.pt"
    content = load_checkpoint(best)
    assert content["classes"] == VALUES
    assert DataProperties.from_plain(content).name_classes(2) == {
        1: "ground-glass",
        2: "consolidation",
    }
    run = open_run(best, "run")
    assert list(run.config.data.classes) == ["ground-glass", "consolidation"]
    scores = content["scores"]
    assert scores["classes"].keys() == content["classes"].keys()
    pooled = [own["dice_pooled"] for own in scores["classes"].values()]
    assert scores["class_mean"]["dice_pooled"] == pytest.approx(np.mean(pooled))
    assert f"mean of the classes, {100 * np.mean(pooled):.2f} %" in finished.out
    with pytest.raises(UserError, match=r"--set data\.classes: the checkpoint decides it"):
        open_run(best, "run", ["data.classes=[consolidation]"])
    for other in ("[consolidation, ground-glass]", "null", "{ground-glass: 1, other: 2}"):
        again = run_script(
            "train.py", *class_settings, "--resume", "--set", f"data.classes={other}"
        )
        refused(again, "made with another data.classes", "resume with the run's own")
    more = ["--set", "training.epochs=3"]
    assert run_script("train.py", *class_settings, *more, "--resume").code == 0


def test_a_class_that_no_slice_shows_is_named_and_training_goes_on(
    run_script: Callable, class_settings: list[str]
) -> None:
    classes = "data.classes={ground-glass: 1, consolidation: 2, effusion: 3}"
    settings = [*class_settings, "--set", classes, "--set", "training.epochs=1"]
    finished = run_script("train.py", *settings, "--set", "data.augment_on_device=true")
    assert finished.code == 0, finished.err
    for split in ("train", "val"):
        assert f"{split}: no slice shows effusion; going on" in finished.err


def test_values_outside_the_classes_stop_the_run(
    run_script: Callable, refused: Callable, class_settings: list[str]
) -> None:
    finished = run_script("train.py", *class_settings, "--set", "data.classes=[consolidation]")
    refused(finished, "train00_z000.png: one of 7 class maps", "no class: 1 (")


def test_the_classes_of_a_run_are_those_that_stood_in_the_card(
    class_settings: list[str],
) -> None:
    config = load_config(overrides=[pair for pair in class_settings if pair != "--set"])
    assert with_classes(config).data.classes == VALUES

import math

import pytest
import torch
from torch import nn

from losses import create_loss
from metrics import Meter
from models import create_model
from tests.training.small_steps import CPU, disc_batch, make_step, snapshot, train
from training.engine import evaluate
from training.runtime import create_runtime
from utils.contracts import SegOutput
from utils.errors import NonFiniteError


@pytest.mark.parametrize(
    "precision",
    [
        "fp32",
        pytest.param("bf16", marks=pytest.mark.slow),
        pytest.param("fp16", marks=pytest.mark.slow),
    ],
)
def test_one_batch_overfits(precision: str) -> None:
    torch.manual_seed(0)
    runtime = create_runtime("cpu", precision, channels_last=True)
    model = create_model("resunet", width=8, depth=18)
    step = make_step(
        model, optimizer=torch.optim.Adam(model.parameters(), lr=5e-3), runtime=runtime
    )
    result = train(step, *[disc_batch()] * 40)
    first_total = 0.8 * 2 + 0.4 * 3 + 1  # every term at its largest
    assert result.terms["total"] < first_total
    last = train(step, disc_batch())
    assert last.dice_pooled > 0.9
    assert set(last.terms) == {"edge", "semantic", "fusion", "total"}


@pytest.mark.parametrize("poison", ["image", "mask"])
def test_a_nan_stops_with_batch_and_terms_named_and_weights_untouched(poison: str) -> None:
    model = create_model("resunet", width=4, depth=18)
    before, batch = snapshot(model), disc_batch()
    batch[poison][1, 0, 3, 3] = math.nan
    with pytest.raises(NonFiniteError, match=r"edge .*fusion nan.*slice0, slice1"):
        train(make_step(model), batch)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


class Cliff(nn.Module):
    """A finite output whose gradient is not: sqrt at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> SegOutput:
        return SegOutput(mask=image + self.weight.sqrt())


def test_a_gradient_that_is_not_finite_stops_before_the_step() -> None:
    model = Cliff()
    with pytest.raises(NonFiniteError, match="gradient is not finite on the batch slice0"):
        train(make_step(model, "dice"), disc_batch())
    assert model.weight.item() == 0


def test_gradient_clip_bounds_the_norm_of_the_step() -> None:
    torch.manual_seed(0)
    model = create_model("resunet", width=4, depth=18)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = snapshot(model)
    train(make_step(model, optimizer=optimizer, gradient_clip=0.01), disc_batch())
    moved = [a - b for a, b in zip(before, model.parameters(), strict=True)]
    assert torch.nn.utils.get_total_norm(moved).item() == pytest.approx(0.01, rel=1e-3)


def test_evaluation_changes_nothing_and_scores_every_slice() -> None:
    model = CPU.prepare(create_model("resunet", width=4, depth=18))
    state = {key: value.clone() for key, value in model.state_dict().items()}
    meter = Meter(empty_target="one")
    averages = evaluate(model, [disc_batch(), disc_batch()], CPU, meter, create_loss("joint"))
    assert [row["name"] for row in meter.rows] == ["slice0", "slice1", "slice2", "slice3"] * 2
    assert set(averages.means()) == {"edge", "semantic", "fusion", "total"}
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


def test_a_prediction_with_nan_names_its_case() -> None:
    model = CPU.prepare(create_model("resunet", width=4, depth=18))
    batch = disc_batch()
    batch["image"][2] = math.nan
    with pytest.raises(NonFiniteError, match="case slice2"):
        evaluate(model, [batch], CPU, Meter(empty_target="one"))


def test_epoch_means_weigh_batches_by_their_slices() -> None:
    model = Cliff()
    model.weight.data.fill_(1.0)
    step = make_step(model, "dice", optimizer=torch.optim.SGD(model.parameters(), lr=0.0))
    large, small = disc_batch(count=4), disc_batch(count=1)
    each = [step.loss(model(b["image"]), b)["total"].item() for b in (large, small)]
    result = train(step, large, small)
    assert result.terms["total"] == pytest.approx((4 * each[0] + each[1]) / 5, rel=1e-5)

"""Training at several sizes: which they are, what becomes of a batch; 1 changes nothing."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from models import create_model
from tests.training.small_steps import SmallNetwork, disc_batch, make_step
from training.builders import build_network, create_training_state
from training.epoch_record import EpochRecord
from training.scales import resize_batch, scaled_sizes
from utils.config_loader import load_config
from utils.contracts import SegOutput
from utils.errors import UserError


def weights_after(sizes: list[tuple[int, int]], **options: object) -> list[torch.Tensor]:
    """Of a small network after two steps."""
    torch.manual_seed(0)
    step = make_step(SmallNetwork(), sizes=sizes, **options)
    step.train()
    for count in (4, 3):
        step(disc_batch(count=count))
    return list(step.state.model.parameters())


def test_sides_are_scaled_to_multiples_of_the_networks_stride() -> None:
    with torch.device("meta"):
        network = create_model("infnet")
    sizes = scaled_sizes((352, 352), [0.75, 1.0, 1.25], network)
    assert sizes == [(264, 264), (352, 352), (440, 440)]
    as_released = scaled_sizes((352, 352), [0.727, 1.0, 1.273], network)
    assert as_released == [(256, 256), (352, 352), (448, 448)]
    assert scaled_sizes((100, 200), [0.75], create_model("resunet", width=4)) == [(80, 144)]


def test_a_scale_below_the_networks_least_size_is_refused() -> None:
    config = load_config(overrides=["data.image_size=32", "training.scales=[1.0,0.25]"])
    with pytest.raises(UserError, match=r"training.scales: 0.25 makes .*0 x 0 px.*take a larger"):
        build_network(config)


def test_a_batch_at_its_own_size_is_that_batch() -> None:
    batch = disc_batch()
    assert resize_batch(batch, (32, 32)) is batch


@pytest.mark.parametrize("size", [(24, 24), (40, 48)])
def test_every_map_is_resized_and_targets_stay_0_or_1(size: tuple[int, int]) -> None:
    batch = disc_batch() | {"label": torch.randint(0, 3, (4, 32, 32))}
    found = resize_batch(batch, size)
    for key in ("image", "mask", "edge", "lung", "label"):
        assert found[key].shape[-2:] == size, key
        assert found[key].dtype == batch[key].dtype, key
    for key in ("mask", "edge", "lung"):
        assert set(found[key].unique().tolist()) <= {0.0, 1.0}
    assert set(found["label"].unique().tolist()) == {0, 1, 2}
    own = resize_batch(batch | {"label": 2 * batch["mask"][:, 0].long()}, size)
    assert torch.equal(own["label"][:, None] > 0, own["mask"] > 0)
    share = size[0] * size[1] / 32**2
    assert found["mask"].sum() == pytest.approx(share * batch["mask"].sum().item(), rel=0.1)
    for key in ("has_lung", "is_padding", "name", "patient"):
        assert found[key] is batch[key]


def test_a_thin_edge_is_not_broken_by_a_smaller_size() -> None:
    batch = disc_batch(count=1)
    batch["edge"] = torch.zeros(1, 1, 32, 32)
    batch["edge"][..., 13, :] = 1
    edge = resize_batch(batch, (20, 20))["edge"]
    assert edge.any(dim=-2).all()


def test_image_and_mask_stay_in_register() -> None:
    batch = disc_batch(size=64)
    batch["image"] = batch["mask"].clone()
    found = resize_batch(batch, (48, 48))
    assert ((found["image"] > 0.5).float() != found["mask"]).float().mean() < 0.01


def test_scale_1_alone_is_the_step_without_scales_bit_for_bit() -> None:
    for one, other in zip(weights_after([]), weights_after([(32, 32)]), strict=True):
        assert torch.equal(one, other)


def test_each_scale_is_a_step_of_its_own_and_the_nearest_one_is_recorded() -> None:
    seen = []

    class Watched(SmallNetwork):
        def forward(self, image: torch.Tensor, with_maps: bool = False) -> SegOutput:
            seen.append((image.shape[-1], self.body[0].weight.detach().clone()))
            return super().forward(image)

    step = make_step(Watched(), sizes=[(24, 24), (32, 32), (40, 40)])
    step.train()
    result = step(disc_batch())
    assert [side for side, _ in seen] == [24, 32, 40]
    weights = [weight for _, weight in seen] + [step.state.model.body[0].weight]
    assert all(not torch.equal(a, b) for a, b in pairwise(weights))
    assert result.output.mask.shape == result.batch["mask"].shape == (4, 1, 32, 32)
    EpochRecord().update(result.terms, result.output.mask, result.batch["mask"])


def test_clipping_by_value_bounds_every_element_and_leaves_small_ones() -> None:
    model = SmallNetwork(dropout=0)
    step = make_step(model, gradient_clip=1e-3, clip_by="value")
    free = make_step(SmallNetwork(dropout=0))
    free.state.model.load_state_dict(model.state_dict())
    for each in (step, free):
        each.train()
        each(disc_batch())
    for clipped, whole in zip(model.parameters(), free.state.model.parameters(), strict=True):
        torch.testing.assert_close(clipped.grad, whole.grad.clamp(-1e-3, 1e-3))
    assert max(p.grad.abs().max() for p in free.state.model.parameters()) > 1e-3


@pytest.mark.parametrize(
    ("milestones", "rates"),
    [("[3, 4]", [1e-4, 1e-4, 1e-5, 1e-6, 1e-6]), ("[]", [1e-4] * 5)],
)
def test_the_learning_rate_falls_with_the_start_of_the_epochs(
    milestones: str, rates: list[float]
) -> None:
    overrides = [f"scheduler.milestones={milestones}", "scheduler.factor=0.1"]
    state = create_training_state(load_config(overrides=overrides), nn.Linear(1, 1))
    state.optimizer.step()
    found = []
    for loss in (1.0, 2.0, 3.0, 4.0, 5.0):
        found.append(state.learning_rate)
        state.finish_epoch(loss)
    assert found == pytest.approx(rates)


def test_the_paper_of_inf_net_is_an_experiment() -> None:
    config = load_config(experiments=["zoo/infnet_paper"])
    assert config.training.scales == [0.75, 1.0, 1.25]
    assert (config.training.gradient_clip, config.training.gradient_clip_by) == (0.5, "value")
    assert (config.data.image_size, config.training.batch_size) == ([352, 352], 24)

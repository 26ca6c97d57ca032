"""Networks and mirror images averaged as probabilities; refused where they are of two kinds."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datasets.transforms import z_score
from models import create_model
from tests.saved_network import SIZE, save_network
from training.checkpoint import load_checkpoint
from training.ensemble import Ensemble, open_runs
from training.prediction import logits_to_prob
from training.trained_run import name_runs
from utils.contracts import SegOutput
from utils.errors import UserError


class Constant(nn.Module):
    """The same logits (1, K, H, W) for every slice, of lesion and, on request, of lung."""

    own_loss, own_loss_args = "dice", {}

    def __init__(self, logits: Tensor, lung: Tensor | None = None) -> None:
        super().__init__()
        self.logits, self.lung = logits, lung
        self.heads = frozenset({"mask", "edge"} | ({"lung"} if lung is not None else set()))

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        return SegOutput(self.logits, edge=(self.logits,), lung=self.lung)


@pytest.mark.parametrize("num_classes", [1, 3])
def test_the_probability_is_the_mean(num_classes: int) -> None:
    logits = [3 * torch.randn(1, num_classes, 4, 5) for _ in range(3)]
    output = Ensemble([Constant(one) for one in logits])(torch.zeros(1, 1, 4, 5))
    expected = torch.stack([logits_to_prob(one) for one in logits]).mean(0)
    torch.testing.assert_close(logits_to_prob(output.mask), expected, atol=1e-6, rtol=0)
    assert output.edge == ()


@pytest.mark.parametrize("num_classes", [1, 3])
def test_certainty_stays_finite(num_classes: int) -> None:
    logits = torch.full((1, num_classes, 2, 2), -200.0)
    logits[:, :, 0] = 200
    logits[:, 1:, 1, 1] = 200
    output = Ensemble([Constant(logits), Constant(logits)])(torch.zeros(1, 1, 2, 2))
    assert torch.isfinite(output.mask).all()
    expected = logits_to_prob(logits)
    torch.testing.assert_close(logits_to_prob(output.mask), expected, atol=1e-6, rtol=0)


def test_lungs_are_averaged_where_all_know_them() -> None:
    maps = [torch.randn(1, 1, 3, 3) for _ in range(3)]
    both = Ensemble([Constant(maps[0], maps[1]), Constant(maps[0], maps[2])])
    assert both.heads == {"mask", "lung"}
    expected = (torch.sigmoid(maps[1]) + torch.sigmoid(maps[2])) / 2
    found = logits_to_prob(both(torch.zeros(1, 1, 3, 3)).lung)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    one = Ensemble([Constant(maps[0], maps[1]), Constant(maps[0])])
    assert one.heads == {"mask"}
    assert one(torch.zeros(1, 1, 3, 3)).lung is None


def test_mirror_images_are_turned_back() -> None:
    network = create_model("unet", width=4).eval()
    image = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        found = logits_to_prob(Ensemble([network], flip=True)(image).mask)
        sides = [logits_to_prob(network(one).mask) for one in (image, image.flip(-1))]
    torch.testing.assert_close(found, (sides[0] + sides[1].flip(-1)) / 2, atol=1e-6, rtol=0)


@pytest.mark.parametrize("flip", [False, True])
def test_a_network_of_another_input_size_sees_the_slices_resized(flip: bool) -> None:
    networks = [create_model("unet", width=4).eval() for _ in range(2)]
    image = torch.randn(2, 1, 48, 64).cumsum(2).cumsum(3)
    image = torch.stack([z_score(one) for one in image])
    with torch.no_grad():
        found = Ensemble(networks, [(48, 64), (32, 48)], flip=flip)(image).mask
        smaller = F.interpolate(image, (32, 48), mode="bilinear", antialias=True)
        smaller = torch.stack([z_score(one) for one in smaller])
        expected = []
        for turn in (lambda x: x, lambda x: x.flip(-1))[: 1 + flip]:
            expected.append(turn(logits_to_prob(networks[0](turn(image)).mask)))
            prob = turn(logits_to_prob(networks[1](turn(smaller)).mask))
            expected.append(F.interpolate(prob, (48, 64), mode="bilinear"))
    assert found.shape == (2, 1, 48, 64)
    expected = torch.stack(expected).mean(0)
    torch.testing.assert_close(logits_to_prob(found), expected, atol=1e-6, rtol=0)


def test_a_guide_is_resized_as_it_is() -> None:
    seen: list[Tensor] = []

    class Recorder(Constant):
        def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
            seen.append(image)
            return super().forward(image)

    guide = torch.full((1, 1, 8, 8), 0.25)
    network = Recorder(torch.zeros(1, 1, 4, 4))
    image = torch.cat([torch.randn(1, 1, 8, 8), guide], 1)
    output = Ensemble([network], [(4, 4)])(image)
    torch.testing.assert_close(seen[0][:, 1:], guide[..., :4, :4])
    torch.testing.assert_close(seen[0][:, :1].std(correction=0), torch.tensor(1.0))
    assert output.mask.shape == (1, 1, 8, 8)


def changed(path: Path, section: str, **keys: object) -> dict:
    """The config of a checkpoint with other values."""
    config = load_checkpoint(path)["config"]
    config[section] |= keys
    return config


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["small/seed2/best.pt"], ["small"]),
        (["small/seed2/best.pt", "small/seed3/best.pt"], ["small_seed2", "small_seed3"]),
        (["weights/ct.pt"], ["ct"]),
        (["small/seed2/best.pt", "weights/ct.pt"], ["small", "ct"]),
        (["one/ct.pt", "two/ct.pt"], ["ct_one", "ct_two"]),
    ],
)
def test_a_run_is_called_by_its_experiment_and_another_file_by_its_own_name(
    files: list[str], names: list[str], tmp_path: Path
) -> None:
    assert name_runs([tmp_path / file for file in files]) == names


def test_checkpoints_open_as_one_run_and_a_single_one_as_it_is(tmp_path: Path) -> None:
    paths = [save_network(tmp_path / "small" / f"seed{k}" / "best.pt") for k in range(2)]
    assert open_runs(paths[:1]).name == "small"
    assert not isinstance(open_runs(paths[:1]).network, Ensemble)
    run = open_runs(paths, ["evaluation.threshold=0.4"])
    assert (run.name, run.config.evaluation.threshold) == ("small_seed0+small_seed1", 0.4)
    image = torch.randn(1, 1, SIZE, SIZE)
    with torch.no_grad():
        single = open_runs(paths[:1]).network.eval()(image)
        both = run.network.eval()(image)  # the same weights twice
    pair = (logits_to_prob(both.mask), logits_to_prob(single.mask))
    torch.testing.assert_close(*pair, atol=1e-6, rtol=0)
    assert isinstance(open_runs(paths[:1], flip=True).network, Ensemble)
    taller = changed(paths[0], "data", image_size=[2 * SIZE, SIZE])
    paths.append(save_network(tmp_path / "taller" / "seed0" / "best.pt", config=taller))
    assert open_runs(paths).network.sizes == [(SIZE, SIZE), (SIZE, SIZE), (2 * SIZE, SIZE)]


def test_what_sees_or_tells_something_else_is_refused(tmp_path: Path) -> None:
    first = save_network(tmp_path / "first" / "seed0" / "best.pt")
    rule = {"unit": "HU", "low": -160.0, "high": 240.0}
    others = {
        "data.crop": {"config": changed(first, "data", crop="body")},
        "data.blur": {"config": changed(first, "data", blur=0.6)},
        "data.gamma": {"config": changed(first, "data", gamma=0.7)},
        "modality": {"modality": "DX"},
        "bits of the grey levels": {"bits": 16},
        "intensity rule (HU -1250 to 250 and HU -160 to 240)": {"intensity": rule},
        "classes": {"classes": {"ground-glass": 1}},
    }
    for what, changes in others.items():
        other = save_network(tmp_path / "other" / "seed0" / "best.pt", **changes)
        with pytest.raises(UserError) as error:
            open_runs([first, other])
        for part in ("--checkpoint: ", str(first), str(other), f"differ in {what}"):
            assert part in str(error.value)
    with pytest.raises(UserError, match="stands twice"):
        open_runs([first, first])

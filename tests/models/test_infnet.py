from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from torchvision.models.vgg import cfgs, make_layers

from datasets.noise import noise_batch
from losses.infnet import InfNetLoss
from models.infnet import InfNet
from tests.models.fingerprint import num_parameters
from utils.errors import UserError


def test_parameter_counts() -> None:
    with torch.device("meta"):
        vgg, grey = InfNet(in_channels=3, trunk="vgg16"), InfNet()
    # 34,278,057 of the published VGG-16 variant less 12,979,200 of a branch that it never calls.
    assert num_parameters(vgg) == 34_278_057 - 12_979_200
    # Two input channels fewer in the 3x3 stem of 32.
    assert num_parameters(grey) == 31_072_721 - 2 * 9 * 32


@pytest.mark.parametrize(
    ("trunk", "height", "width"),
    [
        ("res2net50", 33, 70),
        ("res2net101", 32, 64),
        ("resnet50", 1, 47),
        ("resnet101", 32, 64),
        ("vgg16", 50, 33),
    ],
)
@torch.no_grad()
def test_every_trunk_gives_five_maps_at_the_size_of_any_image(
    trunk: str, height: int, width: int
) -> None:
    output = InfNet(trunk=trunk)(torch.randn(2, 1, height, width))
    shape = (2, 1, height, width)
    assert [tuple(t.shape) for t in output.logits()] == [shape] * 5
    assert (len(output.edge), len(output.semantic), output.maps) == (1, 3, {})


def test_vgg_pools_by_the_mean_and_gives_its_features_from_half_the_size_on() -> None:
    with torch.device("meta"):
        model = InfNet(trunk="vgg16")
        shapes = [tuple(f.shape[1:]) for f in model.encoder(torch.zeros(1, 1, 32, 64))]
    assert not any(isinstance(m, torch.nn.MaxPool2d) for m in model.modules())
    assert shapes == [(128, 16, 32), (256, 8, 16), (512, 4, 8), (512, 2, 4)]


@torch.no_grad()
def test_reverse_attention_is_what_the_deeper_map_leaves_over() -> None:
    torch.manual_seed(0)
    model = InfNet(trunk="resnet50").train()
    slices = torch.randn(2, 1, 32, 32)
    maps = model(slices, with_maps=True).maps
    output = model(slices)
    assert list(maps) == ["A_5", "A_4", "A_3"]
    # f_3 has 4 x 4 px, f_5 one; S_g has the size of f_3 and meets f_5 by the mean of its middle.
    small, middle = [], model.partial_decoder.register_forward_hook(lambda *a: small.append(a[2]))
    model(slices)
    middle.remove()
    wanted = 1 - torch.sigmoid(small[0][:, :, 1:3, 1:3].mean(dim=(2, 3), keepdim=True))
    torch.testing.assert_close(maps["A_5"], wanted.expand(2, 1, 32, 32))
    assert all((a > 0).all() and (a < 1).all() for a in maps.values())
    assert torch.equal(output.mask, model(slices, with_maps=True).mask)


@torch.no_grad()
def test_more_classes_share_the_lesion_map_of_the_level_below() -> None:
    torch.manual_seed(0)
    model = InfNet(trunk="resnet50", num_classes=4).double()
    module = model.attention3
    torch.nn.init.zeros_(module.convs[-1][1].weight)  # leaves the deeper map alone
    deeper = torch.randn(2, 1, 3, 3, dtype=torch.float64)
    features, edge = (torch.randn(2, c, 6, 6, dtype=torch.float64) for c in (512, 64))
    logits, _ = module(features, edge, deeper)
    large = F.interpolate(deeper, size=(6, 6), mode="bilinear")
    torch.testing.assert_close(logits, torch.cat([0 * large, large, large, large], dim=1))
    assert model(torch.randn(2, 1, 32, 32, dtype=torch.float64)).mask.shape == (2, 4, 32, 32)


def test_every_parameter_gets_a_gradient_under_the_own_loss() -> None:
    torch.manual_seed(0)
    model = InfNet()
    mask = (torch.rand(2, 1, 64, 64) > 0.5).float()
    output = model(torch.randn(2, 1, 64, 64))
    InfNetLoss()(output, {"mask": mask, "edge": mask})["total"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@torch.no_grad()
def test_trunks_take_weights_of_their_libraries(tmp_path: Path) -> None:
    donor = timm.create_model("res2net50d")
    torch.save(donor.state_dict(), tmp_path / "res2net50d.pth")
    stages = InfNet(pretrained=str(tmp_path / "res2net50d.pth")).encoder.stages
    assert torch.equal(stages[3][2].convs[1].weight, donor.layer4[2].convs[1].weight)
    # One grey channel answers as three equal ones did.
    wanted = donor.conv1[0].weight.sum(dim=1, keepdim=True)
    torch.testing.assert_close(stages[0][0][0].weight, wanted)
    donor = make_layers(cfgs["D"])  # VGG-16 without its classifier
    torch.save({f"features.{k}": v for k, v in donor.state_dict().items()}, tmp_path / "vgg.pth")
    stages = InfNet(trunk="vgg16", pretrained=str(tmp_path / "vgg.pth")).encoder.stages
    assert torch.equal(stages[3][5].weight, donor[28].weight)
    with pytest.raises(UserError, match=r"does not fit resnet50 of torchvision"):
        InfNet(trunk="resnet50", pretrained=str(tmp_path / "vgg.pth"))


def test_wrong_trunk_is_named() -> None:
    with pytest.raises(UserError, match=r"model\.args\.trunk: 'resnet34' is not one of res2net50"):
        InfNet(trunk="resnet34")


ROWS = [  # of table IV: PPD, RA, EA
    (False, False, False),
    (True, False, False),
    (False, True, False),
    (True, True, False),
    (True, True, True),
]


@pytest.mark.parametrize(("partial", "reverse", "edge"), ROWS)
def test_every_row_of_the_ablation_trains_all_that_it_has_by_its_own_loss(
    partial: bool, reverse: bool, edge: bool
) -> None:
    model = InfNet(
        trunk="resnet50", partial_decoder=partial, reverse_attention=reverse, edge_attention=edge
    )
    loss = InfNetLoss(**model.own_loss_args)
    batch = noise_batch(2, 64, 64)
    output = model(batch["image"])
    assert loss.required_heads == model.heads
    assert (len(output.edge), len(output.semantic)) == (edge, 3 * reverse)
    assert output.mask.shape == (2, 1, 64, 64)
    loss(output, batch)["total"].backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None}
    # f_2 is read by the edge alone, but lies below f_3.
    assert not idle


def test_edge_attention_needs_the_reverse_attention_that_it_joins() -> None:
    with pytest.raises(UserError, match="reverse_attention"):
        InfNet(trunk="resnet50", reverse_attention=False)
    with pytest.raises(UserError, match=r"loss\.args\.edge_weight"):
        InfNetLoss(edge_weight=-1.0)

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet18

from models import create_model
from models.cosupervision import AttentionFusionModule, EdgeSupervisedModule, LinearFusion
from models.paper_order import algorithm_1, run_in_paper_order
from utils.errors import UserError

PAPER_PARAMETERS = 29_189_355  # the paper's setting, with a bias before every batch norm
PLAIN_PARAMETERS = 29_119_585  # without ESM, ASSM and AFM
PLAIN = {"edge_stages": (), "semantic_stages": (), "fusion": "none"}
SMALL = {"width": 4, "depth": 18}


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_parameter_counts_are_pinned_and_near_the_paper() -> None:
    full, plain = create_model("resunet"), create_model("resunet", **PLAIN)
    assert count(full) == 29_179_755
    assert count(plain) == 29_109_985
    assert count(full) == pytest.approx(PAPER_PARAMETERS, rel=1e-3)
    assert count(plain) == pytest.approx(PLAIN_PARAMETERS, rel=1e-3)
    # Heads of S1 to S5: 64 + 64 + 128 + 256 + 512 weights, 5 biases.
    assert count(full.esm) + count(full.assm) == 1024 + 5


def test_forward_costs_at_most_65_gflops_at_the_paper_size() -> None:
    with torch.device("meta"):
        model = create_model("resunet")
        image = torch.zeros(1, 1, 256, 256)
    with FlopCounterMode(display=False) as counter:
        model(image)
    assert counter.get_total_flops() <= 65e9


@pytest.mark.parametrize("num_classes", [1, 3])
def test_attention_fusion_equals_algorithm_1_in_values_and_gradients(num_classes: int) -> None:
    torch.manual_seed(0)
    channels, size = (6, 6, 8, 10, 12), (48, 32)
    module = AttentionFusionModule(channels, 5, num_classes).double()
    levels = [
        torch.randn(2, c, size[0] >> i, size[1] >> i, dtype=torch.float64, requires_grad=True)
        for i, c in enumerate(channels)
    ]
    wanted, wanted_maps = algorithm_1(module, levels, size, with_maps=True)
    logits, maps = module(levels, size, with_maps=True)
    torch.testing.assert_close(logits, wanted, rtol=0, atol=1e-12)
    assert list(maps) == list(wanted_maps) == ["P_1", "1 - P_1", "Y_1", "S_p"]
    for name in maps:
        torch.testing.assert_close(maps[name], wanted_maps[name], rtol=0, atol=1e-12)
    inputs = [*levels, *module.parameters()]
    weights = torch.randn_like(wanted)
    ours = torch.autograd.grad((logits * weights).sum(), inputs)
    theirs = torch.autograd.grad((wanted * weights).sum(), inputs)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("concat", [False, True])
def test_linear_fusion_equals_project_resize_join_project(concat: bool) -> None:
    torch.manual_seed(0)
    channels, size = (6, 6, 8, 10, 12), (32, 48)
    module = LinearFusion(channels, 5, 2, concat=concat).double()
    levels = [
        torch.randn(2, c, size[0] >> i, size[1] >> i, dtype=torch.float64)
        for i, c in enumerate(channels)
    ]
    upsampled = [
        F.interpolate(p(x), size=size, mode="bilinear")
        for p, x in zip(module.projections, levels, strict=True)
    ]
    joined = torch.cat(upsampled, dim=1) if concat else torch.stack(upsampled).sum(dim=0)
    torch.testing.assert_close(module(levels, size)[0], module.head(joined), rtol=0, atol=1e-12)


def test_side_heads_at_low_resolution_equal_the_paper_order() -> None:
    torch.manual_seed(0)
    module = EdgeSupervisedModule((3, 4, 5), (2, 3)).double()
    features = [
        torch.randn(2, c, 16 >> i, 24 >> i, dtype=torch.float64) for i, c in enumerate((3, 4, 5))
    ]
    for stage, logits in zip((2, 3), module(features, (16, 24)), strict=True):
        large = F.interpolate(features[stage - 1], size=(16, 24), mode="bilinear")
        wanted = module.heads[str(stage)](large)
        torch.testing.assert_close(logits, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("switches", "num_edge", "num_semantic"),
    [
        ({}, 2, 3),
        (PLAIN, 0, 0),
        ({"edge_stages": (1, 2, 3, 4, 5), "semantic_stages": ()}, 5, 0),
        ({"decoder_edge_stages": (1, 2), "decoder_semantic_stages": (3, 4, 5)}, 4, 6),
        ({"fusion": "add"}, 2, 3),
        ({"fusion": "concat"}, 2, 3),
        ({"depth": 50}, 2, 3),
        ({"depth": 34, "num_classes": 4}, 2, 3),
    ],
)
def test_every_switch_gives_logits_at_the_input_size(
    switches: dict, num_edge: int, num_semantic: int
) -> None:
    model = create_model("resunet", **(SMALL | switches)).eval()
    output = model(torch.randn(1, 1, 48, 80))
    assert output.mask.shape == (1, switches.get("num_classes", 1), 48, 80)
    assert [tuple(s.shape) for s in output.edge] == [(1, 1, 48, 80)] * num_edge
    assert [tuple(s.shape) for s in output.semantic] == [(1, 1, 48, 80)] * num_semantic
    assert output.lung is None
    assert output.maps == {}
    heads = {"mask"} | ({"edge"} if num_edge else set()) | ({"semantic"} if num_semantic else set())
    assert model.heads == heads


@pytest.mark.parametrize(
    ("arguments", "edge", "semantic"),
    [
        ({}, ("S1", "S2"), ("S3", "S4", "S5")),
        (
            {"edge_stages": (1, 2, 3, 4, 5), "semantic_stages": ()},
            ("S1", "S2", "S3", "S4", "S5"),
            (),
        ),
        (
            {"edge_stages": (2,), "decoder_edge_stages": (1,), "decoder_semantic_stages": (4, 5)},
            ("S2", "S1*"),
            ("S3", "S4", "S5", "S4*", "S5*"),
        ),
        (PLAIN, (), ()),
    ],
)
def test_side_outputs_are_named_in_their_order(
    arguments: dict, edge: tuple[str, ...], semantic: tuple[str, ...]
) -> None:
    model = create_model("resunet", **SMALL, **arguments).eval()
    assert model.side_outputs == {"edge": edge, "semantic": semantic}
    output = model(torch.randn(1, 1, 32, 32))
    assert (len(output.edge), len(output.semantic)) == (len(edge), len(semantic))
    # The last edge output is the one of the module that the last name speaks of.
    if edge:
        head = model.decoder_esm.heads if edge[-1].endswith("*") else model.esm.heads
        torch.nn.init.constant_(head[edge[-1][1]].weight, 0)
        torch.nn.init.constant_(head[edge[-1][1]].bias, 7)
        changed = model(torch.randn(1, 1, 32, 32)).edge
        assert [bool((side == 7).all()) for side in changed] == [False] * (len(edge) - 1) + [True]


def test_every_parameter_is_registered_and_gets_a_gradient() -> None:
    model = create_model(
        "resunet", **SMALL, decoder_edge_stages=(1, 2), decoder_semantic_stages=(3, 4, 5)
    )
    output = model(torch.randn(2, 1, 64, 32))
    torch.stack(
        [t.pow(2).mean() for t in (output.mask, *output.edge, *output.semantic)]
    ).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_state_dict_moves_to_a_differently_seeded_net_bit_for_bit() -> None:
    torch.manual_seed(1)
    first = create_model("resunet", **SMALL)
    first(torch.randn(2, 1, 32, 32))
    torch.manual_seed(2)
    second = create_model("resunet", **SMALL)
    second.load_state_dict(first.state_dict())
    image = torch.randn(1, 1, 64, 64)
    one, two = first.eval()(image), second.eval()(image)
    assert torch.equal(one.mask, two.mask)
    assert all(torch.equal(a, b) for a, b in zip(one.edge, two.edge, strict=True))


def test_batch_of_one_equals_its_place_in_a_batch_in_evaluation_mode() -> None:
    model = create_model("resunet", **SMALL).eval()
    image = torch.randn(3, 1, 32, 32)
    torch.testing.assert_close(model(image).mask[1:2], model(image[1:2]).mask, rtol=0, atol=1e-5)


def test_maps_come_on_request_and_change_nothing() -> None:
    model = create_model("resunet", **SMALL).eval()
    image = torch.randn(1, 1, 32, 32)
    output = model(image, with_maps=True)
    assert set(output.maps) == {"P_1", "1 - P_1", "Y_1", "S_p"}
    assert torch.equal(output.mask, model(image).mask)


def test_size_not_divisible_by_16_names_the_size_to_pad_to() -> None:
    with pytest.raises(UserError, match="pad it to 64 x 48"):
        create_model("resunet", **SMALL)(torch.zeros(1, 1, 50, 33))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_channels_last_and_autocast_are_finite_and_near_the_plain_result(
    precision: torch.dtype,
) -> None:
    torch.manual_seed(0)
    model, image = create_model("resunet", **SMALL).eval(), torch.randn(2, 1, 64, 48)
    wanted = model(image).mask
    model = model.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", precision, enabled=precision == torch.bfloat16):
        mask = model(image.contiguous(memory_format=torch.channels_last)).mask.float()
    tolerance = 1e-4 if precision == torch.float32 else 0.1
    torch.testing.assert_close(mask, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fusion": "atention"}, "model.args.fusion"),
        ({"depth": 35}, "model.args.depth"),
        ({"width": 7}, "model.args.width"),
        ({"width": "wide"}, "model.args.width: .*integer.*'wide'"),
        ({"in_channels": 1.5}, "model.args.in_channels"),
        ({"edge_stages": (0, 1)}, "model.args.edge_stages"),
        ({"edge_stages": 2}, "model.args.edge_stages"),
        ({"edge_stages": (2, 1)}, "model.args.edge_stages"),
        ({"edge_stages": (1, 2, 3)}, r"stages \[3\] stand in both"),
        ({"edge_stage": (1,)}, "did you mean edge_stages"),
        ({"encoder_weights": "no.pth"}, "no file no.pth"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        create_model("resunet", **arguments)


def test_unknown_network_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean resunet"):
        create_model("resnet")


def test_encoder_takes_torchvision_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    donor = resnet18()
    torch.save(donor.state_dict(), tmp_path / "resnet18.pth")
    model = create_model("resunet", depth=18, encoder_weights=tmp_path / "resnet18.pth")
    assert torch.equal(model.encoder.layer4[1].conv2.weight, donor.layer4[1].conv2.weight)
    with pytest.raises(UserError, match="do not fit this encoder"):
        create_model("resunet", depth=34, encoder_weights=tmp_path / "resnet18.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(UserError, match="not a weights file"):
        create_model("resunet", depth=18, encoder_weights=tmp_path / "text.pth")


def test_the_whole_network_equals_itself_in_the_papers_order() -> None:
    torch.manual_seed(0)
    model = create_model("resunet", **SMALL, decoder_edge_stages=(1,)).double().eval()
    image = torch.randn(2, 1, 48, 32, dtype=torch.float64)
    fast = model(image, with_maps=True)
    assert run_in_paper_order(model)
    slow = model(image, with_maps=True)
    for one, two in zip(
        (fast.mask, *fast.edge, *fast.semantic, *fast.maps.values()),
        (slow.mask, *slow.edge, *slow.semantic, *slow.maps.values()),
        strict=True,
    ):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)

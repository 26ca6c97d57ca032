from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet18

from models import create_model
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
    num_maps = switches.get("num_classes", 1)
    assert [tuple(s.shape) for s in output.semantic] == [(1, num_maps, 48, 80)] * num_semantic
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


def test_the_lung_head_is_one_convolution_and_changes_nothing_else() -> None:
    plain, dual = create_model("resunet", **SMALL), create_model("resunet", **SMALL, lung_head=True)
    assert dual.heads == plain.heads | {"lung"}
    assert dual.own_loss_args == {"lung": 1.0}
    assert dual.lung_head.in_channels == SMALL["width"]
    state = dual.state_dict()
    assert set(state) - set(plain.state_dict()) == {"lung_head.weight", "lung_head.bias"}
    plain.load_state_dict({key: state[key] for key in plain.state_dict()})
    image = torch.randn(2, 1, 48, 32)
    wanted, found = plain.eval()(image), dual.eval()(image)
    assert found.lung.shape == (2, 1, 48, 32)
    torch.testing.assert_close(found.mask, wanted.mask, rtol=0, atol=0)
    assert wanted.lung is None


def test_the_lung_gate_leaves_no_lesion_outside_the_lungs_and_training_as_it_is() -> None:
    head = create_model("resunet", **SMALL, lung_head=True)
    gated = create_model("resunet", **SMALL, lung_head=True, lung_gate=True)
    image = torch.randn(2, 1, 48, 32)
    with torch.no_grad():
        output = head.eval()(image)
        head.lung_head.bias += output.mask.median() - output.lung.median()
    gated.load_state_dict(head.state_dict())
    wanted, found = head.train()(image), gated.train()(image)
    torch.testing.assert_close(found.mask, wanted.mask, rtol=0, atol=0)
    wanted, found = head.eval()(image), gated.eval()(image)
    assert (wanted.mask > wanted.lung).any()
    assert (wanted.mask < wanted.lung).any()
    torch.testing.assert_close(found.mask, torch.minimum(wanted.mask, wanted.lung))


@pytest.mark.parametrize("args", [{}, {"lung_head": True, "num_classes": 3}])
def test_a_lung_gate_needs_a_lung_head_and_a_single_class(args: dict) -> None:
    with pytest.raises(UserError, match="lung_gate"):
        create_model("resunet", **SMALL, **args, lung_gate=True)

from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from models.smp import SmpNetwork
from utils.errors import UserError

ARCHITECTURES = list(smp.MODEL_ARCHITECTURES_MAPPING)
TRANSFORMER = "tu-vit_tiny_patch16_224"
HRNET = "tu-hrnet_w18_small"
# Dilated encoders reduce by 8 or 16, which these cannot.
UNDILATED = ("vgg", "densenet", "inceptionresnetv2", "inceptionv4", "xception")


def build(arch: str, **args: object) -> SmpNetwork:
    return SmpNetwork(arch=arch, encoder=TRANSFORMER if arch == "dpt" else "resnet18", **args)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_trains_on_its_smallest_images(arch: str) -> None:
    model = build(arch, num_classes=2)
    size = (model.min_size, model.min_size + model.stride)
    output = model(torch.randn(2, 1, *size))
    assert output.mask.shape == (2, 2, *size)
    output.mask.mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("arch", "stride", "min_size", "num_parameters"),
    [
        ("unet", 32, 32, 14_321_937),
        ("deeplabv3plus", 16, 32, 12_323_025),
        ("pan", 16, 128, 11_361_384),
        # 10,493,440 of the library's 11,323,553 belong to the last two stages, which are not used.
        ("pspnet", 8, 32, 830_113),
        # The final norm and the classifier of the transformer: 384 and 193,000 of 34,781,609.
        ("dpt", 32, 32, 34_588_225),
    ],
)
def test_strides_smallest_sizes_and_parameters_are_pinned(
    arch: str, stride: int, min_size: int, num_parameters: int
) -> None:
    model = build(arch)
    assert (model.stride, model.min_size, count(model)) == (stride, min_size, num_parameters)


def test_logits_are_those_of_the_library() -> None:
    torch.manual_seed(0)
    model = build("unet").eval()
    image = torch.randn(1, 1, 32, 64)
    assert torch.equal(model(image, with_maps=True).mask, model.net(image))
    torch.manual_seed(0)
    theirs = smp.Unet("resnet18", encoder_weights=None, in_channels=1).eval()
    assert torch.equal(model.net(image), theirs(image))


def test_leaving_out_unused_stages_changes_no_logit() -> None:
    model = build("pspnet").eval()
    theirs = smp.PSPNet("resnet18", encoder_weights=None, in_channels=1).eval()
    missing, unexpected = theirs.load_state_dict(model.net.state_dict(), strict=False)
    assert unexpected == []
    assert {name.split(".")[1] for name in missing} == {"layer3", "layer4"}
    image = torch.randn(1, 1, 64, 64)
    assert torch.equal(model(image).mask, theirs(image))


@pytest.mark.parametrize("encoder", ["tu-resnet10t", "mit_b0", "efficientnet-b0"])
def test_encoders_of_other_families_take_one_channel(encoder: str) -> None:
    model = SmpNetwork(arch="fpn", encoder=encoder)
    model(torch.randn(2, 1, 64, 32)).mask.mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.fixture
def no_random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave weights as they are allocated, where only shapes and gradients matter."""
    for name in ("uniform_", "normal_", "erfinv_"):
        monkeypatch.setattr(torch.Tensor, name, lambda tensor, *_args, **_settings: tensor)


@pytest.mark.slow
@pytest.mark.usefixtures("no_random_weights")
@pytest.mark.parametrize("encoder", smp.encoders.get_encoder_names())
@pytest.mark.parametrize("arch", ["unet", "pspnet", "deeplabv3plus"])
def test_every_encoder_is_built_or_refused_in_one_line(arch: str, encoder: str) -> None:
    if arch == "deeplabv3plus" and encoder.startswith(UNDILATED):
        with pytest.raises(UserError, match="dilated mode"):
            SmpNetwork(arch=arch, encoder=encoder)
        return
    model = SmpNetwork(arch=arch, encoder=encoder)
    size = (model.min_size, model.min_size + model.stride)
    mask = model.to("meta")(torch.empty(2, 1, *size, device="meta")).mask
    mask.sum().backward()
    assert mask.shape == (2, 1, *size)
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"arch": "unett"}, "model.args.arch: there is no 'unett', did you mean unet"),
        ({"encoder": "resnet43"}, "model.args.encoder: there is no .*, did you mean resnet34"),
        ({"encoder": "tu-resnet10tt"}, "did you mean tu-resnet10t"),
        ({"arch": "dpt"}, "dpt takes vision transformers .* such as tu-vit_base_patch16_224"),
        ({"arch": "dpt", "encoder": "tu-resnet10t"}, "tu-resnet10t does not fit dpt"),
        (
            {"arch": "pan", "encoder": "densenet121"},
            "densenet121 does not fit pan, .* can become dilations",
        ),
        ({"arch": "pan", "encoder": HRNET}, f"{HRNET} does not fit pan, .* dilations"),
        (
            {"arch": "pspnet", "encoder": HRNET},
            "does not fit pspnet, .* cannot do without",
        ),
        ({"arch": "linknet", "encoder": "mit_b0"}, "mit_b0 does not fit linknet, .* no mit ones"),
        (
            {"encoder": "tu-swin_tiny_patch4_window7_224"},
            "does not fit unet, .* images of any size",
        ),
        ({"encoder": "resnet18", "pretrained": "no.pth"}, "model.args.pretrained: no file no.pth"),
        ({"encoder": "tu-resnet10t", "pretrained": "no.pth"}, "pretrained: no file no.pth"),
        ({"encoder": "resnext101_32x4d", "pretrained": "imagenet"}, "no ImageNet weights"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        SmpNetwork(**arguments)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet10t"])
def test_weights_that_cannot_be_fetched_are_named_with_their_place(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody listens there
        monkeypatch.setenv(variable.upper(), "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"https://huggingface.co/.*model.safetensors") as refusal:
        SmpNetwork(encoder=encoder, pretrained="imagenet")
    assert f"put it at {tmp_path}" in str(refusal.value)


def test_encoder_takes_weights_of_a_file_and_one_channel_sums_the_colours(tmp_path: Path) -> None:
    donor = smp.Unet("resnet18", encoder_weights=None).encoder
    torch.save(donor.state_dict(), tmp_path / "resnet18.pth")
    model = build("unet", pretrained=str(tmp_path / "resnet18.pth"))
    encoder = model.net.encoder
    assert torch.equal(encoder.layer4[1].conv2.weight, donor.layer4[1].conv2.weight)
    wanted = donor.conv1.weight.sum(dim=1, keepdim=True)
    torch.testing.assert_close(encoder.conv1.weight, wanted)
    with pytest.raises(UserError, match="does not fit resnet34 of smp"):
        SmpNetwork(encoder="resnet34", pretrained=str(tmp_path / "resnet18.pth"))


def test_imagenet_weights_are_taken_from_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    donor = smp.Unet("resnet18", encoder_weights=None).encoder
    place = tmp_path / "hub" / "checkpoints" / "resnet18.imagenet.safetensors"
    place.parent.mkdir(parents=True)
    save_file(donor.state_dict(), place)
    encoder = build("unet", pretrained="imagenet").net.encoder
    assert torch.equal(encoder.layer1[0].conv1.weight, donor.layer1[0].conv1.weight)


def test_timm_encoder_takes_timm_weights_of_a_file(tmp_path: Path) -> None:
    donor, path = timm.create_model("resnet10t"), tmp_path / "resnet10t.pth"
    torch.save(donor.state_dict(), path)
    model = SmpNetwork(encoder="tu-resnet10t", pretrained=str(path))
    own = model.net.encoder.model.layer4[0].conv2.weight
    assert torch.equal(own, donor.layer4[0].conv2.weight)
    (tmp_path / "text.pth").write_text("not weights")
    for file, encoder in (("text.pth", "tu-resnet10t"), ("resnet10t.pth", "tu-resnet18")):
        with pytest.raises(UserError, match=f"{encoder} with the weights .*{file} does not fit"):
            SmpNetwork(encoder=encoder, pretrained=str(tmp_path / file))


def test_sizes_that_do_not_fit_are_answered_with_ones_that_do() -> None:
    with pytest.raises(UserError, match="pad it to 64 x 64"):
        build("unet")(torch.zeros(1, 1, 64, 50))
    with pytest.raises(
        UserError,
        match=r"64 x 128 px does not fit SmpNetwork: .* at least 128 px; pad it to 128 x 128",
    ):
        build("pan")(torch.zeros(1, 1, 64, 128))

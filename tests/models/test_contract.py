"""What every registered network promises; a new one is tested by standing in MODELS."""

import io
from collections.abc import Iterator

import onnxruntime
import pytest
import torch
from small_networks import build, fitting, oblong, own_loss, settle, slices
from torch import Tensor, nn

from models import MODELS, create_model, list_models
from models.parts.checks import fitting_size
from models.parts.network import SegmentationNetwork
from training.runtime import keep_freed_memory
from utils.errors import UserError

# Networks that ONNX cannot express, and why.
NO_ONNX: dict[str, str] = {}


@pytest.fixture(scope="module", autouse=True)
def _keep_memory() -> Iterator[None]:
    """A sixth of the time of these tests would go to giving memory back."""
    keep_freed_memory(True)
    yield
    keep_freed_memory(False)


@pytest.fixture(scope="module", params=list_models())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def network(name: str) -> nn.Module:
    """A small network; tests leave its weights as they are."""
    network = build(name)
    return settle(network, slices(4, *oblong(network))["image"])


@pytest.fixture(autouse=True)
def _clean(network: nn.Module) -> Iterator[None]:
    yield
    network.zero_grad(set_to_none=True)


def assert_near(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    """Equal up to a share of the largest logit, or of 1."""
    scale = max(1.0, wanted.abs().max().item())
    torch.testing.assert_close(found / scale, wanted / scale, rtol=0, atol=tolerance)


def test_network_states_its_source_and_its_loss(name: str) -> None:
    network = MODELS[name]
    assert issubclass(network, SegmentationNetwork)
    for attribute in ("title", "paper", "reference_licence", "own_loss"):
        text = getattr(network, attribute, None)
        assert isinstance(text, str), f"{name}: {network.__name__}.{attribute} is missing"
        assert text.strip(), f"{name}: {network.__name__}.{attribute} is empty"


def test_logits_have_the_size_of_an_oblong_image_and_the_heads_that_are_named(
    network: nn.Module,
) -> None:
    size = oblong(network)
    image = slices(2, *size)["image"]
    with torch.no_grad():
        output = network.eval()(30 * image)  # far beyond [0, 1], if nothing squeezes it
    found = {"edge": output.edge, "semantic": output.semantic, "lung": output.lung is not None}
    assert network.heads == {"mask"} | {head for head, value in found.items() if value}
    assert all(logits.shape == (2, 1, *size) for logits in output.logits())
    assert output.maps == {}
    values = torch.cat([logits.flatten() for logits in output.logits()])
    assert values.min() < 0 or values.max() > 1, "probabilities, not logits"


def test_every_parameter_gets_a_gradient_under_its_own_loss(network: nn.Module) -> None:
    loss = own_loss(network)
    assert loss.required_heads <= network.heads
    for has_lung in (True, False)[: 1 + ("lung" in network.heads)]:
        network.zero_grad(set_to_none=True)
        batch = slices(2, *oblong(network), has_lung=has_lung)
        terms = loss(network.train()(batch["image"]), batch)
        terms["total"].backward()
        assert all(torch.isfinite(term) for term in terms.values()), terms
        missing = [key for key, p in network.named_parameters() if p.grad is None]
        assert missing == []
        assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_state_dict_moves_to_a_differently_seeded_net_bit_for_bit(
    name: str, network: nn.Module
) -> None:
    other = build(name, seed=1)
    other.load_state_dict(network.state_dict())
    image = slices(1, *oblong(network))["image"]
    with torch.no_grad():
        one, two = network.eval()(image), other.eval()(image)
    assert all(torch.equal(a, b) for a, b in zip(one.logits(), two.logits(), strict=True))


def test_batch_of_one_equals_its_place_in_a_batch(network: nn.Module) -> None:
    image = slices(2, *oblong(network))["image"].double()
    network.double().eval()
    with torch.no_grad():
        both, alone = network(image).mask, network(image[1:]).mask
    network.float()
    assert_near(alone, both[1:], 1e-9)


def test_channels_last_and_bf16_are_finite(network: nn.Module) -> None:
    network.train().to(memory_format=torch.channels_last)
    batch = slices(2, *oblong(network))
    batch["image"] = batch["image"].contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            output = network(batch["image"])
        terms = own_loss(network)(output, batch)
    network.to(memory_format=torch.contiguous_format)
    assert all(torch.isfinite(logits).all() for logits in output.logits())
    assert all(torch.isfinite(term) for term in terms.values()), terms


def test_every_part_is_registered(network: nn.Module) -> None:
    known = {id(m) for m in network.modules()}
    known |= {id(t) for t in (*network.parameters(), *network.buffers())}
    for path, module in network.named_modules():
        for key, value in vars(module).items():
            if key not in ("_modules", "_parameters", "_buffers"):
                loose = [part for part in _parts(value) if id(part) not in known]
                assert loose == [], f"{path}.{key}"


def _parts(value: object) -> Iterator[nn.Module | Tensor]:
    """Modules and tensors in a plain attribute, however nested."""
    if isinstance(value, nn.Module | Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _parts(list(value.values()))
    elif isinstance(value, list | tuple | set):
        for element in value:
            yield from _parts(element)


def test_unknown_argument_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UserError, match=rf"model\.args\.in_channel: {name} .* mean in_channels"):
        create_model(name, in_channel=1)


@pytest.mark.parametrize("argument", ["in_channels", "num_classes"])
@pytest.mark.parametrize("value", [0, -1])
def test_no_channels_and_no_classes_are_refused_in_one_line(
    name: str, argument: str, value: int
) -> None:
    with pytest.raises(UserError) as refusal:
        create_model(name, **{argument: value})
    wanted = f"model.args.{argument}: must be an integer of at least 1, not {value}"
    assert str(refusal.value) == wanted


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_sizes_that_do_not_fit_are_refused_in_one_line_that_names_network_and_size(
    network: nn.Module, mode: str
) -> None:
    fit, stride = fitting(network, 64), network.stride
    sizes = [(fit, fit + 1), (fit + 1, fit)] if stride > 1 else []
    small = network.min_size - stride
    sizes += [(small, fit), (fit, small)] if small > 0 else []
    network.train(mode == "train")
    for height, width in sizes:
        with pytest.raises(UserError) as refusal:
            network(torch.zeros(2, 1, height, width))
        message = str(refusal.value)
        wanted = f"an image of {height} x {width} px does not fit {type(network).__name__}: "
        assert message.startswith(wanted)
        assert "\n" not in message
        proposed = tuple(map(int, message.rpartition("pad it to ")[2].split(" x ")))
        assert proposed == fitting_size(network, height, width)
        assert all(s % stride == 0 and s >= network.min_size for s in proposed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_onnx_gives_the_same_mask(name: str, network: nn.Module) -> None:
    if name in NO_ONNX:
        pytest.skip(NO_ONNX[name])
    side = fitting(network, 32)
    image, file = slices(1, side, side + max(network.stride, 32))["image"], io.BytesIO()
    mask_of = _MaskAlone(network).eval()
    torch.onnx.export(mask_of, (image,), file, dynamo=False)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (mask,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    with torch.no_grad():
        assert_near(torch.from_numpy(mask), mask_of(image), 1e-4)


class _MaskAlone(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image).mask


def test_smallest_images_train(network: nn.Module) -> None:
    side = fitting(network, network.min_size)
    batch = slices(2, side, side)
    own_loss(network)(network.train()(batch["image"]), batch)["total"].backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())

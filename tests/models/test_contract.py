"""What every registered network promises; a new one is tested by standing in MODELS."""

import io
from collections.abc import Iterator

import onnxruntime
import pytest
import torch
from small_networks import build, fitting, oblong, own_loss, settle, slices
from torch import Tensor, nn

from models import create_model, list_models
from utils.allocator import keep_freed_memory
from utils.benchmark.step_variants import missing_compiler
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


def test_sizes_that_do_not_fit_are_refused_in_one_line(network: nn.Module) -> None:
    if network.stride == 1:
        pytest.skip("takes any size")
    fit = fitting(network, 64)
    with pytest.raises(UserError, match=f"{fit} x {fit + 1} px") as refusal:
        network.eval()(torch.zeros(1, 1, fit, fit + 1))
    assert "\n" not in str(refusal.value)


def test_images_that_are_too_small_are_refused_in_one_line_where_they_do_not_run(
    network: nn.Module,
) -> None:
    fit, small = fitting(network, 64), network.min_size - network.stride
    if small < 1:
        pytest.skip("takes any size")
    for size in ((small, fit), (fit, small)):
        try:
            assert network.train()(torch.randn(2, 1, *size)).mask.shape[-2:] == size
        except UserError as refusal:
            assert f"{size[0]} x {size[1]} px" in str(refusal)  # noqa: PT017 - it may run, too
            assert "\n" not in str(refusal)  # noqa: PT017


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


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler(torch.device("cpu")) is not None, reason="no compiler")
def test_compiled_network_gives_the_same_logits(network: nn.Module) -> None:
    image = slices(2, *oblong(network))["image"]
    with torch.no_grad():
        wanted = network.eval()(image).logits()
        found = torch.compile(network, fullgraph=True)(image).logits()
    for one, other in zip(found, wanted, strict=True):
        assert_near(one, other, 1e-4)

"""Variants of the training step: their counts, their convolutions, and a failure among them."""

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmark.step_cost import TimedStep, count_flops, measure_peak, warm_step
from benchmark.step_profile import CONVOLUTIONS
from benchmark.step_rows import MATMUL_SIZE, measure_steps
from benchmark.step_variants import (
    Variant,
    choose_variants,
    default_variant,
    list_variants,
    missing_compiler,
)
from benchmark.table import format_rows
from datasets.noise import noise_batch
from losses import create_loss
from models import create_model
from training.runtime import Runtime
from utils.config import Config
from utils.config_loader import load_config
from utils.errors import UserError

CPU = torch.device("cpu")
PLAIN = Variant(Runtime(CPU, None, False, keep_memory=False))
FAST = Variant(Runtime(CPU, None, True))
# Petabytes: more than a process can address, so that no system pretends to have them.
ENDLESS = "training.batch_size=1000000000000"


def configure(*settings: str) -> Config:
    common = ("model.args.width=2", "model.args.depth=18", "data.image_size=32")
    return load_config(
        overrides=[*common, "training.device=cpu", "training.batch_size=2", *settings]
    )


def small_network(**arguments: object) -> nn.Module:
    return create_model("resunet", width=2, depth=18, **arguments)


def test_forward_and_backward_of_a_convolution_count_two_per_multiply_add() -> None:
    convolution = nn.Conv2d(3, 8, 3, padding=1)
    image = torch.zeros(2, 3, 5, 7)
    forward = 2 * (2 * 8 * 5 * 7) * (3 * 3 * 3)  # 2 x outputs x products per output
    assert count_flops(lambda: convolution(image)) == forward
    # The image takes no gradient, so backward is the weights' alone: as many again.
    assert count_flops(lambda: convolution(image).sum().backward()) == 2 * forward
    image.requires_grad_()
    assert count_flops(lambda: convolution(image).sum().backward()) == 3 * forward


def test_normalisation_activation_and_resizing_count_nothing() -> None:
    layers = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Upsample(scale_factor=2))
    assert count_flops(lambda: layers(torch.zeros(2, 3, 4, 4))) == 0


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_every_convolution_is_found_once_forward_and_once_backward(
    dtype: torch.dtype | None,
) -> None:
    layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2))
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
            total = layers(torch.rand(2, 1, 16, 16)).sum()
        total.backward()
    counts = {entry.key: entry.count for entry in recorded.key_averages()}
    assert [counts[name] for name in CONVOLUTIONS] == [2, 2]


def test_a_default_that_is_no_variant_gets_a_row_of_its_own() -> None:
    own = Variant(Runtime(CPU, torch.bfloat16, False))
    variants = list_variants(own, small_network(fusion="none"), with_compile=False)
    assert own in variants
    common = [variant for variant in variants if variant.runtime != own.runtime]
    again = list_variants(PLAIN, small_network(fusion="none"), with_compile=False)
    assert [v for v in again if not v.activation_checkpointing] == common
    assert len(set(again)) == len(again)


def test_only_what_a_network_can_do_has_a_row() -> None:
    variants = list_variants(FAST, small_network(), with_compile=False)
    assert [variant.paper_order for variant in variants] == [False, True, False, False, False]
    variants = list_variants(FAST, nn.Conv2d(1, 1, 3), with_compile=False)
    assert [variant.paper_order for variant in variants] == [False, False, False]
    assert not any(v.activation_checkpointing for v in variants)  # it names no segments either


def test_compiled_rows_come_and_go_with_the_flag() -> None:
    with_rows = list_variants(FAST, small_network(), with_compile=True)
    assert [v.name for v in with_rows if v.compile] == [
        "fp32 channels_last, compiled",
        "bf16 channels_last, compiled",
    ]
    without = list_variants(FAST, small_network(), with_compile=False)
    assert without == [variant for variant in with_rows if not variant.compile]


def test_fp16_has_a_row_on_a_gpu_alone() -> None:
    for device, expected in (("cuda", ["fp16 channels_last"]), ("cpu", [])):
        default = Variant(Runtime(torch.device(device), None, True))
        names = [v.name for v in list_variants(default, small_network(), with_compile=False)]
        assert [name for name in names if "fp16" in name] == expected


def test_the_default_is_what_the_configuration_says() -> None:
    config = configure("training.compile=true", "training.activation_checkpointing=true")
    default = default_variant(config, FAST.runtime)
    assert default == FAST._replace(compile=True, activation_checkpointing=True)


def test_a_machine_without_a_compiler_leaves_out_torch_compile_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    why = "there is no C++ compiler (g++ or clang++) on the PATH"
    assert missing_compiler(CPU) == why
    config = configure("training.compile=true")
    default, variants = choose_variants(config, FAST.runtime, small_network(), with_compile=True)
    assert default in variants
    assert not any(variant.compile for variant in variants)
    assert capsys.readouterr().out == f"no rows of torch.compile: {why}\n"


def test_a_step_trains_the_weights_in_each_variant() -> None:
    config, loss = configure(), create_loss("joint")
    bf16 = Variant(Runtime(CPU, torch.bfloat16, True))
    checkpointing = FAST._replace(activation_checkpointing=True)
    for variant in (PLAIN, PLAIN._replace(paper_order=True), bf16, checkpointing):
        before = TimedStep(config, loss, variant).state.model.parameters()  # of the same seed
        step = warm_step(config, loss, variant)
        after = step.state.model.parameters()
        assert all(not torch.equal(*pair) for pair in zip(before, after, strict=True))
        moments = step.state.optimizer.state.values()
        assert {int(state["step"]) for state in moments} == {2}


def test_a_variant_that_fails_leaves_a_note_and_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(MATMUL_SIZE, "cpu", 64)
    trials = {PLAIN: {"note": "out of memory"}, FAST: {"peak_memory_mib": 300}}
    plain, fast = steps = measure_steps(configure(), create_loss("joint"), FAST, trials, 2)
    assert plain == {"variant": PLAIN.name, "is_default": False, "note": "out of memory"}
    assert fast["time_ratio_to_plain"] is None
    assert fast["milliseconds_median"] > 0
    text = format_rows([{"kind": "step"} | row for row in steps])
    assert f"{PLAIN.name}: not measured, out of memory" in text
    assert "-" in text.splitlines()[2].split()  # no ratio without the plain step
    assert "as fast as the plain step" not in text


def test_memory_that_runs_out_is_a_note() -> None:
    endless, loss = configure(ENDLESS), create_loss("joint")
    assert measure_peak(endless, loss, FAST) == {"note": "out of memory"}
    (row,) = measure_steps(endless, loss, FAST, {FAST: {"peak_memory_mib": 300}}, 1)
    assert row["note"] == "out of memory"


def test_a_step_that_fits_in_no_variant_is_the_users_mistake() -> None:
    trials = {PLAIN: {"note": "out of memory"}, FAST: {"note": "out of memory"}}
    with pytest.raises(UserError, match=r"on the cpu \(out of memory\); lower training.batch_size"):
        measure_steps(configure(), create_loss("joint"), FAST, trials, 1)


def test_the_synthetic_batch_has_binary_targets_of_the_image_shape() -> None:
    batch = noise_batch(3, 32, 48)
    assert len(batch["name"]) == len(batch["patient"]) == len(batch["has_lung"]) == 3
    for key in ("image", "mask", "edge", "lung"):
        assert batch[key].shape == (3, 1, 32, 48)
    assert set(batch["mask"].unique().tolist()) == {0.0, 1.0}

import os
import subprocess
import sys

import pytest
import torch

from training.runtime import create_runtime, set_determinism
from utils.errors import UserError

# In a process of its own: a heap that other tests have grown spares the faults, too.
_PAGE_FAULTS = """
import resource
import torch
from training.runtime import Runtime

def page_faults_of_ten_large_tensors():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**23)  # 32 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
Runtime(torch.device("cpu"), None, True, keep_memory=False).set_allocator()
print(page_faults_of_ten_large_tensors())
Runtime(torch.device("cpu"), None, True).set_allocator()
page_faults_of_ten_large_tensors()
print(page_faults_of_ten_large_tensors())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_kept_memory_spares_the_page_faults_of_large_tensors() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PAGE_FAULTS], capture_output=True, text=True, check=True
    )
    handed_back, kept = map(int, done.stdout.split())
    # 32 MiB are 8,192 pages of 4 KiB.
    assert handed_back > 10 * 4000
    assert kept < 1000


_RETURNED = """
from pathlib import Path
from training.runtime import return_freed_memory

def resident_pages():
    return int(Path("/proc/self/statm").read_text().split()[1])

blocks = [bytearray(50_000) for _ in range(2000)]  # 100 MB below the size that is mapped
del blocks[:-1]  # the last one stays above what is freed
before = resident_pages()
return_freed_memory()
print(before - resident_pages())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim is glibc's")
def test_freed_memory_below_a_block_in_use_is_returned() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _RETURNED], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 20_000  # pages of 4 KiB, of 24,400


def test_automatic_precision_on_a_cpu_is_fp32_and_bf16_is_a_setting() -> None:
    assert create_runtime("cpu", "auto", True).precision == "fp32"
    runtime = create_runtime("cpu", "bf16", False)
    assert runtime.autocast_dtype is torch.bfloat16
    assert runtime.memory_format is torch.contiguous_format


def test_fp16_is_a_setting() -> None:
    runtime = create_runtime("cpu", "fp16", True)
    assert runtime.precision == "fp16"
    with runtime.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float16


def test_determinism_is_switched_on_and_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    set_determinism(True)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    set_determinism(False)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark


def test_cuda_without_a_gpu_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    with pytest.raises(UserError, match=r"training\.device"):
        create_runtime("cuda", "auto", True)


def test_prepared_networks_and_batches_have_the_memory_format() -> None:
    runtime = create_runtime("cpu", "fp32", channels_last=True)
    layer = runtime.prepare(torch.nn.Conv2d(3, 4, 3))
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    batch = runtime.move({"image": torch.zeros(2, 3, 8, 8), "name": ["a", "b"]})
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    assert batch["name"] == ["a", "b"]


@pytest.mark.slow
def test_narrow_strided_convolutions_give_the_same_in_channels_last_and_survive() -> None:
    """In a process of its own, which dies where memory is overwritten."""
    program = """
import torch
from models import create_model
from training.runtime import create_runtime

torch.manual_seed(0)
plain = create_model("resunet", width=4, depth=18)
narrow = create_model("resunet", width=4, depth=18)
narrow.load_state_dict(plain.state_dict())
runtime = create_runtime("cpu", "fp32", True)
narrow = runtime.prepare(narrow)
image = torch.randn(2, 1, 96, 96)
for _ in range(4):
    wanted, found = plain(image).mask, narrow(runtime.move({"image": image})["image"]).mask
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    wanted.mean().backward()
    found.mean().backward()
for one, other in zip(plain.parameters(), narrow.parameters(), strict=True):
    if one.grad is not None:
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-2, atol=1e-3)
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "alive\n", done.stderr

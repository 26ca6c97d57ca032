"""Jobs of several processes on one CPU, as torchrun starts them."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def start_job(num_processes: int, *arguments: str, script: str = "train.py") -> subprocess.Popen:
    """The script under torchrun, at a port that is free."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--master_port", str(port)]
    command += ["--nproc_per_node", str(num_processes)]
    return subprocess.Popen(
        [*command, str(REPOSITORY / script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def run_in_processes(function: Callable[..., Any], num_processes: int, folder: Path) -> list[Any]:
    """What function(rank) gives in each of several processes that form a group.

    Args:
        function: Of a module, so that a new process finds it; gives tensors and plain values.
        num_processes: How many.
        folder: For the results.
    """
    mp.spawn(_run, args=(function, num_processes, folder), nprocs=num_processes)
    return [torch.load(folder / f"{rank}.pt") for rank in range(num_processes)]


def _run(rank: int, function: Callable[..., Any], num_processes: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=num_processes
    )
    torch.save(function(rank), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def settings_with(settings: Sequence[str], **changes: Any) -> list[str]:
    """Settings with more --set pairs; a__b stands for a.b."""
    pairs = [f"{key.replace('__', '.')}={value}" for key, value in changes.items()]
    return [*settings, *(part for pair in pairs for part in ("--set", pair))]

"""Jobs of several processes on one CPU, as torchrun starts them."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def settings_with(settings: Sequence[str], **changes: Any) -> list[str]:
    """Settings with more --set pairs; a__b stands for a.b."""
    pairs = [f"{key.replace('__', '.')}={value}" for key, value in changes.items()]
    return [*settings, *(part for pair in pairs for part in ("--set", pair))]

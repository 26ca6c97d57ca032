"""What a run was made with: command, code, packages, machine."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.distributed import World
from training.runtime import Runtime

_REPOSITORY = Path(__file__).resolve().parent.parent


def collect_run_info(
    model: nn.Module, runtime: Runtime, seed: int, world: World | None = None
) -> dict[str, Any]:
    """The manifest of a run, as plain values.

    Command, git sha, seed, versions of every installed package, hardware, network size, precision
    and number of processes: what somebody needs who wants the same numbers.
    """
    world = world or World()
    return collect_environment() | {
        "num_parameters": sum(p.numel() for p in model.parameters()),
        "device": str(runtime.device),
        "precision": runtime.precision,
        "channels_last": runtime.channels_last,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "seed": seed,
        "num_processes": world.size,
        "job": world.job,
    }


def collect_environment() -> dict[str, Any]:
    """The part of the manifest that has nothing to do with a network."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "git": git_state(),
        "python": platform.python_version(),
        "packages": _packages(),
        "hardware": hardware(),
    }


def describe_run_info(info: dict[str, Any]) -> str:
    """Code and machine in one line for the log."""
    git, hardware_ = info["git"], info["hardware"]
    code = f"{git['sha'][:9]}{' with changes' if git['dirty'] else ''}" if git else "not in git"
    machine = (
        hardware_.get("gpu")
        if info["device"] == "cuda"
        else (f"{hardware_['processor']}, {hardware_['num_threads']} threads")
    )
    return (
        f"code {code}, torch {info['packages'].get('torch')}, {info['num_parameters']:,} "
        f"parameters, {info['precision']} on {machine}"
    )


def git_state() -> dict[str, Any] | None:
    """Commit and whether files differ from it; None outside a git checkout."""
    sha = _git("rev-parse", "HEAD")
    if sha is None:
        return None
    return {"sha": sha, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}


def git_columns(git: Mapping[str, Any] | None) -> dict[str, Any]:
    """git_sha and git_dirty of a row of results; blank where the code was in no checkout."""
    git = git or {"sha": "", "dirty": ""}
    return {"git_sha": git["sha"], "git_dirty": git["dirty"]}


def hardware() -> dict[str, Any]:
    """Processor, cores and threads; the GPU where there is one."""
    info: dict[str, Any] = {
        "processor": _processor(),
        "num_cores": os.cpu_count(),
        "num_threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        info["gpu"] = torch.cuda.get_device_name()
        info["num_gpus"] = torch.cuda.device_count()
        info["cuda"] = torch.version.cuda
        info["cudnn"] = torch.backends.cudnn.version()
    return info


def _git(*arguments: str) -> str | None:
    """Output of a git command in this repository, or None where it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=_REPOSITORY, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _packages() -> dict[str, str]:
    """Name and version of every distribution that Python finds."""
    found = {entry.metadata["Name"]: entry.version for entry in distributions()}
    return dict(sorted((name, version) for name, version in found.items() if name))


def _processor() -> str:
    """The processor's name; /proc knows more than platform on Linux."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

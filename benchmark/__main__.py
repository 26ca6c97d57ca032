"""Speed, memory and arithmetic of training and evaluation on this machine; see --help."""

import argparse
import sys
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.device import DeviceBenchmark
from benchmark.loader_cost import synthetic_data
from benchmark.metrics_cost import main as measure_metrics
from benchmark.step_cost import MACHINE_ERRORS, describe_failure
from benchmark.step_profile import write_trace
from benchmark.step_variants import default_variant, empty_compile_cache
from benchmark.table import format_tables, legend, write_csv
from benchmark.volume_cost import main as measure_volumes
from benchmark.zoo.command import main as measure_zoo
from datasets.pairing import find_slices
from training.builders import build_loss, build_network, build_runtime
from training.run_info import git_state
from training.runtime import Runtime, create_runtime
from utils.cli import add_config_arguments, create_parser, run_main
from utils.config import Config
from utils.config_loader import load_config
from utils.errors import UserError

# The paper's 8 would take a CPU four times as long for the same ratios.
DEFAULT_BATCH_SIZE = 2
DEFAULT_ROUNDS = {"cpu": 5, "cuda": 30}
_MAX_ROUNDS_BESIDE_GPU = 3  # on the CPU, which takes minutes where the GPU takes seconds


def main() -> None:
    """Command line."""
    others = {"metrics": measure_metrics, "volumes": measure_volumes, "zoo": measure_zoo}
    if other := others.get("".join(sys.argv[1:2])):
        other(sys.argv[2:])
        return
    arguments = _parse_arguments()
    config = _load_config(arguments)
    torch.set_num_threads(arguments.threads)
    network = build_network(config)
    loss = build_loss(config, network)
    runtimes = list_runtimes(config)
    if arguments.profile:
        _profile(config, loss, runtimes[0], arguments.profile)
        return
    num_parameters = sum(p.numel() for p in network.parameters())
    del network  # before the processes that measure memory start
    benchmarks = [
        DeviceBenchmark(
            config,
            loss,
            runtime,
            _num_rounds(runtime, runtimes, arguments.rounds),
            not arguments.no_compile,
        )
        for runtime in runtimes
    ]
    print(describe_setting(config, num_parameters), flush=True)
    rows = []
    with empty_compile_cache():
        for benchmark in reversed(benchmarks):  # a GPU's driver would add to a CPU's peak
            benchmark.try_variants()
        with nullcontext(config) if arguments.data else synthetic_data(config) as data:
            for benchmark in benchmarks:
                rows += _measure(benchmark, config, data)
    print(f"\n{legend()}")
    if arguments.out:
        write_csv(arguments.out, rows, _setting_columns(config, num_parameters))
        print(f"table        {arguments.out}")


def list_runtimes(config: Config) -> list[Runtime]:
    """The configured device; the CPU as well where training.device auto takes a GPU."""
    first, training = build_runtime(config), config.training
    if training.device != "auto" or first.device.type == "cpu":
        return [first]
    return [first, create_runtime("cpu", training.precision, training.channels_last)]


def describe_setting(config: Config, num_parameters: int) -> str:
    """Network, loss and sizes in one line."""
    height, width = config.data.image_size
    return (
        f"{config.model.name}, {num_parameters:,} parameters, loss {config.loss.function}, "
        f"batch {config.training.batch_size} of {height} x {width} px"
    )


def _measure(benchmark: DeviceBenchmark, config: Config, data: Config) -> list[dict[str, Any]]:
    """Measure a device, print its tables, and give its rows with what they were measured on."""
    rows = benchmark.measure(data)
    source = "synthetic slices" if data is not config else config.data.root
    titles = {
        "step": f"training step, batch {config.training.batch_size}",
        "loader": f"training loader, {source}",
        "evaluation": f"evaluation, batch {config.evaluation.batch_size}",
    }
    print(f"\n{benchmark.describe()}\n\n{format_tables(rows, titles)}", flush=True)
    batch_sizes = {"evaluation": config.evaluation.batch_size}
    own = {
        "rounds": benchmark.num_rounds,
        "device": benchmark.runtime.device.type,
        "processor": benchmark.machine,
    }
    default = config.training.batch_size
    return [row | own | {"batch_size": batch_sizes.get(row["kind"], default)} for row in rows]


def _profile(config: Config, loss: nn.Module, runtime: Runtime, folder: Path) -> None:
    """Write a trace of the configured step and print what it shows.

    Raises:
        UserError: The step does not work on this machine.
    """
    try:
        print(write_trace(config, loss, default_variant(config, runtime), folder))
    except MACHINE_ERRORS as error:
        raise UserError(
            f"--profile: the configured step cannot be made here ({describe_failure(error)}); "
            "lower --batch-size or --image-size, or change training.*"
        ) from error


def _parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = create_parser(
        "Measure the training step of the configured network in its variants, the training\n"
        "loader and the evaluation; on a GPU, and on the CPU beside it unless training.device is "
        "cuda.\nThe word metrics as the first argument measures the scoring alone, without a "
        "network; the word volumes measures prepare.py and predict.py on a whole scan.",
        "python -m benchmark metrics\n"
        "  python -m benchmark volumes\n"
        "  python -m benchmark --experiment quickstart --out benchmark.csv\n"
        "  python -m benchmark --experiment quickstart --profile trace",
    )
    parser.prog = "python -m benchmark"
    add_config_arguments(parser)
    threads = torch.get_num_threads()
    counts = {
        "--batch-size": (None, "N", f"slices per step (default: {DEFAULT_BATCH_SIZE})"),
        "--image-size": (None, "PX", "side of the slices (default: data.image_size)"),
        "--threads": (threads, "N", f"default: {threads}, as PyTorch"),
        "--rounds": (None, "N", "default: {cpu}, on a GPU {cuda}".format(**DEFAULT_ROUNDS)),
    }
    for name, (default, unit, text) in counts.items():
        parser.add_argument(name, type=_count, default=default, metavar=unit, help=text)
    parser.add_argument(
        "--no-compile", action="store_true", help="leave out torch.compile, which takes minutes"
    )
    parser.add_argument(
        "--data", action="store_true", help="load from data.root instead of synthetic slices"
    )
    results = parser.add_mutually_exclusive_group()
    results.add_argument("--out", type=Path, metavar="FILE", help="write the table as CSV, too")
    results.add_argument(
        "--profile",
        type=Path,
        metavar="DIR",
        help="measure nothing; trace a few steps as configured for TensorBoard or Perfetto",
    )
    return parser.parse_args()


def _count(text: str) -> int:
    """A positive integer of the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {text!r}")
    return int(text)


def _load_config(arguments: argparse.Namespace) -> Config:
    """The configuration with the sizes of the command line.

    Raises:
        UserError: As load_config, a file or folder cannot be written, or --data is not there.
    """
    if arguments.out and not arguments.out.parent.is_dir():
        raise UserError(f"--out: there is no folder {arguments.out.parent}; make it first")
    given = {"training.batch_size": arguments.batch_size, "data.image_size": arguments.image_size}
    overrides = [f"training.batch_size={DEFAULT_BATCH_SIZE}", *arguments.overrides]
    overrides += [f"{key}={value}" for key, value in given.items() if value is not None]
    config = load_config(arguments.config, arguments.experiment, overrides)
    if arguments.data:
        for split in ("train", "val"):  # now, and not after minutes of timings
            find_slices(Path(config.data.root), split)
    if arguments.profile:
        try:
            arguments.profile.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"--profile: {arguments.profile} cannot be made ({error.strerror}); choose "
                "another folder"
            ) from error
    return config


def _num_rounds(runtime: Runtime, runtimes: list[Runtime], wanted: int | None) -> int:
    """Fewer on a CPU that is measured beside a GPU."""
    num_rounds = wanted or DEFAULT_ROUNDS[runtime.device.type]
    is_beside_gpu = len(runtimes) > 1 and runtime.device.type == "cpu"
    return min(num_rounds, _MAX_ROUNDS_BESIDE_GPU) if is_beside_gpu else num_rounds


def _setting_columns(config: Config, num_parameters: int) -> dict[str, Any]:
    """The last columns of the CSV; a row may have a value of its own."""
    height, width = config.data.image_size
    git = git_state() or {"sha": "", "dirty": ""}
    return {
        "model": config.model.name,
        "num_parameters": num_parameters,
        "batch_size": config.training.batch_size,
        "height": height,
        "width": width,
        "rounds": None,
        "device": None,
        "processor": None,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "git_sha": git["sha"],
        "git_dirty": git["dirty"],
        "date": date.today().isoformat(),
    }


if __name__ == "__main__":
    run_main(main)

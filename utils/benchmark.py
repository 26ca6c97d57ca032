"""Speed, memory and arithmetic of one training step on this machine; see --help."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

from models.paper_order import run_in_paper_order
from utils.builders import build_loss, build_network, build_runtime
from utils.cli import add_config_arguments, create_parser, run_main
from utils.config import Config
from utils.config_loader import load_config
from utils.errors import UserError
from utils.run_info import git_state, hardware
from utils.runtime import Runtime
from utils.step_cost import (
    MATMUL_SIZE,
    Variant,
    measure_matmul_rate,
    measure_peak_memory,
    measure_variants,
)
from utils.tables import write_rows

# The paper's 8 would take a CPU four times as long for the same ratios.
DEFAULT_BATCH_SIZE = 2

_TABLE = {
    "ms/step": ("milliseconds_median", ".1f"),
    "min": ("milliseconds_min", ".1f"),
    "images/s": ("images_per_second", ".2f"),
    "ratio": ("time_ratio_to_plain", ".3f"),
    "peak MiB": ("peak_memory_mib", ".0f"),
    "GFLOP/image": ("gflop_forward_per_image", ".4g"),
    "GFLOP/step": ("gflop_per_step", ".4g"),
    "GFLOP/s": ("gflop_per_second", ".1f"),
    "% of matmul": ("percent_of_matmul_rate", ".1f"),
}
_LEGEND = """\
*            what training.device, training.precision and training.channels_last come to here
step         utils.engine.train_one_epoch on a batch of noise: move, forward, loss, checks,
             backward, Adam, running means; no loading
plain        PyTorch as it comes; on a CPU the other rows keep freed memory for the next step
paper's order  projections after the resize, as algorithm 1 prints it: models/paper_order.py
ms/step      median and minimum over the rounds
ratio        time over the first row's in the same round, median; below 1 is faster
peak MiB     {memory}; over two steps in a fresh process per variant
GFLOP        convolutions and matrix products, 2 per multiply-add; /image forward, /step both ways
% of matmul  GFLOP/s over the matrix product's at the same precision"""


def main() -> None:
    """Command line."""
    arguments = _parse_arguments()
    config = _load_config(arguments)
    torch.set_num_threads(arguments.threads)
    network = build_network(config)
    loss = build_loss(config, network)
    num_parameters = sum(p.numel() for p in network.parameters())
    default = build_runtime(config)
    variants = list_variants(default, has_paper_order=run_in_paper_order(network))
    del network  # before the processes that measure memory start

    print(describe_setting(config, default, num_parameters, arguments.rounds), flush=True)
    memory = [measure_peak_memory(config, loss, v, arguments.threads) for v in variants]
    rates = {
        name: measure_matmul_rate(default.device, dtype)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    size = MATMUL_SIZE[default.device.type]
    print(
        f"matrix product of {size} x {size} here: "
        + ", ".join(f"{name} {rate:,.1f} GFLOP/s" for name, rate in rates.items()),
        flush=True,
    )
    timings = measure_variants(config, loss, variants, arguments.rounds)
    rows = [
        _row(variant, timing, mib, rates[variant.runtime.precision], variant == Variant(default))
        for variant, timing, mib in zip(variants, timings, memory, strict=True)
    ]
    print(format_table(rows, default.device.type))
    if arguments.out:
        setting = _setting_columns(config, default, num_parameters, arguments.rounds)
        write_rows(arguments.out, [_rounded(row) | setting for row in rows])
        print(f"table        {arguments.out}")


def list_variants(default: Runtime, has_paper_order: bool) -> list[Variant]:
    """The plain step, then faster ones on the same device; the default too, if it is another."""
    device = default.device
    plain = Runtime(device, None, False, keep_memory=False)
    variants = [
        Variant(plain),
        *([Variant(plain, paper_order=True)] if has_paper_order else []),
        Variant(Runtime(device, None, True)),
        Variant(Runtime(device, torch.bfloat16, True)),
    ]
    return variants if Variant(default) in variants else [*variants, Variant(default)]


def describe_setting(config: Config, runtime: Runtime, num_parameters: int, num_rounds: int) -> str:
    """Network, sizes and machine in two lines."""
    height, width = config.data.image_size
    return (
        f"training step of {config.model.name}, {num_parameters:,} parameters, loss "
        f"{config.loss.function}, batch {config.training.batch_size} of {height} x {width} px, "
        f"rounds: {num_rounds} after 1 of warm-up, variants in turn\n"
        f"{_machine(runtime)}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )


def format_table(rows: Sequence[Mapping[str, Any]], device: str) -> str:
    """The rows for a terminal, with what the columns mean under them."""
    width = 2 + max(len(row["variant"]) for row in rows) + 2
    lines = [" " * width + "".join(f"{head:>12}" for head in _TABLE)]
    for row in rows:
        cells = "".join(f"{row[key]:{form}}".rjust(12) for key, form in _TABLE.values())
        lines.append(f"{'*' if row['is_default'] else ' '} {row['variant']}".ljust(width) + cells)
    memory = "tensors on the GPU" if device == "cuda" else "process, imports included"
    return "\n".join([*lines, _LEGEND.format(memory=memory)])


def _parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = create_parser(
        "Time one training step of the configured network in fp32 and bf16.",
        "python -m utils.benchmark --experiment quickstart --out benchmark.csv",
    )
    parser.prog = "python -m utils.benchmark"
    add_config_arguments(parser)
    parser.add_argument(
        "--batch-size",
        type=_count,
        metavar="N",
        help=f"slices per step (default: {DEFAULT_BATCH_SIZE})",
    )
    parser.add_argument(
        "--image-size",
        type=_count,
        metavar="PX",
        help="side of the slices (default: data.image_size)",
    )
    parser.add_argument("--threads", type=_count, default=2, metavar="N", help="default: 2")
    parser.add_argument("--rounds", type=_count, default=5, metavar="N", help="default: 5")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table as CSV, too")
    return parser.parse_args()


def _count(text: str) -> int:
    """A positive integer of the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {text!r}")
    return int(text)


def _load_config(arguments: argparse.Namespace) -> Config:
    """The configuration with the sizes of the command line.

    Raises:
        UserError: As load_config, or --out cannot be written.
    """
    if arguments.out and not arguments.out.parent.is_dir():
        raise UserError(f"--out: there is no folder {arguments.out.parent}; make it first")
    given = {"training.batch_size": arguments.batch_size, "data.image_size": arguments.image_size}
    overrides = [f"training.batch_size={DEFAULT_BATCH_SIZE}", *arguments.overrides]
    overrides += [f"{key}={value}" for key, value in given.items() if value is not None]
    return load_config(arguments.config, arguments.experiment, overrides)


def _machine(runtime: Runtime) -> str:
    """Name of the GPU or processor that computes."""
    return hardware()["gpu" if runtime.device.type == "cuda" else "processor"]


def _row(
    variant: Variant, timing: dict[str, float], memory: float, rate: float, is_default: bool
) -> dict[str, Any]:
    """A variant's row: name, timing, peak memory in MiB, and the matrix product's GFLOP/s."""
    runtime = variant.runtime
    layout = "channels_last" if runtime.channels_last else "contiguous"
    plain = "" if runtime.keep_memory else ", plain"
    plain += ", paper's order" if variant.paper_order else ""
    return {
        "variant": f"{runtime.precision} {layout}{plain}",
        "is_default": is_default,
        **timing,
        "peak_memory_mib": round(memory),
        "matmul_gflop_per_second": rate,
        "percent_of_matmul_rate": 100 * timing["gflop_per_second"] / rate,
    }


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with six significant digits."""
    return {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in row.items()}


def _setting_columns(
    config: Config, runtime: Runtime, num_parameters: int, num_rounds: int
) -> dict[str, Any]:
    """The CSV columns that are equal in all rows."""
    height, width = config.data.image_size
    git = git_state() or {"sha": "", "dirty": ""}
    return {
        "model": config.model.name,
        "num_parameters": num_parameters,
        "batch_size": config.training.batch_size,
        "height": height,
        "width": width,
        "rounds": num_rounds,
        "device": runtime.device.type,
        "processor": _machine(runtime),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "git_sha": git["sha"],
        "git_dirty": git["dirty"],
        "date": date.today().isoformat(),
    }


if __name__ == "__main__":
    run_main(main)

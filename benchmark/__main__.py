"""Speed, memory and arithmetic of training and evaluation on this machine; see --help."""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from benchmark.evaluation_cost import measure_evaluation
from benchmark.failures import MACHINE_ERRORS, describe_failure
from benchmark.loader_cost import measure_loaders, with_synthetic_data
from benchmark.metrics_cost import main as measure_metrics
from benchmark.procedure_cost import main as measure_procedures
from benchmark.step_profile import write_trace
from benchmark.step_rows import measure_steps, try_variants
from benchmark.step_variants import Variant, choose_variants, default_variant
from benchmark.table import LEGEND, csv_path, format_rows, machine_columns, write_csv
from benchmark.volume_cost import main as measure_volumes
from benchmark.zoo.command import main as measure_zoo
from training.builders import build_loss, build_network, build_runtime
from utils.cli import (
    add_config_arguments,
    add_out_argument,
    create_parser,
    positive_int,
    run_main,
)
from utils.config import Config
from utils.config_loader import load_config
from utils.errors import UserError

# The paper's 8 would take a CPU four times as long for the same ratios.
DEFAULT_BATCH_SIZE = 2
DEFAULT_ROUNDS = {"cpu": 5, "cuda": 30}
_CSV_COLUMNS = [
    *["kind", "variant", "is_default", "batch_size", "milliseconds_median", "images_per_second"],
    *["time_ratio_to_plain", "peak_memory_mib", "gflop_per_step", "matmul_gflop_per_second"],
    *["percent_of_matmul_rate", "percent_in_convolutions", "note"],
]


def main() -> None:
    """Command line."""
    others = {"metrics": measure_metrics, "volumes": measure_volumes, "zoo": measure_zoo}
    others["procedures"] = measure_procedures
    if other := others.get("".join(sys.argv[1:2])):
        other(sys.argv[2:])
        return
    arguments = _parse_arguments()
    overrides = [f"training.batch_size={DEFAULT_BATCH_SIZE}", *arguments.overrides]
    config = load_config(arguments.config, arguments.experiment, overrides)
    runtime, network = build_runtime(config), build_network(config)
    loss = build_loss(config, network)
    if arguments.profile:
        _profile(config, loss, default_variant(config, runtime), arguments.profile)
        return
    num_rounds = arguments.rounds or DEFAULT_ROUNDS[runtime.device.type]
    setting = _setting_columns(config, network, num_rounds) | machine_columns(runtime.device)
    print(_describe(config, setting), flush=True)
    default, variants = choose_variants(config, runtime, network, not arguments.no_compile)
    del network  # before the processes that measure memory start
    rows = _measure(config, loss, default, variants, num_rounds)
    print(f"\n{format_rows(rows)}\n\n{LEGEND}")
    if arguments.out:
        write_csv(arguments.out, _CSV_COLUMNS, rows, setting)


def _measure(
    config: Config,
    loss: nn.Module,
    default: Variant,
    variants: Sequence[Variant],
    num_rounds: int,
) -> list[dict[str, Any]]:
    """The rows of step, loader and evaluation."""
    runtime = default.runtime
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # torch.compile starts from nothing, as a user's does; the timings find what trials made.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/compiled"
        trials = try_variants(config, loss, variants)
        steps = measure_steps(config, loss, default, trials, num_rounds)
        data = with_synthetic_data(config, Path(folder) / "data")
        loaders = measure_loaders(data, runtime, num_rounds)
    evaluations = measure_evaluation(config, loss, runtime, num_rounds)
    kinds = (
        ("step", config.training.batch_size, steps),
        ("loader", config.training.batch_size, loaders),
        ("evaluation", config.evaluation.batch_size, evaluations),
    )
    return [
        {"kind": kind, "batch_size": batch_size, **row}
        for kind, batch_size, rows in kinds
        for row in rows
    ]


def _profile(config: Config, loss: nn.Module, variant: Variant, folder: Path) -> None:
    """Write a trace of the configured step and print what it shows.

    Raises:
        UserError: The step does not work on this machine, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        print(write_trace(config, loss, variant, folder))
    except OSError as error:
        raise UserError(
            f"--profile: {folder} cannot be written ({error.strerror}); choose another folder"
        ) from error
    except MACHINE_ERRORS as error:
        raise UserError(
            f"--profile: the configured step cannot be made here ({describe_failure(error)}); "
            "lower training.batch_size or data.image_size, or change another key of training"
        ) from error


def _parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = create_parser(
        "Measure the training step of the configured network in its variants, the training\n"
        "loader and the evaluation, on the GPU where there is one. As the first argument a word\n"
        "measures something else: metrics the scoring of a case, without a network; volumes\n"
        "prepare.py and predict.py on a whole scan; zoo every network beside the U-Net;\n"
        "procedures the step of every training procedure.",
        "python -m benchmark --experiment quickstart --out benchmark.csv\n"
        "  python -m benchmark --set training.device=cpu --no-compile\n"
        "  python -m benchmark --experiment quickstart --profile trace\n"
        "  python -m benchmark zoo --help",
    )
    parser.prog = "python -m benchmark"
    add_config_arguments(parser)
    parser.add_argument(
        "--rounds",
        type=positive_int,
        metavar="N",
        help="default: {cpu}, on a GPU {cuda}".format(**DEFAULT_ROUNDS),
    )
    parser.add_argument(
        "--no-compile", action="store_true", help="leave out torch.compile, which takes minutes"
    )
    results = parser.add_mutually_exclusive_group()
    add_out_argument(results, type=csv_path, metavar="FILE", help="write the rows as CSV, too")
    results.add_argument(
        "--profile",
        type=Path,
        metavar="DIR",
        help="measure nothing; trace a few steps as configured for TensorBoard or Perfetto",
    )
    return parser.parse_args()


def _setting_columns(config: Config, network: nn.Module, num_rounds: int) -> dict[str, Any]:
    """Columns of the CSV that are equal in all rows, beside those of the machine."""
    height, width = config.data.image_size
    return {
        "model": config.model.name,
        "num_parameters": sum(p.numel() for p in network.parameters()),
        "height": height,
        "width": width,
        "rounds": num_rounds,
    }


def _describe(config: Config, setting: Mapping[str, Any]) -> str:
    """Network, sizes and machine for the head of the output."""
    return (
        f"{config.model.name}, {setting['num_parameters']:,} parameters, loss "
        f"{config.loss.function}, batch {config.training.batch_size} of {setting['height']} x "
        f"{setting['width']} px\n{setting['processor']}, {setting['threads']} threads, torch "
        f"{setting['torch']}, rounds: {setting['rounds']} after the warm-up, variants in turn"
    )


if __name__ == "__main__":
    run_main(main)

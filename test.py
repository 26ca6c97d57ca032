"""Score a checkpoint on a split; see --help."""

import os
from pathlib import Path
from typing import Any

from torch import nn

from metrics import Meter
from utils.builders import build_network, build_runtime
from utils.checkpoint import load_checkpoint, load_weights
from utils.cli import add_set_argument, create_parser, run_main
from utils.config import Config
from utils.config_loader import override_config, restore_config
from utils.engine import evaluate
from utils.errors import UserError
from utils.loaders import Split, build_evaluation_loader, open_split
from utils.overlays import save_overlays
from utils.progress import Progress
from utils.run_info import collect_run_info, write_json
from utils.runtime import Runtime
from utils.tables import format_scores, write_rows

# What may be set when a checkpoint is scored; the rest is the checkpoint's own.
_OVERRIDABLE = (
    "data.",
    "evaluation.",
    "training.device",
    "training.precision",
    "training.channels_last",
)


def main() -> None:
    """Command line."""
    parser = create_parser(
        "Score a checkpoint on a split.",
        "python test.py --checkpoint checkpoint/quickstart/seed2/best.pt --split test",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: beside the checkpoint")
    add_set_argument(parser)
    arguments = parser.parse_args()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("test.py scores in one process; start it without torchrun")

    checkpoint = load_checkpoint(arguments.checkpoint)
    trained = restore_config(checkpoint["config"])
    config = override_config(trained, arguments.overrides, _OVERRIDABLE)
    runtime = build_runtime(config)
    network = build_network(config)
    load_weights(network, checkpoint["model"], arguments.checkpoint)
    split = open_split(config.data, arguments.split)
    if split.name != arguments.split:
        print(f"{config.data.root} has no {arguments.split}: scoring {split.name}, as the paper")
    print(split.describe(config.data.edge_width))
    out = arguments.out or default_out(arguments.checkpoint, trained, config, split)

    origin = {
        "checkpoint": str(arguments.checkpoint),
        "run": arguments.checkpoint.resolve().parent.parent.name,
        "seed": trained.training.seed,
        "epoch": checkpoint["epoch"],
    }
    score(config, runtime.prepare(network), split, runtime, out, origin)


def default_out(checkpoint: Path, trained: Config, config: Config, split: Split) -> Path:
    """The run's folder; below it for another data set or split, so that no score is replaced."""
    out = checkpoint.parent
    if Path(config.data.root).resolve() != Path(trained.data.root).resolve():
        out /= Path(config.data.root).resolve().name
    return out if split.name == "test" else out / split.name


def score(
    config: Config,
    network: nn.Module,
    split: Split,
    runtime: Runtime,
    out: Path,
    origin: dict[str, Any],
) -> None:
    """Print the table; write metrics.json, per_case.csv and overlays.

    Args:
        config: The checkpoint's, as overridden.
        network: With its weights, prepared by the runtime.
        split: What to score.
        runtime: Device, precision, memory format.
        out: Folder for the files.
        origin: Where the weights are from, for metrics.json.
    """
    meter = Meter(
        empty_target=config.evaluation.empty_target, threshold=config.evaluation.threshold
    )
    loader = build_evaluation_loader(config, split, runtime)
    evaluate(network, Progress(loader, "scoring"), runtime, meter)
    summary = meter.summary() | {
        "image_size": list(config.data.image_size),
        "protocol": "network size",
        "split": split.name,
        "data_set": Path(config.data.root).name,
        **origin,
        "run_info": collect_run_info(network, runtime, config.training.seed),
    }
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        write_rows(out / "per_case.csv", meter.rows)
        save_overlays(out / "figures", config, network, split, runtime, meter.rows)
        write_json(out / "metrics.json", summary)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror})") from error
    print(format_scores(summary))
    print(f"scores   {out / 'metrics.json'}, {out / 'per_case.csv'}\nfigures  {out / 'figures'}")


if __name__ == "__main__":
    run_main(main)

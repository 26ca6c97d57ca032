"""Score a checkpoint, or a folder of maps or volumes, or compare two scored runs; see --help."""

import argparse
import os
from pathlib import Path

from evaluation.cases import NetworkCases
from evaluation.class_scores import create_class_scores
from evaluation.comparison import compare_runs, format_comparison, save_comparison
from evaluation.files import EvaluationFiles
from evaluation.paper_figures import pick_by_area, save_paper_figures
from evaluation.predictions import open_predictions
from evaluation.run import score
from evaluation.scores_folder import scores_folder
from evaluation.second_masks import score_second_masks
from evaluation.volume_scores import create_volume_scores
from metrics.protocols import NATIVE, PROTOCOLS
from training.builders import trains_lung
from training.ensemble import open_runs
from training.run_info import collect_environment, collect_run_info
from training.split import open_split
from utils.cli import add_out_argument, add_set_argument, create_parser, run_main
from utils.config_loader import DEFAULT_CONFIG, load_config, override_config
from utils.errors import UserError

_OF_NATIVE = tuple(
    f"evaluation.{key}" for key in ("empty_target", "threshold", "tolerance_mm", "tolerance_px")
)
# What may be set when maps are scored: they bring no configuration.
_OVERRIDABLE_FOR_MAPS = ("data.lesion_values", *_OF_NATIVE)
_OVERRIDABLE_FOR_VOLUMES = (*_OVERRIDABLE_FOR_MAPS, "data.classes")
_CASES_IN_FIGURES = 4


def main() -> None:
    """Command line."""
    arguments = parse()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("test.py scores in one process; start it without torchrun")
    if arguments.compare:
        compare(*arguments.compare, arguments.unit, arguments.out)
    elif arguments.maps or arguments.volumes:
        score_folder(arguments)
    else:
        score_checkpoint(arguments)


def parse() -> argparse.Namespace:
    """The arguments, once they go together."""
    parser = create_parser(
        "Score a checkpoint on a split, or a folder of maps or volumes; compare two scored runs.",
        "python test.py --checkpoint checkpoint/quickstart/seed2/best.pt --split test\n"
        "  python test.py --maps DIR --masks DIR --protocol infnet\n"
        "  python test.py --volumes DIR --masks DIR\n"
        "  python test.py --compare checkpoint/resunet/seed2 checkpoint/quickstart/seed2",
    )
    _add_subjects(parser)
    parser.add_argument("--masks", type=Path, metavar="DIR", help="masks of these, equal stems")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument(
        "--protocol",
        choices=tuple(PROTOCOLS),
        default=NATIVE.name,
        help="; ".join(f"{p.name}: {p.title}" for p in PROTOCOLS.values()),
    )
    parser.add_argument(
        "--second-masks",
        type=Path,
        metavar="DIR",
        help="with --checkpoint: a second annotator's masks of its slices, scored, too",
    )
    add_out_argument(parser, metavar="DIR", help="default: beside the checkpoint")
    parser.add_argument(
        "--flip", action="store_true", help="average over slices and their mirror images"
    )
    parser.add_argument("--save-maps", action="store_true", help="write every map as 8-bit PNG")
    parser.add_argument(
        "--no-report", action="store_true", help="only the tables: no report.html, no figures"
    )
    parser.add_argument(
        "--unit",
        choices=("auto", "patient", "case"),
        default="auto",
        help="what --compare resamples: patients where they are known (auto)",
    )
    add_set_argument(parser)
    arguments = parser.parse_args()
    _check_together(parser, arguments)
    return arguments


def _add_subjects(parser: argparse.ArgumentParser) -> None:
    """What is scored or compared; one of them."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--checkpoint", type=Path, nargs="+", metavar="FILE", help="several are averaged"
    )
    what.add_argument("--maps", type=Path, metavar="DIR", help="predicted maps, 8-bit grey images")
    what.add_argument(
        "--volumes", type=Path, metavar="DIR", help="NIfTI of any tool: labels, or probabilities"
    )
    what.add_argument(
        "--compare", type=Path, nargs=2, metavar="RUN", help="two folders that test.py has scored"
    )


def _check_together(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if arguments.flip and not arguments.checkpoint:
        parser.error("--flip goes with --checkpoint: only a network can be asked twice")
    if bool(arguments.maps or arguments.volumes) != bool(arguments.masks):
        option = "--volumes" if arguments.volumes else "--maps"
        parser.error(f"{option} and --masks go together: what is predicted is scored against masks")
    if arguments.second_masks and not arguments.checkpoint:
        parser.error("--second-masks goes with --checkpoint, whose data set has the first masks")
    fixed = [o for o in arguments.overrides if o.startswith(_OF_NATIVE)]
    if fixed and PROTOCOLS[arguments.protocol].sets_policy:
        parser.error(f"--set {fixed[0]}: protocol {arguments.protocol} has a rule of its own")


def compare(run_a: Path, run_b: Path, unit: str, out: Path | None) -> None:
    """Print the paired comparison of two runs; write it on request."""
    comparison = compare_runs(run_a, run_b, unit)
    print(format_comparison(comparison))
    if out:
        save_comparison(comparison, out / "comparison.json")
        print(f"\nwritten to {out / 'comparison.json'}")


def score_checkpoint(arguments: argparse.Namespace) -> None:
    """Score a network on a split."""
    protocol = PROTOCOLS[arguments.protocol]
    run = open_runs(
        arguments.checkpoint, arguments.overrides, flip=arguments.flip, takes_guide=True
    )
    config = run.config
    split = open_split(config.data, arguments.split)
    if split.name != arguments.split:
        print(f"{config.data.root} has no {arguments.split}: scoring {split.name}, as the paper")
    print(split.describe(config.data.edge_width))
    split.warn_of_absent_classes(config.data.root)
    origin = {
        "image_size": list(config.data.image_size),
        "split": split.name,
        "data_set": Path(config.data.root).resolve().name,
        "checkpoint": " ".join(map(str, arguments.checkpoint)),
        "run": run.name,
        "seed": config.training.seed,
        "epoch": run.epoch,
        "min_lesion_size": config.evaluation.min_lesion_size,
        "run_info": collect_run_info(run.network, run.runtime, config.training.seed),
    }
    out = arguments.out or scores_folder(
        arguments.checkpoint, run, split, protocol, flip=arguments.flip
    )
    has_lung = trains_lung(run.trained, run.network)
    source = NetworkCases(
        run.network, split, config, run.runtime, protocol.at_network_size, has_lung
    )
    if has_lung:
        origin["lung_masks"] = {"training": run.trained.data.lung, "scoring": config.data.lung}
    has_report = not arguments.no_report
    files = EvaluationFiles(
        out,
        saves_maps=arguments.save_maps,
        classes=create_class_scores(source, protocol, config.evaluation),
        volumes=create_volume_scores(source, protocol, config.evaluation),
        has_report=has_report,
    )
    rows = score(source, protocol, config, files, origin)
    if arguments.second_masks:
        print(f"\n{score_second_masks(arguments.second_masks, split, config, out)}")
    if not has_report:
        return
    with files.errors_named():
        picked = pick_by_area([row["lesion_px"] for row in rows], _CASES_IN_FIGURES)
        save_paper_figures(files.figures, [run], split, picked)


def score_folder(arguments: argparse.Namespace) -> None:
    """Score a folder of maps or volumes against a folder of masks."""
    protocol = PROTOCOLS[arguments.protocol]
    if protocol.at_network_size:
        raise UserError(
            f"--protocol {protocol.name} scores at a network's size, which maps do not tell; take "
            "native or infnet"
        )
    allowed = _OVERRIDABLE_FOR_MAPS if arguments.maps else _OVERRIDABLE_FOR_VOLUMES
    config = override_config(
        load_config(DEFAULT_CONFIG),
        arguments.overrides,
        allowed,
        f"predictions of another tool are scored as they are; they take {', '.join(allowed)}",
    )
    source = open_predictions(
        arguments.maps, arguments.volumes, arguments.masks, config.data, protocol.name == "infnet"
    )
    predicted: Path = arguments.maps or arguments.volumes
    folder = predicted.resolve()
    origin = {
        "split": "maps" if arguments.maps else "volumes",
        "data_set": arguments.masks.resolve().name,
        "maps": str(predicted),
        "masks": str(arguments.masks),
        "run": folder.name,
        "run_info": collect_environment(),
    }
    files = EvaluationFiles(
        arguments.out or folder.with_name(f"{folder.name}_{protocol.name}"),
        classes=create_class_scores(source, protocol, config.evaluation),
        volumes=create_volume_scores(source, protocol, config.evaluation),
        has_report=not arguments.no_report,
    )
    score(source, protocol, config, files, origin)


if __name__ == "__main__":
    run_main(main)

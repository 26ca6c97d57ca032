"""Fit a network described by YAML; see --help."""

from training.builders import build_runtime
from training.classes import with_classes
from training.distributed import join_world, leave_world
from training.procedures import PROCEDURES
from training.run_folder import RunFolder, experiment_name
from utils.cli import add_config_arguments, create_parser, run_main
from utils.config_loader import load_config


def main() -> None:
    """Command line."""
    parser = create_parser(
        "Fit a network described by YAML.",
        "python train.py --experiment quickstart --set training.epochs=12\n"
        "  torchrun --nproc_per_node 2 train.py --experiment quickstart",
    )
    add_config_arguments(parser)
    parser.add_argument("--resume", action="store_true", help="go on from the run's last.pt")
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.experiment, arguments.overrides)
    config = with_classes(config)
    name = experiment_name(arguments.config, arguments.experiment)

    runtime = build_runtime(config)
    world = join_world(use_cuda=runtime.device.type == "cuda")
    folder = RunFolder.of(config.checkpoint.save_dir, name, config.training.seed)
    procedure = PROCEDURES[config.training.procedure]
    for trainer in procedure(config, folder, arguments.resume, runtime, world):
        trainer.run()
        del trainer  # before the next stage takes its memory
    leave_world()


if __name__ == "__main__":
    run_main(main)

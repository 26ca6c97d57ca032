"""Fit a network described by YAML; see --help."""

from utils.builders import build_loss, build_network, build_runtime, build_training_data
from utils.cli import add_config_arguments, create_parser, run_main
from utils.config_loader import load_config
from utils.run_folder import experiment_name, open_run_folder
from utils.runtime import seed_everything
from utils.trainer import Trainer
from utils.training_state import create_training_state


def main() -> None:
    """Command line."""
    parser = create_parser(
        "Fit a network described by YAML.",
        "python train.py --experiment quickstart --set training.epochs=12",
    )
    add_config_arguments(parser)
    parser.add_argument("--resume", action="store_true", help="go on from the run's last.pt")
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.experiment, arguments.overrides)
    name = experiment_name(arguments.config, arguments.experiment)

    runtime = build_runtime(config)
    seed_everything(config.training.seed)
    network = build_network(config)
    loss = build_loss(config, network)
    data = build_training_data(config, runtime)
    state = create_training_state(config, runtime.prepare(network))
    folder = open_run_folder(
        config.checkpoint.save_dir, name, config.training.seed, arguments.resume
    )
    if arguments.resume:
        state.restore(folder.last, config)
    trainer = Trainer(config, state, loss, data, runtime, folder)
    try:
        trainer.run()
    except KeyboardInterrupt:
        print(f"\nstopped in epoch {state.epoch}; {trainer.kept()}; go on with --resume")
        raise


if __name__ == "__main__":
    run_main(main)

"""Fit a network described by YAML; see --help."""

from training.builders import build_loss, build_network, build_runtime, build_training_state
from training.checkpoint import load_latest_checkpoint
from training.data import build_training_data
from training.distributed import join_world, leave_world
from training.random_state import seed_everything
from training.recorder import Recorder, SilentRecorder
from training.run_folder import RunFolder, experiment_name, open_run_folder
from training.run_info import collect_run_info
from training.trainer import Trainer
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
    name = experiment_name(arguments.config, arguments.experiment)

    runtime = build_runtime(config)
    world = join_world(use_cuda=runtime.device.type == "cuda")
    seed_everything(config.training.seed)
    network = build_network(config)
    loss = build_loss(config, network, world)
    needs_lung = "lung" in loss.required_heads
    data = build_training_data(config, runtime, world, needs_lung=needs_lung)
    state = build_training_state(config, network, loss, runtime, world)
    folder = RunFolder.of(config.checkpoint.save_dir, name, config.training.seed)
    go_on = world.from_main(lambda: open_run_folder(folder, arguments.resume, world.job))
    if go_on:
        content = world.from_main(lambda: load_latest_checkpoint(folder.last))
        state.restore(content, folder.last, config, world)
    recorder = SilentRecorder()
    if world.is_main:
        info = collect_run_info(state.model, runtime, config.training.seed, world)
        recorder = Recorder(config, folder, runtime, data.pictures, info)
    Trainer(config, state, loss, data, runtime, folder, world, recorder).run()
    leave_world()


if __name__ == "__main__":
    run_main(main)

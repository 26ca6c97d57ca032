"""Where a configuration is taken apart: everything built from here on gets plain arguments."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from datasets.card import DataProperties, read_card
from datasets.noise import noise_batch
from losses import create_loss
from models import create_model
from models.parts.checks import describe_sizes, fitting_size
from models.parts.guided import GuidedNetwork
from training.activation_checkpointing import checkpoint_activations
from training.classes import count_channels, find_classes
from training.distributed import World, synchronise_batch_norm
from training.early_stopping import EarlyStopping
from training.moving_average import create_moving_average
from training.runtime import Runtime, create_runtime, set_determinism
from training.scales import scaled_sizes
from training.state import TrainingState
from utils.config import Config, SchedulerConfig
from utils.contracts import Batch
from utils.errors import UserError

OWN_LOSS = "own"


def build_runtime(config: Config) -> Runtime:
    """Device, precision and memory format; the choice of algorithms is made with it."""
    training = config.training
    set_determinism(training.deterministic)
    return create_runtime(training.device, training.precision, training.channels_last)


def build_network(config: Config) -> nn.Module:
    """The network, once its input size is known to fit, with a channel per class and background.

    Raises:
        UserError: The size does not fit, and the size to use is named; or model.args.num_classes
            contradicts data.classes.
    """
    if config.training.procedure == "guided" and config.data.guide is not None:
        raise UserError(
            "data.guide: training.procedure guided makes the maps itself; set one of the two"
        )
    network = create_model(config.model.name, **_network_args(config))
    if config.training.procedure == "guided":
        network = GuidedNetwork(create_model(config.guide.name, **config.guide.args), network)
    height, width = config.data.image_size
    fit = fitting_size(network, height, width)
    if (height, width) != fit:
        raise UserError(
            f"data.image_size: {height} x {width} px does not fit {config.model.name}: "
            f"{describe_sizes(network)}; use [{fit[0]}, {fit[1]}]"
        )
    scaled_sizes((height, width), config.training.scales, network)
    return network


def _network_args(config: Config) -> dict[str, Any]:
    """The network's arguments; data.classes decides on num_classes, a guide on in_channels."""
    args, num_classes = config.model.args, count_channels(config.data)
    given = args.get("num_classes", num_classes)
    if given != num_classes:
        told = f"name {num_classes - 1}, and with the background make it {num_classes}"
        raise UserError(
            f"model.args.num_classes: {given}, but data.classes "
            f"{told if num_classes > 1 else 'is null, which makes it 1'}; leave it to data.classes"
        )
    if num_classes > 1:
        args = {**args, "num_classes": num_classes}
    if config.training.procedure == "guided" or config.data.guide is not None:
        args = {**args, "in_channels": args.get("in_channels", 1) + 1}
    return args


def build_loss(config: Config, network: nn.Module, world: World | None = None) -> nn.Module:
    """The loss, once the network is known to have the heads that it needs.

    loss.function own is the loss of the network's own paper; loss.args then change its arguments.
    """
    loss = _create_loss(config, network)
    _check_classes(loss, config, network)
    idle = check_heads(network, loss)
    if idle and (world or World()).is_main:
        print(
            f"warning: loss.function {config.loss.function} leaves the network's "
            f"{', '.join(idle)} side outputs untrained"
        )
    return loss


def _check_classes(loss: nn.Module, config: Config, network: nn.Module) -> None:
    """Refuse a loss that has no form for several classes, and class weights without classes."""
    has_classes = config.data.classes is not None
    if has_classes and not getattr(loss, "takes_classes", False):
        function = config.loss.function
        name = network.own_loss if function == OWN_LOSS else function
        raise UserError(
            f"loss.function: {name} has no form for several classes in its paper; "
            "take loss.function=dice, or set data.classes=null"
        )
    if not has_classes and getattr(loss, "class_weights", None) is not None:
        raise UserError("loss.args.class_weights: there are no classes; set data.classes")


def trains_lung(config: Config, network: nn.Module) -> bool:
    """Whether the network has a lung head, and the loss trains it: then its lungs are scored."""
    return "lung" in network.heads and "lung" in _create_loss(config, network).required_heads


def _create_loss(config: Config, network: nn.Module) -> nn.Module:
    function, args = config.loss.function, config.loss.args
    if function == OWN_LOSS:
        function = network.own_loss
        args = {**network.own_loss_args, **args}
    return create_loss(function, **args)


def build_training_state(
    config: Config, network: nn.Module, loss: nn.Module, runtime: Runtime, world: World
) -> TrainingState:
    """The network as it will be trained, with its optimizer and all else that changes.

    Raises:
        UserError: Settings that exclude each other, or a network that names no segments for
            activation checkpointing.
    """
    training = config.training
    if training.compile and training.activation_checkpointing:
        raise UserError(
            "training.compile and training.activation_checkpointing exclude each other (the "
            "compiler chooses by itself what to recompute); set one of them to false"
        )
    if world.size > 1:
        freeze_untrained(network, loss, _noise(config))
        if training.sync_batch_norm:
            network = synchronise_batch_norm(network, runtime.device.type == "cuda")
    network = runtime.prepare(network)
    if training.activation_checkpointing:
        checkpoint_activations(network)
    state = create_training_state(config, network)
    if training.compile:
        for module in {state.model, state.evaluated}:
            module.compile()
    return state


def create_training_state(config: Config, model: nn.Module) -> TrainingState:
    """A fresh state: Adam, scheduler, early stopping, loss scale and moving average.

    Args:
        config: Settings of all of these.
        model: The network where and as it will be trained.

    Raises:
        UserError: The data folder's card cannot be read.
    """
    optimizer = torch.optim.Adam(
        model.parameters(),
        lr=config.optimizer.learning_rate,
        weight_decay=config.optimizer.weight_decay,
        fused=True,  # one pass over the parameters, on CPU and CUDA
    )
    device = next(model.parameters()).device
    decay, ema = config.training.ema_decay, None
    if decay is not None:
        ema = create_moving_average(model, decay, warm_up=config.training.ema_warm_up)
    scaler = torch.amp.GradScaler(device.type, enabled=config.training.precision == "fp16")
    return TrainingState(
        model,
        optimizer,
        _create_scheduler(config.scheduler, optimizer),
        EarlyStopping(config.early_stopping.patience),
        scaler,
        ema,
        data_properties=DataProperties.from_card(
            read_card(Path(config.data.root)), find_classes(config.data)
        ),
    )


def _noise(config: Config) -> Batch:
    """A slice of noise as the network takes it."""
    batch = noise_batch(1, *config.data.image_size, num_classes=count_channels(config.data))
    if config.data.guide is not None:
        batch["image"] = batch["image"].repeat(1, 2, 1, 1)
    return batch


def _create_scheduler(
    settings: SchedulerConfig, optimizer: torch.optim.Optimizer
) -> torch.optim.lr_scheduler.LRScheduler:
    """ReduceLROnPlateau, or the learning rate times the factor from certain epochs on."""
    if settings.milestones is None:
        return torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=settings.factor, patience=settings.patience
        )
    # It counts finished epochs; the setting numbers epochs from 1.
    finished = [epoch - 1 for epoch in settings.milestones]
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, finished, gamma=settings.factor)


def freeze_untrained(network: nn.Module, loss: nn.Module, batch: Batch) -> None:
    """Mark the parameters that get no gradient: several processes would wait for it.

    Args:
        network: On the CPU.
        loss: That it will be trained by.
        batch: Any batch that fits the network.
    """
    network.eval()
    loss.eval()
    loss(network(batch["image"]), batch)["total"].backward()
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.grad is not None)
    network.zero_grad(set_to_none=True)


def check_heads(model: nn.Module, loss: nn.Module) -> list[str]:
    """Refuse a loss that needs a head which the network lacks.

    Returns:
        The heads that the network computes and the loss leaves untrained.

    Raises:
        UserError: Names the missing heads.
    """
    missing = sorted(loss.required_heads - model.heads)
    if missing:
        raise UserError(
            f"loss.function: the loss supervises {', '.join(missing)} side outputs, which this "
            "network lacks; take loss.function own (the network's own) or dice, give model.args "
            "the stages, or set the term's weight in loss.args to 0"
        )
    return sorted(model.heads - loss.required_heads)

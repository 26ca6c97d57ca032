"""What a configuration is taken apart into: the network's own loss."""

import pytest

from losses import DiceLoss, JointLoss
from training.builders import build_loss, build_network
from utils.config_loader import load_config
from utils.errors import UserError

SMALL = ("model.args.width=4", "model.args.depth=18", "data.image_size=32")
PLAIN = ("model.args.edge_stages=[]", "model.args.semantic_stages=[]", "model.args.fusion=none")


def build(*pairs: str):
    config = load_config(overrides=[*SMALL, *pairs])
    return build_loss(config, build_network(config))


def test_own_is_the_loss_of_the_networks_paper() -> None:
    loss = build("loss.function=own")
    assert isinstance(loss, JointLoss)
    assert (loss.theta, loss.beta) == (0.8, 0.4)


def test_own_leaves_out_what_the_network_does_not_have() -> None:
    loss = build("loss.function=own", *PLAIN)
    assert (loss.theta, loss.beta) == (0.0, 0.0)
    assert loss.required_heads == {"mask"}
    assert build("loss.function=own", "model.args.semantic_stages=[]").theta == 0.8


def test_arguments_of_the_own_loss_can_be_changed() -> None:
    loss = build("loss.function=own", "loss.args.theta=0.5", "loss.args.smooth=2.0")
    assert (loss.theta, loss.beta, loss.smooth) == (0.5, 0.4, 2.0)


def test_another_loss_is_taken_by_its_name() -> None:
    assert isinstance(build("loss.function=dice"), DiceLoss)
    with pytest.raises(UserError, match=r"loss\.function: there is no .dise., did you mean dice"):
        build("loss.function=dise")


def test_a_loss_that_supervises_more_than_the_network_has_points_to_own() -> None:
    with pytest.raises(UserError, match=r"edge, semantic side outputs.*loss.function own"):
        build(*PLAIN)

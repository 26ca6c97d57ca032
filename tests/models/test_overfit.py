"""Every network learns eight slices by heart under the loss of its paper."""

import pytest
import torch
from small_networks import SMALL, build, fitting, own_loss, slices

from models import list_models

# The paper's network by default; the others take 5 s to 5 minutes.
MARKS = {"resunet": (), "attention_unet": pytest.mark.slow, "unet": pytest.mark.slow}
NUM_STEPS, STEPS_BETWEEN = 200, 10


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=MARKS.get(n, pytest.mark.exhaustive)) for n in list_models()],
)
def test_network_overfits_eight_slices(name: str) -> None:
    network = build(name)
    side = fitting(network, 64)
    batch, loss = slices(8, side, side), own_loss(network)
    learning_rate = 1e-2 if "width" in SMALL.get(name, {}) else 1e-3  # narrow ones take more
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    scores = []
    for step in range(1, NUM_STEPS + 1):
        optimizer.zero_grad()
        loss(network.train()(batch["image"]), batch)["total"].backward()
        optimizer.step()
        if step % STEPS_BETWEEN == 0:
            with torch.no_grad():
                pred = network.eval()(batch["image"]).mask > 0
            target = batch["mask"] > 0.5
            scores.append((2 * (pred & target).sum() / (pred.sum() + target.sum())).item())
            if scores[-1] > 0.9:
                return
    pytest.fail(f"Dice every {STEPS_BETWEEN} steps: {scores}")

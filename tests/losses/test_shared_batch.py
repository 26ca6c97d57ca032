"""A loss over a batch that two processes share is the loss of the whole batch."""

import pytest
import torch

from losses.dice import dice_loss
from tests.training.process_pair import ProcessPair

_SHARES = ((0, 3), (3, 3))  # of three slices: all to one process, none to the other


def whole_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (3, 1, 4, 4)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    return logits, (torch.rand(shape, generator=generator) > 0.6).double()


def losses_of(start: int, end: int, shared: bool) -> dict[str, torch.Tensor]:
    result = {}
    for reduction in ("batch", "image"):
        logits, target = (tensor[start:end] for tensor in whole_batch())
        logits = logits.clone().requires_grad_()
        loss = dice_loss(logits, target, reduction=reduction, shared=shared)
        loss.backward()
        result |= {reduction: loss.detach(), f"{reduction} gradient": logits.grad}
    return result


def losses_of_share(rank: int) -> dict[str, torch.Tensor]:
    return losses_of(*_SHARES[rank], shared=True)


def losses_of_uneven_share(rank: int) -> dict[str, torch.Tensor]:
    return losses_of(*((0, 1), (1, 3))[rank], shared=True)


@pytest.mark.slow
@pytest.mark.parametrize("share", [losses_of_share, losses_of_uneven_share])
def test_values_and_mean_gradients_are_those_of_the_whole_batch(
    share, process_pair: ProcessPair
) -> None:
    expected = losses_of(0, 3, shared=False)
    first, second = process_pair.run(share)
    for reduction in ("batch", "image"):
        for own in (first, second):
            torch.testing.assert_close(own[reduction], expected[reduction])
        gradient = torch.cat([first[f"{reduction} gradient"], second[f"{reduction} gradient"]])
        # DistributedDataParallel takes the mean over the two processes.
        torch.testing.assert_close(gradient / 2, expected[f"{reduction} gradient"])


def test_alone_a_shared_batch_is_a_batch() -> None:
    logits, target = whole_batch()
    for reduction in ("batch", "image"):
        alone = dice_loss(logits, target, reduction=reduction, shared=True)
        torch.testing.assert_close(alone, dice_loss(logits, target, reduction=reduction))

"""What turns network inputs into probabilities: a network, or any predictor on flipped slices."""

from typing import Protocol

from torch import Tensor

from training.prediction import logits_to_prob, predict
from training.trained_run import TrainedRun


class Predictor(Protocol):
    """Gives every slice of a batch its probabilities.

    Attributes:
        image_size: Height and width of its input, px.
    """

    image_size: tuple[int, int]

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities of a batch.

        Args:
            images: (B, 1, h, w) float32, z-scored per slice, on the CPU.

        Returns:
            (B, K, h, w) float32 in [0, 1]: of lesion where K = 1, else of K classes, background
            first.
        """
        ...


class NetworkPredictor:
    """A network on its device, in its precision.

    Args:
        run: The opened checkpoint.
    """

    def __init__(self, run: TrainedRun) -> None:
        height, width = run.config.data.image_size
        self.image_size = (height, width)
        self._run = run

    def predict(self, images: Tensor) -> Tensor:
        """See Predictor; the probabilities stay on the network's device."""
        _, output = next(predict(self._run.network, [{"image": images}], self._run.runtime))
        return logits_to_prob(output.mask)


class Flipped:
    """The mean over a batch and its mirror image, left for right, as training may flip slices.

    Rows stay in place: a body that lies on its back is never seen on its front.

    Args:
        predictor: Asked twice per batch.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.image_size = predictor.image_size
        self._predictor = predictor

    def predict(self, images: Tensor) -> Tensor:
        """See Predictor."""
        mirrored = self._predictor.predict(images.flip(-1)).flip(-1)
        return (self._predictor.predict(images) + mirrored) / 2

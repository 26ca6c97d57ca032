"""What turns network inputs into probabilities: a network, or any predictor on flipped slices."""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from training.builders import trains_lung
from training.prediction import drop_small_lesions, logits_to_prob, predict
from training.trained_run import TrainedRun


class Predictor(Protocol):
    """Gives every slice of a batch its probabilities.

    Attributes:
        image_size: Height and width of its input, px.
        has_lung: Whether it has learnt lungs.
    """

    image_size: tuple[int, int]
    has_lung: bool

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities of a batch.

        Args:
            images: (B, 1, h, w) float32, z-scored per slice, on the CPU.

        Returns:
            (B, K, h, w) float32 in [0, 1]: of lesion where K = 1, else of K classes, background
            first.
        """
        ...


class Heads(NamedTuple):
    """What a batch gets.

    Attributes:
        prob: (B, K, h, w), as Predictor.predict.
        lung: (B, 1, h, w) probability of lung; None without a lung head.
    """

    prob: Tensor
    lung: Tensor | None


@runtime_checkable
class LungPredictor(Predictor, Protocol):
    """A predictor that may know lungs as well."""

    def predict_heads(self, images: Tensor) -> Heads:
        """Probabilities of lesion and of lung, of a batch as Predictor.predict takes it."""
        ...


def predict_heads(predictor: Predictor, images: Tensor) -> Heads:
    """All that a predictor knows of a batch, in one pass."""
    if isinstance(predictor, LungPredictor):
        return predictor.predict_heads(images)
    return Heads(predictor.predict(images), None)


class NetworkPredictor:
    """A network on its device, in its precision.

    Args:
        run: The opened checkpoint.
    """

    def __init__(self, run: TrainedRun) -> None:
        height, width = run.config.data.image_size
        self.image_size = (height, width)
        self.has_lung = trains_lung(run.trained, run.network)
        self._run = run

    def predict(self, images: Tensor) -> Tensor:
        """See Predictor; the probabilities stay on the network's device."""
        return self.predict_heads(images).prob

    def predict_heads(self, images: Tensor) -> Heads:
        """See LungPredictor."""
        _, output = next(predict(self._run.network, [{"image": images}], self._run.runtime))
        lung = None if output.lung is None else logits_to_prob(output.lung)
        return Heads(logits_to_prob(output.mask), lung)


class LargeLesions:
    """A predictor without its small spots of lesion, see training.prediction.drop_small_lesions.

    Args:
        predictor: Whose spots.
        threshold: Least probability of a lesion.
        min_size: px of its input.
    """

    def __init__(self, predictor: Predictor, threshold: float, min_size: int) -> None:
        self.image_size, self.has_lung = predictor.image_size, predictor.has_lung
        self._predictor, self._threshold, self._min_size = predictor, threshold, min_size

    def predict(self, images: Tensor) -> Tensor:
        """See Predictor."""
        return self.predict_heads(images).prob

    def predict_heads(self, images: Tensor) -> Heads:
        """See LungPredictor."""
        heads = predict_heads(self._predictor, images)
        kept = [drop_small_lesions(p, self._threshold, self._min_size) for p in heads.prob]
        return heads._replace(prob=torch.stack(kept))


class Flipped:
    """The mean over a batch and its mirror image, left for right, as training may flip slices.

    Rows stay in place: a body that lies on its back is never seen on its front.

    Args:
        predictor: Asked twice per batch.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.image_size, self.has_lung = predictor.image_size, predictor.has_lung
        self._predictor = predictor

    def predict(self, images: Tensor) -> Tensor:
        """See Predictor."""
        return self.predict_heads(images).prob

    def predict_heads(self, images: Tensor) -> Heads:
        """See LungPredictor."""
        mirrored = predict_heads(self._predictor, images.flip(-1))
        straight = predict_heads(self._predictor, images)
        pairs = zip(straight, mirrored, strict=True)
        return Heads(*(None if one is None else (one + other.flip(-1)) / 2 for one, other in pairs))

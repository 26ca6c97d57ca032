"""Write a checkpoint's network as ONNX for any runtime, or its weights in half precision.

The ONNX file takes slices `image` (batch, 1, h, w) float32, resized, seen through data.gamma and
data.blur, and z-scored as datasets.transforms does it, and gives `prob` (batch, classes, h, w): the
probability of lesion, or of each class. What evaluation.min_lesion_size says of small spots is left
to whoever runs it, as predict.py does.
"""

import argparse
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from datasets.noise import noise_batch
from inference.onnx_predictor import INPUT, ONNX_SUFFIX, OUTPUT, OnnxFacts, OnnxPredictor
from inference.weights import SEEN_THROUGH, WEIGHTS_SUFFIX, export_weights
from inference.weights_card import write_card
from training.prediction import logits_to_prob
from training.trained_run import TrainedRun, open_run
from utils.cli import add_out_argument, add_set_argument, create_parser, run_main
from utils.config import Config
from utils.errors import UserError
from utils.files import whole_file

_TOLERANCE = 1e-4  # of probabilities
_EXAMPLE_BATCH = 2
_TRIED_BATCHES = (1, 3)  # other than the one that is exported
_MAX_BATCH = 4096


class _Prob(nn.Module):
    """The probabilities of a network alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return logits_to_prob(self.network(image).mask)


def main() -> None:
    """Command line."""
    arguments = _parse_arguments()
    if arguments.out.suffix.lower() == WEIGHTS_SUFFIX:
        difference = export_weights(arguments.checkpoint, arguments.out, arguments.overrides)
        card = write_card(arguments.out, arguments.checkpoint)
        print(f"{arguments.out}: half precision, probabilities to {difference:.1g}; card {card}")
        return
    overrides = ["training.device=cpu", "training.precision=fp32", "training.channels_last=false"]
    checkpoint = arguments.checkpoint
    overrides += arguments.overrides
    run = open_run(checkpoint, checkpoint.resolve().parent.parent.name, overrides)
    difference = export_onnx(run, arguments.out)
    size = " x ".join(map(str, run.config.data.image_size))
    print(f"{arguments.out}: {run.config.model.name}, epoch {run.epoch}, batches of {size} px")
    if difference is None:
        print("warning: not compared with the checkpoint; pip install onnxruntime to do so")
    else:
        print(f"its probabilities are those of the checkpoint to {difference:.1g}")


def export_onnx(run: TrainedRun, path: Path) -> float | None:
    """Write the network, once it is known to give what the checkpoint gives.

    Args:
        run: On the CPU, in float32.
        path: The file.

    Returns:
        The largest difference of a probability; None where onnxruntime is missing.

    Raises:
        UserError: A package is missing, the network cannot be expressed in ONNX or gives other
            probabilities there, its weights are spoilt, or the disk is full.
    """
    network = _Prob(run.network).eval()
    batches = [noise_batch(size, *run.config.data.image_size)["image"] for size in _TRIED_BATCHES]
    with torch.no_grad():
        wanted = [network(images) for images in batches]
    if not all(torch.isfinite(prob).all() for prob in wanted):
        raise UserError(f"{path}: not written, the network predicts NaN; its weights are spoilt")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror})") from error
    with whole_file(path) as file:
        _write(run, network, file)
        difference = _compare(file, batches, wanted)
        if difference is not None and not difference <= _TOLERANCE:
            raise UserError(
                f"{path}: not written, its probabilities would differ by {difference:.1g} from "
                "the checkpoint's; use the checkpoint itself"
            )
        return difference


def _write(run: TrainedRun, network: nn.Module, file: Path) -> None:
    """Trace the network and write it with its facts."""
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch.onnx asks for it late, and in other words
    except ImportError as error:
        raise UserError(
            f"--out: {error.name} is not installed; pip install onnx onnxscript"
        ) from error
    images = noise_batch(_EXAMPLE_BATCH, *run.config.data.image_size)["image"]
    batch = torch.export.Dim("batch", min=1, max=_MAX_BATCH)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter about itself
            program = torch.onnx.export(
                network,
                (images,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={"image": {0: batch}},
                verbose=False,
            )
    # The exporter wraps whatever goes wrong in classes of its own.
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"model.name: {run.config.model.name} cannot be written as ONNX ({reason}); use the "
            "checkpoint itself"
        ) from error
    proto = program.model_proto
    classes = proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    facts = OnnxFacts(run.name, run.epoch, _portable(run.config), classes, run.data_properties)
    onnx.helper.set_model_props(proto, facts.to_metadata())
    file.write_bytes(proto.SerializeToString())


def _compare(file: Path, batches: list[Tensor], wanted: list[Tensor]) -> float | None:
    """The largest difference of a probability, NaN included; None without onnxruntime."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return None
    predictor = OnnxPredictor(file, "cpu")
    found = [predictor.predict(images) for images in batches]
    differences = [(one - other).abs().max() for one, other in zip(found, wanted, strict=True)]
    return float(torch.stack(differences).max())


def _portable(config: Config) -> Config:
    """The configuration for any machine: the device is chosen where the file is used."""
    training = config.training.model_copy(update={"device": "auto"})
    return config.model_copy(update={"training": training})


def _parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = create_parser(
        "Write a checkpoint's network as ONNX, or its weights in half precision with a card;\n"
        "compared with the checkpoint before it is kept.",
        "python -m inference.export --checkpoint checkpoint/quickstart/seed2/best.pt "
        "--out model.onnx",
    )
    parser.prog = "python -m inference.export"
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE")
    add_out_argument(parser, required=True, metavar="FILE", help="ends in .onnx or .pt")
    add_set_argument(parser)
    arguments = parser.parse_args()
    for override in arguments.overrides:
        if not override.startswith(SEEN_THROUGH):
            parser.error(f"--set {override}: of a trained network {', '.join(SEEN_THROUGH)} alone")
    if arguments.out.suffix.lower() not in (ONNX_SUFFIX, WEIGHTS_SUFFIX):
        parser.error(f"--out {arguments.out}: must end in {ONNX_SUFFIX} or {WEIGHTS_SUFFIX}")
    return arguments


if __name__ == "__main__":
    run_main(main)

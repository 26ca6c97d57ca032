"""What a scan costs from NIfTI to slices and masks; see python -m benchmark volumes --help.

prepare.py and predict.py run as a user runs them, in processes of their own, on a scan drawn here.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import nibabel as nib
import numpy as np

from benchmark.step_cost import count_flops
from benchmark.step_rows import measure_matmul_rate
from datasets.intensity import LUNG_WINDOW
from datasets.noise import noise_batch
from datasets.synthetic.generate import generate_patient
from training.builders import build_network
from training.checkpoint import save_checkpoint
from training.prediction import predict
from training.random_state import seed_everything
from training.trained_run import open_run
from utils.cli import create_parser, positive_int
from utils.config_loader import load_config
from utils.contracts import SegOutput
from utils.errors import UserError

_DRAWN = 20  # different slices, repeated to the length of the scan
_WIDTH_MM, _DISTANCE_MM = 358.0, 1.25  # of a slice, and of slices
_POLL_S = 0.02
_NUM_PASSES = 5
_LEAST = {"slices": 8, "size": 64}
_ROOT = Path(__file__).resolve().parents[1]


class ScriptCost(NamedTuple):
    """What a process took: seconds, and its largest anonymous memory; 0 MiB without /proc."""

    seconds: float
    peak_mib: float


def main(arguments: Sequence[str]) -> None:
    """Command line, without the word `volumes`."""
    parser = create_parser(
        "Time prepare.py and predict.py on a whole scan, and watch their memory.",
        "python -m benchmark volumes --slices 300 --size 512",
    )
    parser.prog = "python -m benchmark volumes"
    for name, default, text in (("slices", 300, "of the scan"), ("size", 512, "of a slice, px")):
        text = f"{text} (default: {default})"
        parser.add_argument(f"--{name}", type=positive_int, default=default, metavar="N", help=text)
    given = parser.parse_args(arguments)
    for name, least in _LEAST.items():
        if getattr(given, name) < least:
            parser.error(f"argument --{name}: must be at least {least}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        measure(Path(folder), given.slices, given.size)


def measure(folder: Path, num_slices: int, size: int) -> None:
    """Print a line per script and scan; a scan of a third of the length shows what grows with it.

    Args:
        folder: For scans and results.
        num_slices: Of the long scan.
        size: Of a slice, px.
    """
    checkpoint = _untrained(folder / "run" / "seed0" / "best.pt")
    predict = ["predict.py", "--checkpoint", checkpoint]
    print(f"{'':<34}{'seconds':>9}{'slices/s':>10}{'peak MiB':>10}")
    for length in (num_slices // 3, num_slices):
        scan = _write_scan(folder / str(length), length, size)
        output = ["--input", scan / "images", "--out"]
        commands = {
            "prepare.py generic": [
                *["prepare.py", "generic", "--from", scan, "--fractions", 1, 0, 0],
                *["--out", scan / "prepared"],
            ],
            "predict.py --no-severity": [*predict, "--no-severity", *output, scan / "predicted"],
            "predict.py": [*predict, *output, scan / "with_severity"],
        }
        for title, command in commands.items():
            cost, row = run_script(command), f"{title}, {length} slices"
            rate = length / cost.seconds
            print(f"{row:<34}{cost.seconds:>9.1f}{rate:>10.1f}{cost.peak_mib:>10.0f}")
    measure_network(checkpoint, num_slices)
    print(
        f"\none scan of {size} x {size} px, int16, .nii.gz, with a mask; the network of the "
        "weights that ship,\nuntrained; whole processes, start included; memory without mapped "
        "files; the bound: the arithmetic\nof the network at the rate of a large matrix product"
    )


def measure_network(checkpoint: Path, num_slices: int) -> None:
    """Print what the network alone takes for a scan, and its arithmetic at the machine's best rate.

    Args:
        checkpoint: The network.
        num_slices: Of the scan.
    """
    run = open_run(checkpoint, "")
    batch = noise_batch(run.config.evaluation.batch_size, *run.config.data.image_size)

    def pass_once() -> SegOutput:
        ((_, output),) = predict(run.network, [batch], run.runtime)
        return output

    num_batches = num_slices / len(batch["image"])
    flops = count_flops(pass_once)  # and a warm-up
    seconds = []
    for _ in range(_NUM_PASSES):
        start = time.perf_counter()
        pass_once().mask.cpu()
        seconds.append(time.perf_counter() - start)
    bound = flops / (1e9 * measure_matmul_rate(run.runtime))
    title = f", {num_slices} slices"
    for name, one in (("the network alone", median(seconds)), ("its convolutions' bound", bound)):
        total = one * num_batches
        print(f"{name + title:<34}{total:>9.1f}{num_slices / total:>10.1f}")


def run_script(command: Sequence[object]) -> ScriptCost:
    """Run a script of this project and watch it.

    Raises:
        UserError: It failed; tells what it said.
    """
    words = [sys.executable, *map(str, command)]
    peak = 0.0
    with tempfile.TemporaryFile("w+") as complaint:
        start = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=complaint, text=True
        )
        while process.poll() is None:
            peak = max(peak, _anonymous_mib(process.pid))
            time.sleep(_POLL_S)
        seconds = time.perf_counter() - start
        if process.returncode:
            complaint.seek(0)
            words = complaint.read().strip()
            raise UserError(f"{command[0]} ended with {process.returncode}: {words}")
    return ScriptCost(seconds, peak)


def _anonymous_mib(process: int) -> float:
    """Memory of a process without files that are mapped into it."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return sum(
        int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon")
    )


def _write_scan(folder: Path, num_slices: int, size: int) -> Path:
    """A synthetic patient in HU with the mask of the lesions, as images/ and masks/."""
    drawn = generate_patient(
        seed=0, patient=1, num_slices=_DRAWN, image_size=size, min_severity=0.65
    )
    low, high = LUNG_WINDOW.low, LUNG_WINDOW.high
    order = np.arange(num_slices) * _DRAWN // num_slices
    levels = np.stack([item.image for item in drawn])[order[::-1]]
    labels = np.stack([item.label > 0 for item in drawn])[order[::-1]]
    values = np.rint(levels * np.float32((high - low) / 255) + low).astype(np.int16)
    affine = np.diag([-_WIDTH_MM / size, -_WIDTH_MM / size, _DISTANCE_MM, 1])
    for kind, array in (("images", values), ("masks", labels.astype(np.uint8))):
        (folder / kind).mkdir(parents=True)
        nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), affine), folder / kind / "scan.nii.gz")
    return folder


def _untrained(path: Path) -> Path:
    """A checkpoint of the network of the weights that ship, before its first step."""
    config = load_config(experiments=["weights"])
    seed_everything(config.training.seed)
    path.parent.mkdir(parents=True)
    content = {
        "model": build_network(config).state_dict(),
        "config": config.model_dump(mode="json"),
        "intensity": LUNG_WINDOW.to_plain(),
        "epoch": 0,
        "scores": {},
    }
    save_checkpoint(path, content)
    return path

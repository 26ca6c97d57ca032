"""What a scan costs from NIfTI to slices and masks; see python -m benchmark volumes --help.

prepare.py and predict.py run as a user runs them, in processes of their own, on a scan drawn here.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from datasets.intensity import LUNG_WINDOW
from datasets.synthetic.generate import generate_patient
from training.builders import build_network
from training.checkpoint import save_checkpoint
from training.random_state import seed_everything
from utils.cli import create_parser
from utils.config_loader import load_config
from utils.errors import UserError

_DRAWN = 20  # different slices, repeated to the length of the scan
_SPACING_MM = (0.7, 0.7, 1.25)
_POLL_S = 0.02
_ROOT = Path(__file__).resolve().parents[1]


class ScriptCost(NamedTuple):
    """A process: how long it ran, and its largest memory without files that are mapped into it.

    Attributes:
        seconds: From start to end.
        peak_mib: Anonymous memory, MiB; None where the system does not tell.
        printed: What it wrote to stdout.
    """

    seconds: float
    peak_mib: float | None
    printed: str


def main(arguments: Sequence[str]) -> None:
    """Command line, without the word `volumes`."""
    parser = create_parser(
        "Time prepare.py and predict.py on a whole scan, and watch their memory.",
        "python -m benchmark volumes --slices 300 --size 512",
    )
    parser.prog = "python -m benchmark volumes"
    parser.add_argument("--slices", type=int, default=300, help="of the scan (default: 300)")
    parser.add_argument("--size", type=int, default=512, help="of a slice, px (default: 512)")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="what predicts (default: the quickstart's network, untrained)",
    )
    given = parser.parse_args(arguments)
    for name, least in (("slices", 8), ("size", 64)):
        if getattr(given, name) < least:
            parser.error(f"argument --{name}: must be at least {least}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        measure(Path(folder), given.slices, given.size, given.checkpoint)


def measure(folder: Path, num_slices: int, size: int, checkpoint: Path | None) -> None:
    """Print a line per script and scan; a scan of a third of the length shows what grows with it.

    Args:
        folder: For scans and results.
        num_slices: Of the long scan.
        size: Of a slice, px.
        checkpoint: What predicts; None for a network without training.
    """
    checkpoint = checkpoint or _untrained(folder / "run" / "seed0" / "best.pt")
    print(f"{'':<34}{'seconds':>9}{'slices/s':>10}{'peak MiB':>10}")
    for length in (num_slices // 3, num_slices):
        scan = _write_scan(folder / str(length), length, size)
        commands = {
            "prepare.py generic": ["prepare.py", "generic", "--from", scan],
            "predict.py --no-severity": ["predict.py", "--no-severity", "--input", scan / "images"],
            "predict.py": ["predict.py", "--input", scan / "images"],
        }
        for title, command in commands.items():
            out = scan / title.replace(" ", "_")
            if command[0] == "predict.py":
                command += ["--checkpoint", checkpoint, "--output", out]
            else:
                command += ["--out", out, "--fractions", 1, 0, 0]
            cost = run_script(command)
            memory = "-" if cost.peak_mib is None else f"{cost.peak_mib:.0f}"
            row = f"{title}, {length} slices"
            print(f"{row:<34}{cost.seconds:>9.1f}{length / cost.seconds:>10.1f}{memory:>10}")
            if command[0] == "predict.py":
                print(f"    {cost.printed.splitlines()[1].partition(': ')[2]}")
    print(
        f"\none scan of {size} x {size} px, int16, .nii.gz, with a mask; whole processes, start "
        "included; memory without mapped files"
    )


def run_script(command: Sequence[object]) -> ScriptCost:
    """Run a script of this project and watch it.

    Raises:
        UserError: It failed; tells what it said.
    """
    words = [sys.executable, *map(str, command)]
    start = time.perf_counter()
    process = subprocess.Popen(
        words, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peaks: list[float] = []
    watcher = threading.Thread(target=_watch, args=(process, peaks))
    watcher.start()
    printed, complaint = process.communicate()
    seconds = time.perf_counter() - start
    watcher.join()
    if process.returncode:
        raise UserError(f"{command[0]} ended with {process.returncode}: {complaint.strip()}")
    return ScriptCost(seconds, max(peaks) if peaks else None, printed)


def _watch(process: subprocess.Popen, peaks: list[float]) -> None:
    """Note the anonymous memory of a process, MiB, until it ends; nothing where /proc is not."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            lines = status.read_text().splitlines()
        except OSError:
            return
        peaks += [int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")]
        time.sleep(_POLL_S)


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
    affine = np.diag([-_SPACING_MM[0], -_SPACING_MM[1], _SPACING_MM[2], 1])
    for kind, array in (("images", values), ("masks", labels.astype(np.uint8))):
        (folder / kind).mkdir(parents=True)
        nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), affine), folder / kind / "scan.nii.gz")
    return folder


def _untrained(path: Path) -> Path:
    """A checkpoint of the quickstart's network before its first step."""
    config = load_config(experiments=["quickstart"])
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

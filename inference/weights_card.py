"""The card of weights that ship: what they learnt from, how long, and how they score on real CT.

Written with the weights by inference.export. The scores are added here, from what test.py wrote:
every figure is that of a file, none is typed.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from math import ceil
from pathlib import Path
from typing import Any

from datasets.card import read_card
from datasets.manifest import read_manifest_rows
from training.checkpoint import entry, load_checkpoint
from utils.cli import create_parser, run_main
from utils.errors import UserError
from utils.files import parse_json, write_json

LICENCE = "MIT, see LICENSE beside the weights; no patient's image is in them"
LIMITS = (
    "For research only; not a medical device.",
    "Learnt from drawn CT alone: what no drawing shows, the network has never seen.",
    "Finds lesions that look like those of COVID-19 pneumonia, and cannot tell COVID-19 from other "
    "diseases: any consolidation, oedema, atelectasis or tumour may be marked.",
    "Made for chest CT of adults in Hounsfield units, axial slices of 5 mm or less.",
)
_SCORES = ("n", "n_patients", "num_empty_target", "num_false_alarm", "dice", "dice_pooled")
_MORE_SCORES = ("sensitivity", "precision")
_VALIDATION = ("dice", "dice_pooled", "lung_dice")


def write_card(weights: Path, checkpoint: Path) -> Path:
    """Write the card of weights, without scores yet.

    Args:
        weights: The file that ships.
        checkpoint: best.pt that it was made from; run_info.json and data.root tell the rest, where
            they are still there.

    Returns:
        The card, beside the weights.

    Raises:
        UserError: A file cannot be read, or the card not be written.
    """
    content = load_checkpoint(weights)
    config = entry(content, "config", dict, weights)
    own, training = load_checkpoint(checkpoint), config["training"]
    scores = own.get("scores", {})
    extra = own["config"]["data"].get("extra", [])
    roots = [Path(folder["root"]) for folder in (own["config"]["data"], *extra)]
    start = own["config"]["model"].get("weights")
    data = [_describe_data(root) for root in roots]
    epoch, batch = content["epoch"], training["batch_size"]
    steps = epoch * _steps_per_epoch(data, extra, batch) if "train" in data[0] else None
    card = {
        "weights": weights.name,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "bytes": weights.stat().st_size,
        "licence": LICENCE,
        "limits": list(LIMITS),
        "model": config["model"],
        "image_size": config["data"]["image_size"],
        "blur": config["data"].get("blur", 0.0),
        "gamma": config["data"].get("gamma", 1.0),
        "min_lesion_size": config["evaluation"].get("min_lesion_size", 0),
        "data": data,
        "started_from": None if start is None else _describe_start(Path(start)),
        "training": {"seed": training["seed"], "epoch": epoch, "steps": steps, "batch_size": batch}
        | {"validation": {key: scores[key] for key in _VALIDATION if key in scores}}
        | _describe_run(checkpoint.parent / "run_info.json"),
        "scores_on_real_ct": [],
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    path = weights.with_suffix(".json")
    write_json(path, card)
    return path


def _steps_per_epoch(
    data: Sequence[Mapping[str, Any]], extra: Sequence[Mapping[str, Any]], batch_size: int
) -> int:
    """Optimizer steps of an epoch over the first folder and the others' shares; see data.extra."""
    whole = data[0]["train"]["slices"]
    for told, folder in zip(data[1:], extra, strict=True):
        whole += 0 if folder.get("share") else told.get("train", {"slices": 0})["slices"]
    return ceil(round(whole / (1 - sum(folder.get("share") or 0 for folder in extra))) / batch_size)


def _describe_start(weights: Path) -> dict[str, Any]:
    """What the first steps were, of a network that went on from the weights of another run."""
    if not weights.is_file():
        return {"weights": weights.name}
    content = load_checkpoint(weights)
    config = entry(content, "config", dict, weights)
    training = {key: config["training"][key] for key in ("seed", "batch_size")}
    told = {"weights": weights.name, "training": training | {"epoch": content["epoch"]}}
    return told | _describe_run(weights.parent / "run_info.json")


def _describe_data(root: Path) -> dict[str, Any]:
    """Folder, sources, and patients and slices per split, as far as the folder is still there."""
    card = read_card(root)
    if card is None:
        return {"folder": root.name}
    told: dict[str, Any] = {
        "folder": root.name,
        "sources": [source.title for source in card.sources],
    }
    for row in read_manifest_rows(root):
        counts = told.setdefault(row.split, {"patients": set(), "slices": 0})
        counts["patients"].add(row.cells.get("patient"))
        counts["slices"] += 1
    for counts in told.values():
        if isinstance(counts, dict):
            counts["patients"] = len(counts["patients"])
    return told


def _describe_run(path: Path) -> dict[str, Any]:
    """Code, packages and machine of the run; {} where it left no word of them."""
    if not path.is_file():
        return {}
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        told = {key: info[key] for key in ("git", "precision", "num_parameters", "hardware")}
        return told | {"torch": info["packages"]["torch"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not what train.py writes ({error})") from error


def add_scores(weights: Path, folders: Sequence[Path]) -> Path:
    """Put scores into a card, in the place of those that it had.

    Args:
        weights: The file that ships.
        folders: Where test.py has scored it.

    Raises:
        UserError: No card, no scores, or scores of another file.
    """
    path = weights.with_suffix(".json")
    card = _read(path, "no card; inference.export writes it with the weights")
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    if card.get("sha256") != sha256:
        raise UserError(f"{path}: the card of other weights; run inference.export again")
    card["scores_on_real_ct"] = [_scores(folder / "metrics.json", weights) for folder in folders]
    write_json(path, card)
    return path


def _scores(path: Path, weights: Path) -> dict[str, Any]:
    """What a card tells of a metrics.json; shares as fractions."""
    scores = _read(path, "no scores; test.py writes them")
    try:
        if Path(scores["checkpoint"]).name != weights.name:
            raise UserError(f"{path}: scores of {scores['checkpoint']}, not of {weights.name}")
        told = {key: scores[key] for key in ("data_set", "split", "protocol", *_SCORES)}
        told |= {key: scores[key] for key in _MORE_SCORES}
        return told | {
            "dice_interval_95": scores["intervals"]["dice"],
            "interval_unit": scores["interval_unit"],
            "lung_dice": scores.get("lung", {}).get("dice"),
        }
    except KeyError as error:
        raise UserError(f"{path}: has no {error}; score again with test.py") from error


def _read(path: Path, missing: str) -> dict[str, Any]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {missing}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: {missing}")
    return content


def main() -> None:
    """Command line."""
    arguments = _parse_arguments()
    print(f"scores are in {add_scores(arguments.weights, arguments.scores)}")


def _parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = create_parser(
        "Put the scores of weights that ship into their card.",
        "python -m inference.weights_card --weights resources/weights/synthetic_ct.pt "
        "--scores checkpoint/weights/scores/coronacases",
    )
    parser.prog = "python -m inference.weights_card"
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--scores", type=Path, nargs="+", required=True, metavar="DIR", help="written by test.py"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)

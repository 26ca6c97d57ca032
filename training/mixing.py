"""Further data folders whose training slices are mixed with those of data.root."""

from collections.abc import Sequence
from pathlib import Path

from datasets.card import MODALITY_NAMES, DataProperties, read_card
from datasets.pairing import find_slices
from training.classes import find_classes
from training.distributed import World
from training.mixed_slices import MixedOrder
from training.split import Split, open_split
from utils.config import DataConfig
from utils.errors import UserError


def open_extra(config: DataConfig, world: World) -> list[Split]:
    """The training splits of data.extra.

    Raises:
        UserError: As open_split; or slices of another modality or intensity rule, or classes that
            mean something else there.
    """
    splits, classes = [], find_classes(config)
    if config.extra and config.guide is not None:
        raise UserError("data.extra: there is no data.guide for further folders; set one of them")
    for extra in config.extra:
        _check_alike(config.root, extra.root, classes)
        changes = {
            "root": extra.root,
            "lung": extra.lung or config.lung,
            "classes": classes or None,
        }
        splits.append(open_split(config.model_copy(update=changes), "train", world))
    return splits


def mixed_order(config: DataConfig, splits: Sequence[Split]) -> MixedOrder:
    """The order of the slices of data.root, then of data.extra."""
    shares = [None, *(extra.share for extra in config.extra)]
    return MixedOrder([len(split.slices) for split in splits], shares)


def describe_mixture(config: DataConfig, order: MixedOrder) -> str:
    """How many slices of which folder an epoch has."""
    roots = [config.root, *(extra.root for extra in config.extra)]
    parts = [f"{count} of {root}" for count, root in zip(order.counts, roots, strict=True)]
    return f"an epoch: {len(order)} slices, {', '.join(parts)}"


def held_out(config: DataConfig, val: Split) -> dict[str, list]:
    """The slices of data.root that no training slice may share a patient with, by split."""
    splits = {"val": val.slices}
    if config.extra and (Path(config.root) / "test" / "image").is_dir():
        splits["test"] = find_slices(Path(config.root), "test", "none")
    return splits


def _check_alike(root: str, other: str, classes: dict[str, int]) -> None:
    """Refuse a folder whose grey levels or classes do not mean what they mean in the first."""
    cards = [read_card(Path(folder)) for folder in (root, other)]
    first, second = (DataProperties.from_card(card) for card in cards)
    if first.modality != second.modality:
        names = [MODALITY_NAMES[one.modality] for one in (first, second)]
        raise UserError(f"data.extra: {other} holds {names[1]}, {root} {names[0]}; mix one of them")
    rules = [one.intensity for one in (first, second)]
    if all(rules) and rules[0] != rules[1]:
        texts = [f"{rule.unit} {rule.low:g} to {rule.high:g}" for rule in rules]
        raise UserError(
            f"data.extra: grey levels of {other} are {texts[1]}, those of {root} {texts[0]}; "
            "convert it anew with the window of the first"
        )
    for name, value in classes.items():
        own = second.labels.get(value, name)
        if own != name:
            raise UserError(
                f"data.extra: class {value} of {other} is {own}, in {root} it is {name}; give "
                "both the same classes"
            )

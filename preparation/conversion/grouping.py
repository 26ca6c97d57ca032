"""Patients that must stay together, and the splits that their sources have given them."""

from collections.abc import Iterable, Mapping, Sequence

from datasets.data_folder import UNLABELLED, WrittenSlice
from preparation.conversion.options import ConversionOptions
from preparation.conversion.splits import measure_loads, split_patients, split_slices
from utils.messages import count, first_of


def join_patients(patients: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The name of everyone's group: the first, by the alphabet, of those tied by pairs.

    Args:
        patients: All of them.
        pairs: Who must stay with whom.
    """
    leader = {name: name for name in patients}

    def lead(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for pair in pairs:
        first, second = sorted(map(lead, pair))
        leader[second] = first
    return {name: lead(name) for name in leader}


def describe_groups(
    groups: dict[str, str],
    tied: dict[tuple[str, str], tuple[int, int]],
    written: Sequence[WrittenSlice],
) -> list[str]:
    """A note on patients who stay together, if any.

    Args:
        groups: Name of every patient's group.
        tied: By two patients, the places of a slice of each that show the same.
        written: The slices.
    """
    if not tied:
        return []
    num_tied = len({name for pair in tied for name in pair})
    words = [
        f"{first} and {second} ({written[i].name} = {written[j].name})"
        for (first, second), (i, j) in sorted(tied.items())
    ]
    num_groups = len({groups[name] for pair in tied for name in pair})
    return [
        f"{num_tied} patients in {count(num_groups, 'group')} stay together, as they share "
        f"near-duplicate slices: {first_of(words)}"
    ]


def assign_splits(
    written: Sequence[WrittenSlice],
    groups: Mapping[str, str],
    own: Mapping[str, str],
    options: ConversionOptions,
) -> dict[str, str]:
    """The split of every slice.

    A source's own split is kept where it has one that is worth the name: of a source that has but
    one part, nothing is kept. A group with a slice in such a split follows it there. Where a source
    has train and test but no val, val is taken from its train part by patient. All others are dealt
    out by the fractions.

    Args:
        written: The slices.
        groups: Name of every patient's group.
        own: The source's own split by slice, for slices that have one.
        options: Fractions, seed, own_split, by_slice.
    """
    splits = {item.name: UNLABELLED for item in written if item.lesion_px is None}
    labelled = [item for item in written if item.name not in splits]
    if options.by_slice:
        names = [item.name for item in labelled]
        return splits | split_slices(names, options.shares, options.seed)
    if options.own_split:
        splits |= _keep_own(labelled, groups, own, options)
    free = [item for item in labelled if item.name not in splits]
    dealt = split_patients(measure_loads(free, groups), options.shares, options.seed)
    return splits | {item.name: dealt[groups[item.patient]] for item in free}


def _keep_own(
    labelled: Sequence[WrittenSlice],
    groups: Mapping[str, str],
    own: Mapping[str, str],
    options: ConversionOptions,
) -> dict[str, str]:
    """The slices whose split is given by their source, or by the rest of their group."""
    splits: dict[str, str] = {}
    for source in sorted({item.source for item in labelled}):
        items = [item for item in labelled if item.source == source and item.name in own]
        parts = {own[item.name] for item in items}
        if len(parts) < 2:
            continue
        given = {item.name: own[item.name] for item in items}
        if parts == {"train", "test"} and {"train", "val"} <= set(options.shares):
            given |= _val_from_train(items, groups, own, options)
        splits |= given
    homes: dict[str, str] = {}
    for item in labelled:
        if item.name in splits:
            homes.setdefault(groups[item.patient], splits[item.name])
    for item in labelled:
        if item.name not in splits and groups[item.patient] in homes:
            splits[item.name] = homes[groups[item.patient]]
    return splits


def _val_from_train(
    items: Sequence[WrittenSlice],
    groups: Mapping[str, str],
    own: Mapping[str, str],
    options: ConversionOptions,
) -> dict[str, str]:
    """Train slices dealt out to train and val; groups with a slice in test stay where they are."""
    tested = {groups[item.patient] for item in items if own[item.name] == "test"}
    train = [
        item for item in items if own[item.name] == "train" and groups[item.patient] not in tested
    ]
    total = options.shares["train"] + options.shares["val"]
    shares = {split: options.shares[split] / total for split in ("train", "val")}
    dealt = split_patients(measure_loads(train, groups), shares, options.seed)
    return {item.name: dealt[groups[item.patient]] for item in train}

"""The cases of several sources under names that are fit for one folder."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from datasets.card import DataCard, SourceFacts
from datasets.sources.file_tree import FileTree
from datasets.sources.source import Source, SourceCase
from utils.errors import UserError

LESION = {1: "lesion"}


class NamedCase(NamedTuple):
    """A case, the name of its source, and its name in the folder."""

    source: str
    name: str
    case: SourceCase

    def slice_name(self, index: int) -> str:
        """File stem of a slice: <name>_z012, with more digits in a scan of over 1,000 slices."""
        if not self.case.is_volume:
            return self.name
        digits = max(3, len(str((self.case.num_slices or 1) - 1)))
        return f"{self.name}_z{index:0{digits}d}"


def find_cases(sources: Sequence[tuple[Source, FileTree]]) -> list[NamedCase]:
    """The cases of all sources, in the order of the sources.

    A name that stands in two sources gets its source before it, in both. A patient's name stays:
    patients of one name, whatever their sources, are never divided.

    Raises:
        UserError: A source finds nothing, or a name stands twice in one source.
    """
    found = [
        NamedCase(source.facts.name, case.name, case)
        for source, tree in sources
        for case in source.find_cases(tree)
    ]
    same: dict[str, list[NamedCase]] = defaultdict(list)
    for item in found:
        same[item.name.casefold()].append(item)
    for items in same.values():
        if len({item.source for item in items}) < len(items):
            names = " and ".join(sorted({item.name for item in items}))
            raise UserError(
                f"{items[0].source}: several cases are called {names}; rename or remove all but one"
            )
    return [
        item._replace(name=f"{item.source}_{item.name}")
        if len(same[item.name.casefold()]) > 1
        else item
        for item in found
    ]


def have_common_labels(sources: Sequence[Source]) -> bool:
    """Whether no class number means two things; else the folder can only tell lesion from none."""
    names: dict[int, set[str]] = defaultdict(set)
    for source in sources:
        for value, name in source.labels.items():
            names[value].add(name)
    return all(len(found) == 1 for found in names.values())


def make_card(sources: Sequence[Source], bits: int) -> DataCard:
    """The card of a folder made of these sources.

    Its intensity rule is that of the sources that have one; None where these differ.

    Raises:
        UserError: The sources are of different modalities.
    """
    modality, *others = dict.fromkeys(source.modality for source in sources)
    if others:
        names = ", ".join(f"{source.facts.name} ({source.modality})" for source in sources)
        raise UserError(f"{names}: of different modalities; make a data folder of each")
    rules = {source.intensity for source in sources if source.intensity is not None}
    labels = dict(LESION)
    if have_common_labels(sources):
        merged = {value: name for source in sources for value, name in source.labels.items()}
        labels = dict(sorted(merged.items()))
    facts: dict[str, SourceFacts] = {source.facts.name: source.facts for source in sources}
    rule = rules.pop() if len(rules) == 1 else None
    return DataCard(tuple(facts.values()), rule, bits, labels, modality)


def card_notes(sources: Sequence[Source]) -> list[str]:
    """What the joint card cannot say."""
    notes = []
    if not have_common_labels(sources):
        notes.append(
            "the sources number their classes differently: the folder label holds 0 and 1 (lesion)"
        )
    if len({source.intensity for source in sources if source.intensity is not None}) > 1:
        notes.append(
            "the sources were made with different windows of Hounsfield units: the card has no "
            "intensity rule, and predict.py cannot apply one to a scan"
        )
    return notes


def nothing_left(cases: Sequence[NamedCase], failures: Sequence[str]) -> str:
    """Why not one slice was written."""
    if failures:
        return f"all {len(failures)} cases failed, the first one: {failures[0]}"
    return f"none of {len(cases)} cases has a slice with lesion; use --keep-empty all"

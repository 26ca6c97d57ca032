"""Folds that a benchmark has published, by scan, in its own form and turned round.

covid-ct-seg: the five folds of the COVID-19-CT-Seg benchmark (J. Ma et al., Medical Physics 48(3),
2021; Task1_COVID_datasplit.pkl of its repository). Each fold trains on 4 scans and tests on the
other 16. The form 16-4 trains on those 16 and tests on the 4, so that every scan is tested once.

The benchmark names no validation part, which a run here needs to choose its epoch: val is the last
scan of the training part whose patient has no other scan there. So a fold trains on 3 scans, not on
4. Two patients have two scans each; a fold that trains on one and tests on the other says so.
"""

from collections.abc import Mapping, Sequence

from datasets.data_folder import UNLABELLED, WrittenSlice
from datasets.sources.source import Source
from preparation.conversion.options import ConversionOptions
from preparation.conversion.splits import assign_folds
from utils.errors import UserError
from utils.messages import count, first_of

OFFICIAL = ("official", "official-16-4")
_FOLDS: Mapping[str, Sequence[Sequence[str]]] = {
    "covid-ct-seg": (
        ("coronacases_008", "coronacases_007", "radiopaedia_36_86526_0", "radiopaedia_4_85506_1"),
        ("coronacases_009", "coronacases_004", "radiopaedia_14_85914_0", "radiopaedia_7_85703_0"),
        ("coronacases_010", "coronacases_001", "radiopaedia_10_85902_1", "radiopaedia_29_86491_1"),
        ("coronacases_003", "coronacases_005", "radiopaedia_40_86625_0", "radiopaedia_27_86410_0"),
        ("coronacases_002", "radiopaedia_10_85902_3", "coronacases_006", "radiopaedia_29_86490_1"),
    ),
}


def check_official(folds: int | str | None, sources: Sequence[Source]) -> None:
    """Refuse data sets without published folds where these are asked for, before anything is read.

    Raises:
        UserError: One has none, or there are several data sets.
    """
    names = [source.facts.name for source in sources]
    if folds in OFFICIAL and (len(names) != 1 or names[0] not in _FOLDS):
        raise UserError(
            f"--folds {folds}: {' and '.join(names)} has no published folds; "
            f"{', '.join(_FOLDS)} has, or give a number of folds"
        )


def choose_folds(
    written: Sequence[WrittenSlice],
    groups: Mapping[str, str],
    options: ConversionOptions,
    notes: Sequence[str],
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The split of every slice in every fold, published or dealt, and what is to be said of them.

    Args:
        written: The slices.
        groups: Name of every patient's group; published folds do without.
        options: Folds and seed.
        notes: What is to be said already.
    """
    if options.folds in OFFICIAL:
        folds, told = assign_official(written, options.folds, keep_going=options.keep_going)
        return folds, [*notes, *told]
    return assign_folds(written, groups, options.folds, options.seed), [*notes]


def assign_official(
    written: Sequence[WrittenSlice], form: str, *, keep_going: bool
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The split of every slice in every fold, and what is to be said of them.

    Args:
        written: The slices, of one data set.
        form: One of OFFICIAL.
        keep_going: Whether scans that are missing are left out.

    Returns:
        By name of the fold: split by name of the slice; and notes.

    Raises:
        UserError: Scans of the folds are missing, or there are others.
    """
    (source,) = {item.source for item in written}
    patients = {item.case: item.patient for item in written if item.lesion_px is not None}
    groups = _FOLDS[source]
    known = [scan for group in groups for scan in group]
    missing = [scan for scan in known if scan not in patients]
    if others := sorted(patients.keys() - set(known)):
        raise UserError(f"--folds {form}: {first_of(others)} stands in no published fold")
    if missing and not keep_going:
        raise UserError(
            f"--folds {form}: {count(len(missing), 'scan')} missing: {', '.join(missing)}; add "
            "their files, or leave them out with --keep-going"
        )
    notes = [f"missing and left out: {', '.join(missing)}"] if missing else []
    folds = {}
    for number, group in enumerate(groups):
        inside = [scan for scan in known if scan in patients and scan in group]
        outside = [scan for scan in known if scan in patients and scan not in group]
        train, test = (inside, outside) if form == OFFICIAL[0] else (outside, inside)
        roles = _roles(f"fold{number}", train, test, patients)
        notes += _twins(f"fold{number}", roles, patients)
        folds[f"fold{number}"] = {
            item.name: UNLABELLED if item.lesion_px is None else roles[item.case]
            for item in written
        }
    return folds, notes


def _roles(
    fold: str, train: Sequence[str], test: Sequence[str], patients: Mapping[str, str]
) -> dict[str, str]:
    """The split of every scan."""
    alone = [scan for scan in train if [patients[s] for s in train].count(patients[scan]) == 1]
    if len(train) < 2 or not alone or not test:
        raise UserError(f"--folds: {fold} has too few scans left for train, val and test")
    return dict.fromkeys(test, "test") | dict.fromkeys(train, "train") | {alone[-1]: "val"}


def _twins(fold: str, roles: Mapping[str, str], patients: Mapping[str, str]) -> list[str]:
    """A note for every patient who is tested and trained on."""
    return [
        f"{fold}: {scan} ({roles[scan]}) and {other} (test) are scans of one patient, as published"
        for scan in roles
        for other in roles
        if roles[scan] != "test" == roles[other] and patients[scan] == patients[other]
    ]

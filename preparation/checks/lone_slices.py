"""Folders in which every file counts as a patient, so that no leak can be seen."""

import re
from collections import Counter
from collections.abc import Sequence

from utils.messages import first_of

_LAST_NUMBER = re.compile(r"(?P<patient>.*?\w.*?)(?P<joint>[ _.-]+)\(?\d+\)?")


def explain_lone_slices(names: Sequence[str], patients: Sequence[str]) -> str | None:
    """What to do where most patients have a single slice; None elsewhere, or for one slice.

    Args:
        names: Stems of the slices.
        patients: Of the same.
    """
    slices = Counter(patients)
    alone = [n for n, patient in zip(names, patients, strict=True) if slices[patient] == 1]
    if len(names) < 2 or 2 * len(alone) <= len(names):
        return None
    found = _LAST_NUMBER.fullmatch(alone[0])
    whose = "every file counts" if len(alone) == len(names) else f"{len(alone)} files count each"
    pattern = f"{{patient}}{found['joint'] if found else '_'}{{slice}}.png"
    return (
        f"{whose} as a patient of its own ({first_of(alone)}): slices of one scan may "
        "stand in two splits unseen; if names hold the patient, convert with --images "
        f"'images/{pattern}' --masks 'masks/{pattern}', or name the patients in manifest.csv"
    )

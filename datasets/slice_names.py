"""What the name of a slice says: its scan, its place in the scan, and the patient."""

import re

# patient_z012, patient_s012, patient-slice012: what stands before the slice number is the scan.
# A bare number stays, it may count patients; manifest.csv says who is who in such a folder.
_SLICE_NUMBER = re.compile(r"(?P<scan>.+)[ _.-](?:z|s|sl|slice[ _-]?)(?P<slice>\d+)", re.IGNORECASE)
# patient8, case_07, Subject 12: the number of a person, wherever it stands in a name.
_PERSON = re.compile(
    r"(?<![a-z])(?:patient|pat|subject|subj|sub|person|case|study)[ _-]?(?:id)?[ _-]?\d+",
    re.IGNORECASE,
)
# Behind a person, the last number is of the slice: patient8_081, Patient 8 (81), patient8_IM00081.
_LAST_NUMBER = re.compile(
    r"(?P<scan>.*?)[ _.-]*[ _.(-](?:(?:im|img|image|ct|frame)[ _-]?)?(?P<slice>\d+)\)?",
    re.IGNORECASE,
)


def place_of_stem(stem: str) -> tuple[str, int] | None:
    """Scan and number of the slice that a file's stem names; None where it names no slice."""
    if found := _SLICE_NUMBER.fullmatch(stem):
        return found["scan"], int(found["slice"])
    if (person := _PERSON.search(stem)) and (found := _LAST_NUMBER.fullmatch(stem, person.end())):
        return stem[: person.end()] + found["scan"], int(found["slice"])
    return None


def patient_of_case(stem: str) -> str:
    """The patient that the name of a scan holds, such as patient8 of patient8_SR_2; else all."""
    person = _PERSON.search(stem)
    return stem[: person.end()] if person else stem


def patient_of_stem(stem: str) -> str:
    """The patient that the name of a slice holds, the stem itself where it names none.

    What ends with the number of a person (patient8, case_07), or what stands before the number of
    the slice (_z012, _s012, _slice012).
    """
    place = place_of_stem(stem)
    return patient_of_case(place[0] if place else stem)

"""Scan, place and patient in the names of slices."""

import pytest

from datasets.slice_names import patient_of_case, patient_of_stem, place_of_stem


@pytest.mark.parametrize(
    ("stem", "patient", "place"),
    [
        ("137covid_patient8_SR_2_IM00081", "137covid_patient8", ("137covid_patient8_SR_2", 81)),
        ("137covid_patient8_SR_3_IM00007", "137covid_patient8", ("137covid_patient8_SR_3", 7)),
        ("Patient 8 (81)", "Patient 8", ("Patient 8", 81)),
        ("patient8_081", "patient8", ("patient8", 81)),
        ("case8.slice81", "case8", ("case8", 81)),
        ("case10-axial-33", "case10", ("case10-axial", 33)),
        ("subject_03_img_12", "subject_03", ("subject_03", 12)),
        ("Morozov_study_0255_12", "Morozov_study_0255", ("Morozov_study_0255", 12)),
        ("sub-01_ses-2_slice003", "sub-01", ("sub-01_ses-2", 3)),
        ("coronacases_008_z010", "coronacases_008", ("coronacases_008", 10)),
        ("radiopaedia_10_85902_1_z001", "radiopaedia_10_85902_1", ("radiopaedia_10_85902_1", 1)),
        ("p7_z1_z2", "p7_z1", ("p7_z1", 2)),
        ("patient_001", "patient_001", None),
        ("case_7", "case_7", None),
        ("case7", "case7", None),
        ("semiseg_010", "semiseg_010", None),
        ("IM-0008-0081", "IM-0008-0081", None),
        ("tr_im12", "tr_im12", None),
        ("scan (3)", "scan (3)", None),
        ("007", "007", None),
        ("patient8_left", "patient8", None),
    ],
)
def test_names_of_slices(stem: str, patient: str, place: tuple[str, int] | None) -> None:
    assert patient_of_stem(stem) == patient
    assert place_of_stem(stem) == place


@pytest.mark.parametrize(
    ("name", "patient"),
    [("patient8_follow-up", "patient8"), ("scan_s2", "scan_s2"), ("study_0255", "study_0255")],
)
def test_names_of_scans(name: str, patient: str) -> None:
    assert patient_of_case(name) == patient

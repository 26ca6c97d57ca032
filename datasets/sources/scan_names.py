"""Patients of the COVID-19-CT-Seg scans, by the names that other data sets keep of them."""

import re

_CORONACASES = re.compile(r"coronacases_(?:org_)?(?:case)?0*(\d+)", re.IGNORECASE)
_RADIOPAEDIA = re.compile(r"radiopaedia\D(?:.*?\D)?(\d+)[_-]\d+[_-]\d+", re.IGNORECASE)


def patient_of_scan(name: str) -> str:
    """coronacases_007 or radiopaedia_10, as datasets.sources.covid_ct_seg has it; else the name.

    A case number of Radiopaedia is one patient, whatever the number of its studies.
    """
    if found := _CORONACASES.search(name):
        return f"coronacases_{int(found[1]):03d}"
    if found := _RADIOPAEDIA.search(name):
        return f"radiopaedia_{found[1]}"
    return name

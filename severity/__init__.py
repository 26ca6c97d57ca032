"""How much of the lungs a lesion mask covers: volumes, regions and a score of 0 to 25."""

from severity.measure import Severity, measure_scan
from severity.radiograph import measure_radiograph, part_lungs, write_radiograph_severity
from severity.report import write_severity

__all__ = [
    "Severity",
    "measure_radiograph",
    "measure_scan",
    "part_lungs",
    "write_radiograph_severity",
    "write_severity",
]

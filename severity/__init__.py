"""How much of the lungs a lesion mask covers: volumes, regions and a score of 0 to 25."""

from severity.measure import Severity
from severity.report import write_severity

__all__ = ["Severity", "write_severity"]

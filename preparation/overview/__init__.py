"""What a data folder holds, in numbers, on a page of plots and as a sheet of slices."""

from preparation.overview.describe import describe_folder
from preparation.overview.fingerprint import Fingerprint, take_fingerprint

__all__ = ["Fingerprint", "describe_folder", "take_fingerprint"]

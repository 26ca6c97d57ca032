"""Public data sets become data folders, and data folders are checked."""

from datasets.conversion.check import FolderCheck, check_folder, inspect_folder
from datasets.conversion.convert import convert
from datasets.conversion.leaks import check_leaks
from datasets.conversion.options import ConversionOptions, parse_keep_empty
from datasets.conversion.paper import convert_paper

__all__ = [
    "ConversionOptions",
    "FolderCheck",
    "check_folder",
    "check_leaks",
    "convert",
    "convert_paper",
    "inspect_folder",
    "parse_keep_empty",
]

"""NumPy's .npy files on the disk rather than in memory."""

import numpy as np

from datasets.sources.file_tree import FoundFile
from utils.errors import UserError


def map_npy(file: FoundFile) -> np.ndarray:
    """The array of a file, memory-mapped; one from an archive is unpacked for as long as it lives.

    The unpacked copy is unlinked here, and its room on the disk is free when the array is gone.

    Raises:
        UserError: The file is truncated or not an array of numbers.
    """
    with file.on_disk() as path:
        try:
            with np.errstate(over="raise"):  # of the product of a header's sides
                array = np.lib.format.open_memmap(path, mode="r")
        except (ValueError, OverflowError, FloatingPointError, OSError, EOFError) as error:
            reason = str(error).replace(str(path), "the file")
            raise UserError(f"{file}: not a whole .npy file ({reason}); get it again") from error
    if array.dtype.kind not in "biuf" or array.size == 0:
        raise UserError(f"{file}: holds no array of numbers; get it again")
    return array

"""How the C library keeps the memory that tensors on a CPU free."""

import ctypes
import sys

# Parameters of mallopt and their defaults, from glibc's malloc.h and manual.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_DEFAULT_TRIM_BYTES, _DEFAULT_NUM_MMAPS = 128 * 1024, 65536
_NEVER_TRIM = 2**31 - 1


def keep_freed_memory(keep: bool) -> None:
    """Let a process keep memory that it freed, or hand it back at once, as is the default.

    A training step frees every activation and wants it again a second later. By default glibc
    returns large blocks to the kernel, which clears each page anew: some 100,000 page faults and
    a tenth of the time of a step at the paper's size. Kept memory counts as the process's own
    until it ends, up to its peak. Does nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return
    mallopt(_M_MMAP_MAX, 0 if keep else _DEFAULT_NUM_MMAPS)
    mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM if keep else _DEFAULT_TRIM_BYTES)

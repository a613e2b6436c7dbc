"""Let a process keep the memory it frees, instead of requesting it from the system again.

glibc returns large blocks to Linux as soon as they are freed; the next ones are fresh pages that
the kernel has to clear. Training allocates the same few hundred MB in every step. Measured with the
CRNN with attention, batches of 64, two cores: 15 to 20 % less CPU time a step at about the same
peak, which stays until the process ends. Source: mallopt(3),
https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
LARGE = 1 << 30  # bytes; some versions of the library take no more than OLD_LARGE
OLD_LARGE = 1 << 25


def keep_freed_memory() -> bool:
    """From now on, keep freed memory for later. False where the C library is not glibc."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    mallopt(M_ARENA_MAX, 1)  # threads share what they keep
    mallopt(M_TRIM_THRESHOLD, LARGE)
    return bool(mallopt(M_MMAP_THRESHOLD, LARGE) or mallopt(M_MMAP_THRESHOLD, OLD_LARGE))

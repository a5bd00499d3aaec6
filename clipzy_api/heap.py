"""How this process' memory is given back: many threads take and free blocks of megabytes for as long as it lives."""

import ctypes

LARGE_BYTES = 1 << 20  # more than a block of a body, which would be slower to take anew each time
HEAPS = 2

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of glibc's malloc.h


def give_back_large_blocks() -> None:
    """Have large blocks go back to the system as soon as they are freed, and threads share heaps.

    Otherwise glibc keeps what was freed, in a heap for each few threads. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_ARENA_MAX, HEAPS)

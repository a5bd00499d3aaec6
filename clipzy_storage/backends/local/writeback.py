"""Has the kernel write a growing file to disk while it grows, so that the final flush finds little left to do."""

import ctypes

EVERY_BYTES = 16 << 20
_SYNC_FILE_RANGE_WRITE = 2


def _sync_file_range() -> "ctypes._NamedFuncPointer | None":
    try:
        function = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):  # another system than Linux
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function


_start = _sync_file_range()


class Writeback:
    """Starts to write back each ``EVERY_BYTES`` of one open file once they are complete. It waits for nothing."""

    def __init__(self, file: int, *, size_bytes: int = 0) -> None:
        self._file = file
        self._started_bytes = size_bytes

    def grown_to(self, size_bytes: int) -> None:
        """Raises nothing: ``fsync`` reports what goes wrong."""
        grown = size_bytes - self._started_bytes
        if _start is not None and grown >= EVERY_BYTES:
            _start(self._file, self._started_bytes, grown, _SYNC_FILE_RANGE_WRITE)
            self._started_bytes = size_bytes

"""The bytes of one part, between the client that sends them and the S3 service."""

import io
import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class PartBuffer(io.RawIOBase):
    """A file in memory of at most ``capacity_bytes``: filled, then read from its beginning, as often as needed.

    Its memory goes back to the operating system when it is closed. That of large blocks which Python allocates stays
    with the process, piece by piece, as soon as several threads allocate some.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._memory = mmap.mmap(-1, capacity_bytes)
        self._capacity_bytes = capacity_bytes
        self.size_bytes = 0
        self._position = 0

    @property
    def space_bytes(self) -> int:
        return self._capacity_bytes - self.size_bytes

    def append(self, data: "ReadableBuffer") -> memoryview:
        """Add as much of the data as there is space for; returns the rest."""
        view = memoryview(data)
        fitting = view[: self.space_bytes]
        end = self.size_bytes + len(fitting)
        self._memory[self.size_bytes : end] = fitting
        self.size_bytes = end
        return view[len(fitting) :]

    def first(self, length: int) -> bytes:
        """The first ``length`` bytes, or fewer if there are no more."""
        return self._memory[: min(length, self.size_bytes)]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = max(0, offset + (0, self._position, self.size_bytes)[whence])
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        target = memoryview(buffer).cast("B")
        end = min(self._position + len(target), self.size_bytes)
        count = max(0, end - self._position)
        target[:count] = self._memory[self._position : end]
        self._position += count
        return count

    def close(self) -> None:
        if not self.closed:
            self._memory.close()
        super().close()

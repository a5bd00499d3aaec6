"""What is left on a filesystem: bytes, and inodes, of which every file and every directory takes one."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FreeSpace:
    """None for what is unlimited or not reported: btrfs reports no inodes, some mounts no size."""

    size_bytes: int | None = None
    inodes: int | None = None

    def __str__(self) -> str:
        known = {"MiB": self.size_bytes and self.size_bytes >> 20, "inodes": self.inodes}
        return " and ".join(f"{count} {unit}" for unit, count in known.items() if count is not None)

    def lacks(self, *, size_bytes: int, inodes: int) -> bool:
        """Whether less than that is left, as far as it is known."""
        is_full = self.size_bytes is not None and self.size_bytes < size_bytes
        return is_full or (self.inodes is not None and self.inodes < inodes)


def free_space(where: int | Path) -> FreeSpace:
    """The space that a user without privileges may still use there. Raises ``OSError``."""
    filesystem = os.statvfs(where)
    return FreeSpace(
        filesystem.f_bavail * filesystem.f_frsize if filesystem.f_blocks else None,
        filesystem.f_favail if filesystem.f_files else None,
    )

"""Counts what a process asks of a storage: every call is recorded, and made on the real one."""

from collections import Counter
from typing import Any, cast

from clipzy_storage.backends.base import StorageBackend

_COUNTED = ("open", "list", "info", "exists", "delete", "open_writer")


class CountedStorage:
    """``calls`` holds the operation and its key or prefix, in order."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._storage, name)
        if name not in _COUNTED:
            return attribute

        def counted(key: str, *args: Any, **options: Any) -> Any:
            self.calls.append((name, key))
            return attribute(key, *args, **options)

        return counted

    @property
    def storage(self) -> StorageBackend:
        return cast(StorageBackend, self)

    def read(self, prefix: str = "") -> list[str]:
        """The keys of the files that were read."""
        return [key for name, key in self.calls if name == "open" and key.startswith(prefix)]

    def listed(self) -> set[str]:
        return {key for name, key in self.calls if name == "list"}

    def totals(self) -> Counter[str]:
        """How many calls there were of each operation."""
        return Counter(name for name, _ in self.calls)

"""Orders to the failpoints of processes under test."""

from pathlib import Path

from clipzy_storage.failpoints import VARIABLE, Action, Failpoint


class FailpointFile:
    """The file that the processes with these ``settings`` read their order from."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.settings = {VARIABLE: str(path)}

    def order(self, name: Failpoint, action: Action) -> None:
        partial = self._path.with_suffix(".partial")
        partial.write_text(f"{name} {action}")
        partial.replace(self._path)

    def withdraw(self) -> None:
        """Let processes that pause go on."""
        self._path.unlink()

    def has_fired(self) -> bool:
        """Whether an ``exit-once`` was obeyed."""
        return not self._path.exists()

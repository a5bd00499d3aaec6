"""Asks the storage something without letting a dead network mount block more than one thread of this process."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from clipzy_storage.errors import StorageError, StorageUnavailable

T = TypeVar("T")


class StorageProbe(Generic[T]):
    """One question, which one thread at a time asks; whoever comes meanwhile waits for the same answer."""

    def __init__(self, ask: Callable[[], T], *, timeout_seconds: float) -> None:
        self._ask, self._timeout_seconds = ask, timeout_seconds
        self._answer: Future[T] | None = None
        self._asking = threading.Lock()

    def answer(self) -> T:
        """Raises ``StorageError``, also if there is no answer in time."""
        with self._asking:
            if self._answer is None or self._answer.done():
                self._answer = Future()
                threading.Thread(target=self._run, args=[self._answer], name="storage-probe", daemon=True).start()
            answer = self._answer
        try:
            return answer.result(self._timeout_seconds)
        except TimeoutError as error:
            raise StorageUnavailable("the storage does not answer") from error

    def _run(self, answer: "Future[T]") -> None:
        try:
            answer.set_result(self._ask())
        except StorageError as error:
            answer.set_exception(error)
        finally:
            if not answer.done():
                answer.set_exception(StorageUnavailable("the storage could not be asked"))

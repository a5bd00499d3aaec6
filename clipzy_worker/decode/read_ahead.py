"""Has an iterator work ahead in a thread of its own, while what it yielded before is worked on."""

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_MIN_PIXELS = 640 * 480
_MAX_FRAMES = 8
_MAX_BYTES = 128 << 20
_BYTES_PER_PIXEL = 4  # of most frames; few have more


class _End:
    """What follows the last item."""


class ReadAhead(Generic[T]):
    """A context manager in which ``items`` are read, of which up to ``most`` wait to be taken.

    An error of ``items`` is raised where the next one is taken. After the block nothing is read any more, however it
    was left.
    """

    def __init__(self, items: Iterable[T], *, most: int) -> None:
        self._items = items
        self._waiting: queue.Queue[T | _End] = queue.Queue(most)
        self._error: BaseException | None = None
        self._is_left = threading.Event()
        self._thread = threading.Thread(target=self._read, name="read-ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._is_left.set()
        while self._thread.is_alive():  # it may wait for room for one more item, and then for the end
            while not self._waiting.empty():
                self._waiting.get_nowait()
            self._thread.join(0.01)

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self._waiting.get(), _End):
            yield item
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        try:
            for item in self._items:
                self._waiting.put(item)
                if self._is_left.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are taken
            self._error = error
        finally:
            self._waiting.put(_End())


def frames_ahead(frames: Iterable[T], *, pixels: int) -> AbstractContextManager[Iterable[T]]:
    """The same frames of so many pixels each, decoded while those before are worked on.

    Small ones are not: that costs less than their handing over.
    """
    if pixels < _MIN_PIXELS:
        return nullcontext(frames)
    return ReadAhead(frames, most=max(1, min(_MAX_FRAMES, _MAX_BYTES // (_BYTES_PER_PIXEL * pixels))))

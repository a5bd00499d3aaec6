"""Interrupts the running job when the worker shuts down, but never inside a critical section."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SIGNAL = signal.SIGQUIT  # pool processes ignore SIGTERM and SIGINT, which may be sent to the whole process group


class Interruption:
    """Inside ``with`` the signal is only recorded; in ``allowed`` parts of the block it raises ``SystemExit``.

    It does so once, so that nothing interrupts the release of the job. After the signal the process exits at the end
    of the block.
    """

    def __init__(self, *, before_exit: Callable[[], None] = lambda: None) -> None:
        """``before_exit`` is called before the process exits after a signal. It must raise nothing."""
        self._before_exit = before_exit
        self._is_received = self._is_allowed = False
        self._previous_handler: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous_handler = signal.signal(SIGNAL, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_received:
            # The job is settled. Billiard would now wait until the main process, which also stops, has read the result.
            self._before_exit()
            logging.shutdown()
            os._exit(os.EX_OK)
        if self._previous_handler is not None:
            signal.signal(SIGNAL, self._previous_handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Raises ``SystemExit`` if the signal arrives in this block or arrived before."""
        self._is_allowed = True
        try:
            if self._is_received:
                raise SystemExit
            yield
        finally:
            self._is_allowed = False

    def check(self) -> None:
        """Raise ``SystemExit`` again, in case the first one got lost, as it does in a destructor."""
        if self._is_received:
            raise SystemExit

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        was_received, self._is_received = self._is_received, True
        if self._is_allowed and not was_received:
            raise SystemExit

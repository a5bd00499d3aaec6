"""The signal that tells a pool process to give its job up, and the steps that it must not tear apart."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SIGNAL = signal.SIGQUIT  # SIGTERM and SIGINT are ignored here: they also reach the whole group of the main process


class Interruption:
    """Inside ``with`` the signal is only noted, but for the parts that are ``allowed``: there it raises ``SystemExit``.

    It does so once, so that nothing interrupts the putting back. Where it came, the process ends with the block.
    """

    def __init__(self) -> None:
        self._is_noted = self._is_allowed = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(SIGNAL, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_noted:
            # The job is settled. Billiard would now wait until the main process, which stops too, has read its result.
            logging.shutdown()
            os._exit(os.EX_OK)
        if self._before is not None:
            signal.signal(SIGNAL, self._before)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Raises ``SystemExit`` where the signal comes in it or was noted before."""
        self._is_allowed = True
        try:
            if self._is_noted:
                raise SystemExit
            yield
        finally:
            self._is_allowed = False

    def check(self) -> None:
        """Raise again where the signal came and its ``SystemExit`` got lost, as it does in a destructor."""
        if self._is_noted:
            raise SystemExit

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        was_noted, self._is_noted = self._is_noted, True
        if self._is_allowed and not was_noted:
            raise SystemExit

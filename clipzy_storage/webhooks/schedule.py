"""When an event is delivered again. Pure."""

from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime

DELAYS_SECONDS = (5, 20, 60, 5 * 60, 30 * 60, 2 * 3600, 6 * 3600, 15 * 3600)
"""After each failed attempt but the last, of which the first is made at once: about a day in all."""
JITTER = 0.1
"""By how much of it a delay may be longer, so that receivers that were down do not get everything at one moment."""
MAX_RETRY_AFTER_SECONDS = 24 * 3600
GONE = 410


def next_delay_seconds(
    made: int, status_code: int | None, *, asked_seconds: float | None, uniform: Callable[[float, float], float]
) -> float | None:
    """The delay after the failed attempt number ``made``; None if there is no further one.

    ``asked_seconds`` is what the receiver asked for, which counts if it is longer. ``uniform`` chooses between two
    bounds.
    """
    if status_code == GONE or made > len(DELAYS_SECONDS):
        return None
    delay_seconds = DELAYS_SECONDS[made - 1]
    return max(uniform(delay_seconds, delay_seconds * (1 + JITTER)), min(asked_seconds or 0.0, MAX_RETRY_AFTER_SECONDS))


def retry_after_seconds(header: str | None, *, now: datetime) -> float | None:
    """What ``Retry-After`` asks for, in seconds or as a date; None if it does not, or is malformed."""
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
        return max((moment - now).total_seconds(), 0.0)
    except (TypeError, ValueError, OverflowError):  # also of a date without a zone, or of numbers that no clock has
        return None

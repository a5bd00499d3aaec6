"""A worker with other patience than the project's: `python storage_impaired.py worker`.

``IMPAIRED`` names what is changed, with its value: ``late_files=5,s3_seconds=1``. All else is as it comes.
"""

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partialmethod

from clipzy_storage.backends.s3.session import Timeouts
from clipzy_storage.backends.s3.storage import S3Storage
from clipzy_worker.__main__ import main
from clipzy_worker.processing import prior_results


def late_files(seconds: str) -> None:
    """For how long an upload may stay unseen."""
    prior_results.LATE_FILES = timedelta(seconds=float(seconds))


def s3_seconds(seconds: str) -> None:
    """How long a silent store is waited for, at each of two tries."""
    short = Timeouts(connect_seconds=float(seconds), read_seconds=float(seconds), tries=2)
    S3Storage.__init__ = partialmethod(S3Storage.__init__, timeouts=short)  # type: ignore[assignment, method-assign]


CHANGES: dict[str, Callable[[str], None]] = {change.__name__: change for change in (late_files, s3_seconds)}

if __name__ == "__main__":
    for wanted in os.environ["IMPAIRED"].split(","):
        name, _, value = wanted.partition("=")
        CHANGES[name](value)
    sys.exit(main())

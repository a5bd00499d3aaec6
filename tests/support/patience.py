"""The `clipzy` command with less patience: `python patience.py SECONDS worker|web …`.

How long a probe may stay unseen, and how long a storage may not answer before that is reported, are no settings. All
else is as it comes.
"""

import sys
from functools import partial

from clipzy_api import cli
from clipzy_storage.guard import mount_verifier, startup
from clipzy_worker.__main__ import main as work


def main(seconds: float, *arguments: str) -> int:
    mount_verifier.VISIBILITY_TIMEOUT_SECONDS = seconds
    startup.join_deployment = partial(startup.join_deployment, first_try_seconds=seconds)
    return work() if arguments[0] == "worker" else cli.run(arguments)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), *sys.argv[2:]))

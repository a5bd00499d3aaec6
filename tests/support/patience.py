"""The `clipzy` command with less patience: `python patience.py SECONDS worker|web …`.

How long a proof may take, and how long a storage may keep silent before that is said, are no settings. All else is as
it comes.
"""

import sys

from clipzy_api import cli
from clipzy_storage.guard import heartbeat, mount_verifier
from clipzy_worker.__main__ import main as work


def main(seconds: float, *arguments: str) -> int:
    mount_verifier.PROOF_SECONDS = heartbeat.FIRST_TRY_SECONDS = seconds
    return work() if arguments[0] == "worker" else cli.run(arguments)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), *sys.argv[2:]))

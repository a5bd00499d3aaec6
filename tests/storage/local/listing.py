"""Lists a storage as a process that is bound by the modes of files, also if the tests run as root."""

import ctypes
import os
import sys
from pathlib import Path

from clipzy_storage.backends.local.storage import LocalStorage
from clipzy_storage.config import logs
from clipzy_storage.config.environment import settings_from_env

PR_CAPBSET_DROP, CAPABILITIES_THAT_PASS_MODES = 24, (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def main() -> None:
    root, prefix = sys.argv[1:]
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in CAPABILITIES_THAT_PASS_MODES:
            assert libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0
        os.execv(sys.executable, [sys.executable, "-m", "tests.storage.local.listing", root, prefix])
    list_keys(root, prefix)


def list_keys(root: str, prefix: str) -> None:
    logs.configure(settings_from_env({}))
    storage = LocalStorage(Path(root), shared=False)
    storage.prepare()
    for blob in storage.list(prefix):
        print(blob.key)  # noqa: T201 - its output


if __name__ == "__main__":
    list_keys(*sys.argv[1:])

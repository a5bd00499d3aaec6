"""Starts an upload and never finishes it, to be killed: ``python -m tests.storage.s3.stuck_writer BUCKET KEY``."""

import sys
import threading

from clipzy_storage.backends.s3.storage import SMALLEST_PART_BYTES, S3Storage

if __name__ == "__main__":
    bucket, key = sys.argv[1:]
    storage = S3Storage(bucket, writer="stuck")
    storage.prepare()
    with storage.open_writer(key) as incoming:
        incoming.write(bytes(SMALLEST_PART_BYTES + 1))
        threading.Event().wait()

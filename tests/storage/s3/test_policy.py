"""The documented policy grants exactly what Clipzy uses: more would be a risk, less a refusal."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from clipzy_storage.backends.base import put_bytes, read_bytes
from clipzy_storage.backends.s3.storage import SMALLEST_PART_BYTES
from clipzy_storage.errors import AlreadyExists
from tests.storage.s3.conftest import OpenStorage
from tests.support.s3_proxy import S3Proxy

STORAGE_PAGE = Path(__file__).parents[3] / "docs/storage.md"
RIGHTS = {
    "PutObject": "s3:PutObject",
    "CopyObject": "s3:PutObject",  # and s3:GetObject, of what it copies
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListParts": "s3:ListMultipartUploadParts",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "DeleteObject": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}


def policy() -> Any:
    (text,) = [
        block for block in re.findall(r"```json\n(.*?)```", STORAGE_PAGE.read_text(), re.S) if "Statement" in block
    ]
    return json.loads(text)


@pytest.mark.parametrize("server", ["moto"], indirect=True)
def test_the_documented_policy_is_just_what_is_used(open_storage: OpenStorage, proxy: S3Proxy) -> None:
    # Given everything that is ever done with a storage
    storage, content = open_storage(proxy.url), os.urandom(SMALLEST_PART_BYTES + 1)
    storage.prepare()
    storage.check()
    put_bytes(storage, "results/job_1/output.json", b"{}", content_type="application/json")
    storage.copy("results/job_1/output.json", "results/job_2/output.json", sha256=hashlib.sha256(b"{}").hexdigest())
    put_bytes(storage, "uploads/vid_1/source.mp4", content, content_type="video/mp4")
    with pytest.raises(AlreadyExists):
        put_bytes(storage, "uploads/vid_1/source.mp4", content, content_type="video/mp4")
    read_bytes(storage, "results/job_1/output.json")
    list(storage.list("results/"))
    storage.delete("uploads/vid_1/source.mp4")
    storage.sweep_incomplete(0)
    storage.retract()

    # Then the policy grants what that takes, and no more
    granted = {action for statement in policy()["Statement"] for action in statement["Action"]}
    assert granted == {RIGHTS[operation] for operation in proxy.operations()}

    # And each for the right resource
    for statement in policy()["Statement"]:
        on_objects = statement["Resource"].endswith("/*")
        assert all(
            (action.endswith(("Object", "Parts")) or "Abort" in action) == on_objects for action in statement["Action"]
        )

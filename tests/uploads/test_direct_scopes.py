"""What a key needs for direct uploads: who has the address of a part can write it."""

from pathlib import Path

from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.models.access import Scope
from tests.support.s3_servers import S3Server
from tests.support.waiting import eventually
from tests.uploads.conftest import deployment
from tests.uploads.tus_client import UPLOADS, Deployed


def bearing(deployed: Deployed, *scopes: Scope) -> dict[str, str]:
    _, text = ApiKeys(deployed.storage).create("test", owner="ada", scopes=scopes, expires_at=None)
    headers = {"Authorization": f"Bearer {text}"}
    eventually(lambda: deployed.first.get("/api/v1/me", headers=headers).status_code != 401, "the key")
    return headers


def test_a_key_that_only_reads_gets_no_addresses_to_write_to(rclone_server: S3Server, tmp_path: Path) -> None:
    bucket = {"STORAGE_TYPE": "s3", "S3_BUCKET_NAME": rclone_server.new_bucket(), **rclone_server.env}
    with deployment(tmp_path, {"CLIPZY_AUTH": "keys", **bucket}) as deployed:
        # Given an upload that a key with both scopes has begun
        writer, reader = bearing(deployed, Scope.READ, Scope.WRITE), bearing(deployed, Scope.READ)
        body = {"filename": "a.mp4", "size_bytes": 1000}
        upload_id = deployed.first.post(f"{UPLOADS}/s3", json=body, headers=writer).json()["upload_id"]
        # Then the URLs of its parts are for keys that may write alone
        path = f"{UPLOADS}/s3/{upload_id}/parts?numbers=1"
        assert deployed.first.get(path, headers=writer).status_code == 200
        refused = deployed.first.get(path, headers=reader)
        assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")

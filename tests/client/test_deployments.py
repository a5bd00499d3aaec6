"""The client over what may stand between: keys, a bucket, connections that break while a file is sent."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from clipzy_api.client import Client, ClipzyError, Event
from tests.support import played_worker
from tests.support.deployment import Deployment, s3_settings
from tests.support.forms import mp4_bytes
from tests.support.processes import clipzy
from tests.support.s3_servers import S3Server
from tests.support.servers import FrontEnd, RedisServer, running_front_end, running_redis
from tests.support.tcp_proxy import Fault, TcpProxy
from tests.support.waiting import eventually


@pytest.fixture
def line(front_end: FrontEnd) -> Iterator[TcpProxy]:
    """A connection to the front end that can be broken."""
    with TcpProxy(front_end.url) as proxy:
        yield proxy


@pytest.mark.parametrize("of", ["request", "answer"])
def test_an_upload_over_broken_connections_makes_one_job(
    front_end: FrontEnd, tmp_path: Path, line: TcpProxy, of: str
) -> None:
    # Given connections of which the first two break, while the file is sent or before its answer
    (tmp_path / "large.mp4").write_bytes(mp4_bytes(5 << 20))
    after_bytes = 1 << 20 if of == "request" else 0
    line.suffer(Fault("reset", of=of, after_bytes=after_bytes, connections=2))  # type: ignore[arg-type]
    before = set(front_end.stored())
    # When the file is submitted, Then there is one job and one video of it
    with Client(line.url) as client:
        job = client.submit(tmp_path / "large.mp4")
    video = f"uploads/{job.video_id}"
    expected = {f"{video}/source.mp4", f"{video}/video.json", f"jobs/open/{job.job_id}.json"}
    eventually(lambda: front_end.unfinished() == [] and set(front_end.stored()) - before == expected)
    assert client.video(job.video_id).size_bytes == 5 << 20


def test_events_go_on_after_an_outage(client: Client, front_end: FrontEnd, video: Path, line: TcpProxy) -> None:
    # Given a job that is followed
    job_id = client.submit(video).job_id
    seen: list[Event] = []
    with Client(line.url) as follower:
        thread = Thread(target=lambda: seen.extend(follower.events(job_id)))
        thread.start()
        eventually(lambda: line.accepted)
        # When the front end is out of reach while the job goes on to its end
        line.suffer(Fault("refuse"))
        attempt = played_worker.claim(front_end, job_id)
        for percent in (20, 60):
            front_end.store.heartbeat(attempt.claim, percent=percent, stage="video_analysis")
        attempt.commit(played_worker.write_result(front_end, attempt))
        line.heal()
        thread.join(60)
    # Then no event is missing, and none came twice
    assert seen == list(client.events(job_id))


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for one test, since it belongs to one storage."""
    with running_redis(tmp_path / "redis") as server:
        yield server


def test_keys_are_sent_where_they_are_needed(tmp_path: Path, own_redis: RedisServer, video: Path) -> None:
    # Given a front end that wants keys, one key that may write and one that may not
    storage = tmp_path / "storage"

    def made(scopes: str) -> str:
        create = ("keys", "create", scopes, "--owner", "ada", "--scopes", scopes)
        return clipzy(*create, cwd=tmp_path, LOCAL_STORAGE_PATH=str(storage)).stdout.strip()

    keys = (made("read,write"), made("read"), f"{made('read')}x", made("write"))
    with running_front_end(tmp_path / "web", own_redis.url, storage_path=storage, CLIPZY_AUTH="keys") as web:
        writer, reader, stranger, sender = (Client(web.url, api_key=key) for key in keys)
        # When they are used, Then each may do what it may
        me = writer.me()
        assert (me.owner, me.key and me.key.name) == ("ada", "read,write")
        job = writer.submit(video)
        assert reader.job(job.job_id) == job
        for client, code in ((reader, "FORBIDDEN"), (stranger, "UNAUTHORIZED")):
            with pytest.raises(ClipzyError) as refusal:
                client.submit(video)
            assert refusal.value.code == code
        # And a key that may only write submits large files too, in the one way that asks for nothing
        (tmp_path / "large.mp4").write_bytes(mp4_bytes(9 << 20))
        assert sender.submit(tmp_path / "large.mp4").status == "queued"
        assert not list(tmp_path.glob("state/clipzy/uploads/*"))
        # And files are fetched with the key
        played_worker.complete(web, job.job_id)
        (path,) = reader.download(job.job_id, tmp_path / "files", names=["poster.jpg"])
        assert path.read_bytes() == played_worker.POSTER


def test_files_come_from_a_bucket(tmp_path: Path, own_redis: RedisServer, moto_server: S3Server, clip: Path) -> None:
    # Given a job whose files are in a bucket, and a connection to that, which breaks
    with TcpProxy(moto_server.url) as bucket:
        settings = {**s3_settings(moto_server, moto_server.new_bucket()), "S3_PUBLIC_ENDPOINT_URL": bucket.url}
        with Deployment(tmp_path / "deployment", redis_url=own_redis.url, **settings) as stack:
            client = Client(stack.web().url)
            stack.worker()
            job = client.wait(client.submit(clip).job_id, poll_seconds=0.1)
            bucket.suffer(Fault("reset", after_bytes=15_000))
            # When its files are downloaded, Then all arrive, and nothing is fetched twice
            progress: list[int] = []
            paths = client.download(
                job.job_id, tmp_path / "files", on_progress=lambda done, _total: progress.append(done)
            )
            names = [path.relative_to(tmp_path / "files").as_posix() for path in paths]
            assert names == [*(artifact.name for artifact in client.result(job.job_id).artifacts), "output.json"]
            assert max(path.stat().st_size for path in paths) > 15_000
            assert progress == sorted(progress)
            # And while the bucket cannot be reached, that is said without the signature
            bucket.suffer(Fault("refuse"))
            with pytest.raises(
                ClipzyError, match=rf"cannot be fetched from storage at {bucket.url}/.*\?\*\*\*: "
            ) as error:
                client.download(job.job_id, tmp_path / "others")
            assert "Signature" not in str(error.value)

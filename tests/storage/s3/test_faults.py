"""Uploads into a bucket over a network that breaks: whole or not there, and nothing left over."""

import pytest

from clipzy_storage import keys
from clipzy_storage.backends.base import put_bytes, put_json, read_bytes
from clipzy_storage.backends.s3.multipart import PARALLEL_PARTS
from clipzy_storage.backends.s3.session import Timeouts
from clipzy_storage.errors import StorageFull, StorageUnavailable
from tests.storage.s3.conftest import SHORT, VERY_SHORT, OpenStorage
from tests.storage.s3.uploads import CONTENT, KEY, PART_BYTES, assert_nothing_left, stored, upload
from tests.support.s3_proxy import Rule, S3Proxy
from tests.support.s3_servers import S3Server
from tests.support.tcp_proxy import Fault, Kind, TcpProxy, Way

LITTLE = CONTENT[:100_000]
ENDINGS: list[tuple[Kind, Way, int]] = [
    ("reset", "request", 0),
    ("reset", "request", 60_000),
    *((kind, "answer", at) for kind in ("reset", "cut") for at in (0, 30)),
]
CASES = [
    *((Fault(kind, of, at, connections=1), content) for kind, of, at in ENDINGS for content in (CONTENT, LITTLE)),
    *((Fault(kind, of, at), LITTLE) for kind, of, at in ENDINGS),
    (Fault("refuse"), LITTLE),
    (Fault("reset", "request", PART_BYTES + 300_000, connections=1), CONTENT),
    (Fault("reset", "request", PART_BYTES + 300_000), CONTENT),
    (Fault("silence", "request", 300_000), CONTENT),
    (Fault("delay", "answer", seconds=0.01), CONTENT),
]

on_moto = pytest.mark.parametrize("server", ["moto"], indirect=True)


@pytest.mark.parametrize(
    ("fault", "content"), CASES, ids=[f"{fault}-{len(content) >> 10}KiB" for fault, content in CASES]
)
def test_an_upload_is_whole_or_not_there(
    open_storage: OpenStorage, server: S3Server, bucket: str, fault: Fault, content: bytes
) -> None:
    with TcpProxy(server.url) as network:
        # Given a storage, and a network that is about to break
        storage = open_storage(network.url, timeouts=VERY_SHORT if fault.kind == "silence" else SHORT)
        storage.prepare()
        network.suffer(fault)

        # When something is uploaded
        try:
            upload(storage, content)
            published = True
        except (StorageUnavailable, StorageFull):
            published = False

        # Then it is whole, or it is an error; and never something else
        network.heal()
        assert stored(server, bucket) in ([content] if published else [None, content])
        assert published or fault.connections is None

        # And what could not be removed meanwhile is swept, and the storage works again immediately
        if not published:
            open_storage(network.url).sweep_incomplete(0)
        assert_nothing_left(server, bucket)
        put_json(open_storage(network.url), "jobs/open/x.json", {})


@pytest.mark.parametrize(
    ("content", "operation"),
    [
        (LITTLE, "PutObject"),
        *((CONTENT, step) for step in ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value) >> 10}KiB",
)
def test_a_lost_response_leaves_nothing_behind(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str, operation: str, content: bytes
) -> None:
    # Given a server that does what was requested, and one response that never arrives
    storage = open_storage(proxy.url)
    storage.prepare()
    proxy.rules[operation] = Rule(lost=True, times=1)

    # When something is uploaded, then the upload is whole, with nothing next to it
    upload(storage, content)
    assert stored(server, bucket) == content
    assert_nothing_left(server, bucket)


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_a_failed_upload_is_aborted(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str, operation: str
) -> None:
    # Given a server that does not go on at some point
    storage = open_storage(proxy.url)
    storage.prepare()
    proxy.rules[operation] = Rule(500, "InternalError")

    # When something is uploaded, then it fails and leaves nothing
    with pytest.raises(StorageUnavailable):
        upload(storage)
    assert stored(server, bucket) is None
    assert_nothing_left(server, bucket)


def test_an_answer_lost_for_good_is_not_taken_for_a_failure(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str
) -> None:
    # Given a server whose answers to the last step never arrive
    storage = open_storage(proxy.url)
    storage.prepare()
    proxy.rules["CompleteMultipartUpload"] = proxy.rules["PutObject"] = Rule(lost=True)

    # When small and large files are uploaded, then they are there and it is known
    put_bytes(storage, "jobs/open/x.json", b"{}", content_type="application/json")
    proxy.rules.pop("PutObject")
    upload(storage)
    assert stored(server, bucket) == CONTENT
    assert_nothing_left(server, bucket)


@on_moto
def test_a_slow_line_is_not_a_broken_one(open_storage: OpenStorage, server: S3Server, bucket: str) -> None:
    # Given a connection on which a part takes several times the timeout of a response
    with TcpProxy(server.url) as line:
        # Two tries, since the server may have closed a connection that was kept.
        storage = open_storage(line.url, timeouts=Timeouts(connect_seconds=0.3, read_seconds=10, tries=2))
        storage.prepare()
        line.suffer(Fault("delay", "request", seconds=0.01))

        # When something is uploaded, then it arrives
        upload(storage)
    assert stored(server, bucket) == CONTENT


@on_moto
def test_a_service_without_responses_fails_in_bounded_time(open_storage: OpenStorage, server: S3Server) -> None:
    # Given an upload in progress, whose service stops responding
    with TcpProxy(server.url) as network:
        storage = open_storage(network.url, timeouts=VERY_SHORT)
        storage.prepare()
        with storage.open_writer(KEY) as incoming:
            incoming.write(CONTENT[:PART_BYTES])
            network.fall_silent()
            passed = network.accepted

            # When it continues, and its request is then rolled back
            with pytest.raises(StorageUnavailable):
                incoming.write(CONTENT * 20)
            with pytest.raises(StorageUnavailable, match="a moment ago"):
                storage.delete(KEY)

        # Then there were no more connections than are allowed for one request of each part
        assert network.accepted - passed <= 2 * (PARALLEL_PARTS + 1)


@on_moto
@pytest.mark.parametrize(("operation", "content"), [("PutObject", LITTLE), ("CompleteMultipartUpload", CONTENT)])
def test_a_conflict_with_another_request_is_retried(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str, operation: str, content: bytes
) -> None:
    # Given a service that reports two times that another request for the key is in progress
    storage = open_storage(proxy.url)
    storage.prepare()
    proxy.rules[operation] = Rule(409, "ConditionalRequestConflict", only="conditional", times=2)

    # When something is uploaded, then the upload is repeated until it is whole
    upload(storage, content)
    assert stored(server, bucket) == content
    assert [request.operation for request in proxy.seen if "If-None-Match" in request.headers].count(operation) >= 3
    assert_nothing_left(server, bucket)


@on_moto
def test_a_conflict_that_does_not_end_is_an_outage(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str
) -> None:
    storage = open_storage(proxy.url)
    storage.prepare()
    proxy.rules["PutObject"] = Rule(409, "ConditionalRequestConflict", only="conditional")
    with pytest.raises(StorageUnavailable, match="are in progress all the time"):
        upload(storage, LITTLE)
    assert stored(server, bucket) is None


@on_moto
def test_a_free_key_that_is_refused_as_taken_is_an_outage(
    open_storage: OpenStorage, proxy: S3Proxy, server: S3Server, bucket: str
) -> None:
    # Given a service that says of a free key that it is taken
    storage = open_storage(proxy.url)
    storage.prepare()
    proxy.rules["CompleteMultipartUpload"] = Rule(412, "PreconditionFailed", only="conditional")

    # When something is uploaded, then it does not count as stored already, and leaves nothing
    with pytest.raises(StorageUnavailable, match="as taken, and it is not there"):
        upload(storage)
    assert stored(server, bucket) is None
    assert_nothing_left(server, bucket)


@on_moto
@pytest.mark.parametrize("operation", ["PutObject", "GetObject", "HeadObject", "ListObjectsV2", "DeleteObject"])
def test_an_unexpected_response_counts_as_unavailable(
    open_storage: OpenStorage, proxy: S3Proxy, operation: str
) -> None:
    # Given a service that is in use
    storage = open_storage(proxy.url)
    storage.prepare()
    put_json(storage, "jobs/open/y.json", {})

    def use() -> None:
        put_json(storage, f"jobs/open/{keys.new_id('job')}.json", {})
        read_bytes(storage, "jobs/open/y.json")
        list(storage.list("jobs/"))
        storage.delete("jobs/open/y.json")

    for status, code in ((418, "Teapot"), (501, "Odd"), (409, "Odd"), (400, "Odd"), (405, "")):
        # When it responds to one kind of request in an unexpected way
        proxy.rules[operation] = Rule(status, code)
        # Then that is an outage of the storage, whatever the response was
        with pytest.raises(StorageUnavailable):
            use()


@on_moto
def test_a_full_service_is_reported_as_full(open_storage: OpenStorage, proxy: S3Proxy) -> None:
    storage = open_storage(proxy.url)
    storage.prepare()
    for status, code in ((507, "InsufficientStorage"), (403, "QuotaExceeded")):
        proxy.rules["PutObject"] = Rule(status, code)
        with pytest.raises(StorageFull):
            put_json(storage, "jobs/open/x.json", {})

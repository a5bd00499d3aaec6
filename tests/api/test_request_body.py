import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from clipzy_api.inputs.request_body import BLOCK_BYTES, RequestBody
from tests.support.waiting import eventually


def body_of(content: bytes, **environ: str) -> RequestBody:
    return RequestBody({"wsgi.input": io.BytesIO(content), **environ})


def test_a_body_is_read_to_its_declared_end() -> None:
    content = bytes(range(256)) * 2000
    body = body_of(content, CONTENT_LENGTH=str(len(content)))

    assert b"".join(iter(body.read, b"")) == content
    assert not body.is_unread
    assert not body.is_short


def test_a_body_that_ends_early_is_short() -> None:
    body = body_of(b"few", CONTENT_LENGTH="100")

    assert list(iter(body.read, b"")) == [b"few"]
    assert not body.is_unread
    assert body.is_short


def test_a_chunked_body_is_unread_before_it_was_read() -> None:
    assert body_of(b"all", HTTP_TRANSFER_ENCODING="chunked").is_unread


def test_a_chunked_body_is_read_to_its_end() -> None:
    body = body_of(b"all", HTTP_TRANSFER_ENCODING="chunked")

    assert list(iter(body.read, b"")) == [b"all"]
    assert not body.is_unread
    assert not body.is_short


def test_draining_continues_until_enough_has_arrived() -> None:
    body = body_of(bytes(10 * BLOCK_BYTES), CONTENT_LENGTH=str(10 * BLOCK_BYTES))

    body.drain(least_bytes=2 * BLOCK_BYTES, least_seconds=0)

    assert body.received_bytes == 2 * BLOCK_BYTES
    assert body.is_unread


def test_draining_continues_as_long_as_there_is_time() -> None:
    body = body_of(bytes(10 * BLOCK_BYTES), CONTENT_LENGTH=str(10 * BLOCK_BYTES))

    body.drain(least_bytes=2 * BLOCK_BYTES, least_seconds=60)

    assert not body.is_unread


def test_a_body_knows_how_long_its_client_has_been_waiting() -> None:
    # Given a client whose body does not arrive
    client_sends = threading.Event()

    class Slow:
        def read(self, size: int) -> bytes:
            client_sends.wait(30)
            return bytes(size)

    body = RequestBody({"wsgi.input": Slow(), "CONTENT_LENGTH": str(10 * BLOCK_BYTES)})
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(body.read)

        # Then the server waits for the client
        assert eventually(lambda: body.kept_waiting_seconds == 0.0)

        # When a block has arrived, then the client waits for the server
        client_sends.set()
        reading.result()
        assert eventually(lambda: body.kept_waiting_seconds > 0)


@pytest.mark.parametrize("environ", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "0"}])
def test_a_request_without_a_body_has_nothing_to_read(environ: dict[str, str]) -> None:
    body = body_of(b"the next request", **environ)

    assert not body.is_unread
    assert body.read() == b""


def test_a_client_that_waits_for_100_continue_is_not_drained() -> None:
    body = body_of(b"", CONTENT_LENGTH="100", HTTP_EXPECT="100-continue")

    assert body.is_unread
    assert not body.is_being_sent

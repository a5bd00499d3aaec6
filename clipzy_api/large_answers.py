"""Large answers: made for few clients at a time, and sent in blocks, each after the client has taken those before.

The server keeps in memory what a client does not take, so no client may have more waiting than a few blocks.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, Response, g, request

from clipzy_api.problems import ApiError, overloaded
from clipzy_api.services import services

WHOLE_ANSWER_BYTES = 64 << 10
BLOCK_BYTES = 16 << 10


@contextmanager
def reserved() -> Iterator[None]:
    """Around the work for a large answer: has the slot under which it is sent, and is done for one client at a time.

    Otherwise many of them would keep all other requests waiting. Raises ``ApiError`` 503 if no slot is free.
    """
    _reserve()
    with services().large_answer_work:
        yield


def register(app: Flask) -> None:
    """Send every answer of more than ``WHOLE_ANSWER_BYTES`` in blocks, or refuse it if too many are being sent."""
    app.after_request(_limited)


def _reserve() -> None:
    """Take a slot, which is released when the answer has been sent, or another one instead of it."""
    if not services().large_answers.acquire():
        raise overloaded("large answers")
    g.has_reserved = True


def _limited(answer: Response) -> Response:
    is_large = _is_large(answer)
    if is_large and "has_reserved" not in g:
        try:
            _reserve()
        except ApiError as refusal:
            return refusal.response()
    if "has_reserved" in g:
        answer.call_on_close(services().large_answers.release)
    if is_large:
        answer.response = _blocks(answer.get_data())
    return answer


def _is_large(answer: Response) -> bool:
    is_sent_whole = answer.is_sequence and request.method == "GET" and answer.status_code == 200
    return is_sent_whole and (answer.content_length or 0) > WHOLE_ANSWER_BYTES


def _blocks(content: bytes) -> Iterator[bytes]:
    return (content[start : start + BLOCK_BYTES] for start in range(0, len(content), BLOCK_BYTES))

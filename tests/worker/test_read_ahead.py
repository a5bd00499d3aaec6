"""Items are read in a thread of their own: in order, not too many, and none after the block."""

import itertools
import threading
from collections.abc import Iterator

import pytest

from clipzy_worker.decode.read_ahead import ReadAhead
from tests.support.waiting import eventually


class Counted:
    """Numbers from 0, and how many were read."""

    def __init__(self) -> None:
        self.read = 0

    def __iter__(self) -> Iterator[int]:
        for number in itertools.count():
            self.read += 1
            yield number


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_all_items_come_in_order() -> None:
    with ReadAhead(range(1000), most=3) as items:
        assert list(items) == list(range(1000))
    assert readers() == []


def test_no_more_are_read_than_may_wait() -> None:
    numbers = Counted()
    with ReadAhead(numbers, most=3) as items:
        # Given that one was taken
        assert next(iter(items)) == 0
        # Then three wait, and one for room
        eventually(lambda: numbers.read == 5, "a reader that waits")
        assert next(iter(items)) == 1
        eventually(lambda: numbers.read == 6, "a reader that waits again")


def test_an_error_comes_in_its_place() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("after the first")

    with ReadAhead(failing(), most=8) as items:
        taken = iter(items)
        assert next(taken) == 1
        with pytest.raises(ValueError, match="after the first"):
            next(taken)
    assert readers() == []


def test_nothing_is_read_after_the_block() -> None:
    # Given a reader that waits for room, and a block that is left by an error, which keeps what refers to the items
    numbers = Counted()

    def give_up() -> None:
        with ReadAhead(numbers, most=2) as items:
            for _ in items:
                eventually(lambda: numbers.read == 4, "a reader that waits")
                raise KeyError

    with pytest.raises(KeyError):
        give_up()
    # Then the thread has ended
    assert readers() == []
    assert numbers.read <= 5

"""Every byte of a part comes out as it was sent, whatever the part is and wherever the body is cut."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipzy_api.inputs.multipart_reader import MAX_HEADER_BYTES, MultipartReader, PartData, PartHead
from clipzy_api.inputs.request_body import BLOCK_BYTES
from tests.support.forms import MP4_HEAD, read_upload

BOUNDARIES = [
    b"b",
    b"-",
    b"----",
    b"a-b--c-",
    b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
    b"front end ' tests (7f3a)",
    b"0123456789" * 7,
]
LINE_ENDS = [b"\r\n", b"\n"]
CONFIG = b'{"reuse": false}\n'


def part(name: str, content: bytes, *, boundary: bytes, line_end: bytes) -> bytes:
    lines = [
        b"--" + boundary,
        f'Content-Disposition: form-data; name="{name}"; filename="f"'.encode(),
        b"",
        content,
        b"",
    ]
    return line_end.join(lines)


def form(content: bytes, *, boundary: bytes, line_end: bytes = b"\r\n") -> bytes:
    """A file between two configs, and the final boundary."""
    config = part("config", CONFIG, boundary=boundary, line_end=line_end)
    file = part("file", content, boundary=boundary, line_end=line_end)
    return config + file + config + b"--" + boundary + b"--" + line_end


def endings(boundary: bytes, line_end: bytes) -> list[bytes]:
    """Ends of a file that look like the delimiter after it, or like its beginning."""
    dash_boundary = b"--" + boundary
    begun = [line_end + dash_boundary[:size] for size in {0, 1, 2, len(dash_boundary) // 2, len(dash_boundary) - 1}]
    looks_alike = [
        b"x" + dash_boundary,
        b"\n" + dash_boundary,
        b"\r" + dash_boundary + b"--",
        b"\n" + dash_boundary[:-1] + b"--",
        line_end + dash_boundary[:-1] + b"\r\n",
    ]
    line_ends = [b"", b"\r", b"\n", b"-", b"--", b"\r\r", b"\n\r", b"\r\n\r\n", b"\r\n-\r", b"\r\r\n--"]
    return [one for one in line_ends + begun + looks_alike if line_end + dash_boundary not in one]


def parts_of(blocks: Iterable[bytes], boundary: bytes) -> list[bytes]:
    """The contents of the parts, each of which must begin with its head and end once."""
    source, found, is_open = iter(blocks), [], False
    for event in MultipartReader(lambda: next(source, b""), boundary).events():
        match event:
            case PartHead():
                assert not is_open
                found.append(b"")
                is_open = True
            case PartData():
                assert is_open
                found[-1] += event.data
                is_open = not event.is_last
    assert not is_open
    return found


def cut(body: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """The body in blocks of these sizes."""
    at = 0
    for size in sizes:
        if at >= len(body):
            return
        yield body[at : at + size]
        at += size


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_body_may_be_cut_anywhere(boundary: bytes, line_end: bytes) -> None:
    # Given files with every ending that looks like a part of the framing
    for ending in endings(boundary, line_end):
        content = b"content" + line_end + ending
        body = form(content, boundary=boundary, line_end=line_end)

        # When the form comes in two blocks, whatever the first has, or in three, of which one has a byte
        for first in range(1, len(body)):
            for blocks in ((first, len(body)), (first, 1, len(body))):
                # Then every part is whole
                assert parts_of(cut(body, blocks), boundary) == [CONFIG, content, CONFIG], (ending, blocks)


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_blocks_may_be_of_any_small_size(boundary: bytes, line_end: bytes) -> None:
    for ending in endings(boundary, line_end):
        content = b"content" + ending
        body = form(content, boundary=boundary, line_end=line_end)
        for size in range(1, len(boundary) + 10):
            assert parts_of(cut(body, cycle([size])), boundary) == [CONFIG, content, CONFIG], (ending, size)


@st.composite
def files_and_forms(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """A file, a form that has it, and its boundary."""
    characters = "ab-'()+_,./:=? "
    boundary = draw(st.text(characters, min_size=1, max_size=70).filter(lambda text: text[-1] != " ")).encode()
    line_end = draw(st.sampled_from(LINE_ENDS))
    delimiter = line_end + b"--" + boundary
    pieces = st.sampled_from(
        [b"\r", b"\n", b"-", b"--", b"\r\n", b"\r\n--", b"--" + boundary, delimiter[:-1], b"\0" * 99]
    )
    content = b"".join(draw(st.lists(pieces | st.binary(max_size=30), max_size=12)))
    content = content.replace(delimiter, b"")  # clients choose a boundary that the file does not have
    if delimiter in content:
        content = b""
    return content, form(content, boundary=boundary, line_end=line_end), boundary


@given(files_and_forms(), st.lists(st.integers(1, 120), min_size=1, max_size=6))
def test_any_file_in_any_blocks_under_any_boundary(made: tuple[bytes, bytes, bytes], sizes: list[int]) -> None:
    content, body, boundary = made

    assert parts_of(cut(body, cycle(sizes)), boundary) == [CONFIG, content, CONFIG]


@pytest.mark.parametrize("block_number", [1, 2, 3])
@pytest.mark.parametrize("boundary", [b"-", b"----WebKitFormBoundary7MA4YWxkTrZu0gW", b"0123456789" * 7])
def test_the_blocks_of_a_request_may_end_anywhere_in_the_framing(boundary: bytes, block_number: int) -> None:
    # Given forms whose final boundary begins before the end of a block, and ends after it
    framing = len(part("file", b"", boundary=boundary, line_end=b"\r\n")) - 2
    noise = MP4_HEAD + b"\x5a" * (block_number * BLOCK_BYTES)
    for ending in (b"", b"\r", b"\n", b"-", b"\r\n--", b"\r\n--" + boundary[:-1]):
        for shift in range(len(boundary) + 10):
            size_bytes = block_number * BLOCK_BYTES - framing - shift
            content = noise[: size_bytes - len(ending)] + ending
            file = part("file", content, boundary=boundary, line_end=b"\r\n")

            # When it is read like an upload
            _, stored = read_upload(file + b"--" + boundary + b"--\r\n", boundary)

            # Then the file is the same
            assert len(stored) == size_bytes, (ending, shift)
            assert hashlib.sha256(stored).digest() == hashlib.sha256(content).digest(), (ending, shift)


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_a_body_without_its_final_boundary_is_no_form(line_end: bytes) -> None:
    body = form(b"content", boundary=b"b", line_end=line_end).removesuffix(line_end)

    for size in range(len(body)):
        with pytest.raises(EOFError):
            parts_of([body[:size]], b"b")


def test_what_stands_around_the_parts_is_left_out() -> None:
    body = (
        b"preamble\r\n" + form(b"content", boundary=b"b").replace(b"--b\r\n", b"--b \t \r\n") + b"epilogue\r\n--b\r\n"
    )

    for size in range(1, len(body)):
        assert parts_of(cut(body, cycle([size])), b"b") == [CONFIG, b"content", CONFIG]


def test_a_header_may_be_folded_and_others_are_ignored() -> None:
    body = b'--b\r\nX: y\r\nCONTENT-disposition : form-data;\r\n\t name="file"\r\nY\r\n\r\n\r\n--b--'
    blocks = iter([body])

    assert list(MultipartReader(lambda: next(blocks, b""), b"b").events()) == [
        PartHead('form-data; name="file"'),
        PartData(b"", is_last=True),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n\r\ncontent\r\n--b--",
        b"--b\r\nContent-Type: video/mp4\r\n\r\ncontent\r\n--b--",
        b"--b\r\nContent-Disposition: \xff\r\n\r\ncontent\r\n--b--",
        *(form(b"content\r\n--b" + text, boundary=b"b") for text in (b"c", b"-c", b" -", b" \rc", b"\0", b"\r\r\n")),
        b"--bc\r\n" + form(b"content", boundary=b"b"),
        b"--b\r\nContent-Disposition: form-data\r\nX: " + bytes(MAX_HEADER_BYTES) + b"\r\n\r\n\r\n--b--",
        b"--b\r\nContent-Disposition: form-data\r\nX: " + bytes(10 * MAX_HEADER_BYTES),
        bytes(10 * MAX_HEADER_BYTES),
    ],
)
@pytest.mark.parametrize("size", [1000, MAX_HEADER_BYTES, 1 << 20])
def test_what_is_no_form_is_refused_in_bounded_memory(body: bytes, size: int) -> None:
    with pytest.raises(ValueError, match=r"Content-Disposition|65536 bytes|codec|other text"):
        parts_of(cut(body, cycle([size])), b"b")

"""Splits a multipart body into its parts as it arrives, whatever the sizes of its blocks."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MAX_HEADER_BYTES = 64 << 10

_BOUNDARY_LINE_END = re.compile(rb"--|[ \t]*(?P<line_end>\r?\n)")
_BEGIN_OF_BOUNDARY_LINE_END = re.compile(rb"-|[ \t]*\r?")
_FOLD = re.compile(rb"\r?\n[ \t]+")


@dataclass(frozen=True)
class PartHead:
    """A part begins."""

    disposition: str
    """Its ``Content-Disposition``, as it was sent."""


@dataclass(frozen=True)
class PartData:
    """The next bytes of the part that began last; there may be none."""

    data: bytes
    is_last: bool


class MultipartReader:
    """Reads one multipart body (RFC 2046): a part ends where a line end and the boundary follow, and nowhere else.

    Line ends are CRLF, or LF throughout a part whose boundary line ends in LF.
    """

    def __init__(self, read: Callable[[], bytes], boundary: bytes) -> None:
        """``read`` returns the next block of the body, of any size, and ``b""`` at its end."""
        self._read = read
        self._dash_boundary = b"--" + boundary
        self._rest = b""

    def events(self) -> Iterator[PartHead | PartData]:
        """Every part, in order; the body has been read to its end after the last.

        Raises:
            EOFError: the body ended before the final boundary.
            ValueError: it is not well-formed, the boundary occurs in a part, or the headers of a part are longer than
                ``MAX_HEADER_BYTES``.
        """
        self._skip_preamble()
        while line_end := self._end_of_boundary_line():
            yield PartHead(_disposition_in(self._head(line_end)))
            yield from self._data(line_end)
        while self._read():
            pass

    def _skip_preamble(self) -> None:
        while (end := self._rest.find(self._dash_boundary)) < 0:
            self._read_more()
        self._rest = self._rest[end + len(self._dash_boundary) :]

    def _end_of_boundary_line(self) -> bytes:
        """The line end after a boundary; none if the boundary is the final one."""
        while (end := _BOUNDARY_LINE_END.match(self._rest)) is None:
            if not _BEGIN_OF_BOUNDARY_LINE_END.fullmatch(self._rest):
                raise ValueError("a boundary is followed by other text")
            self._read_more()
        self._rest = self._rest[end.end() :]
        return end["line_end"] or b""

    def _head(self, line_end: bytes) -> bytes:
        self._rest = line_end + self._rest  # without headers the blank line comes at once
        while (end := self._rest.find(line_end * 2, 0, MAX_HEADER_BYTES)) < 0:
            self._read_more()
        head, self._rest = self._rest[:end], self._rest[end + 2 * len(line_end) :]
        return head

    def _data(self, line_end: bytes) -> Iterator[PartData]:
        delimiter = line_end + self._dash_boundary
        while (end := self._rest.find(delimiter)) < 0:
            end = _begin_of_delimiter(self._rest, delimiter)
            data, self._rest = self._rest[:end], self._rest[end:]
            yield PartData(data, is_last=False)
            self._read_more()
        data, self._rest = self._rest[:end], self._rest[end + len(delimiter) :]
        yield PartData(data, is_last=True)

    def _read_more(self) -> None:
        if len(self._rest) > MAX_HEADER_BYTES:
            raise ValueError(f"no header and no boundary line ends within {MAX_HEADER_BYTES} bytes")
        block = self._read()
        if not block:
            raise EOFError("the body ends before its final boundary")
        self._rest += block


def _begin_of_delimiter(data: bytes, delimiter: bytes) -> int:
    """Where the end of ``data`` may be the beginning of a delimiter; its length if nowhere."""
    begin = data.rfind(delimiter[:1], -len(delimiter))  # a line end is in a delimiter only as its beginning
    return begin if begin >= 0 and delimiter.startswith(data[begin:]) else len(data)


def _disposition_in(head: bytes) -> str:
    for line in _FOLD.sub(b" ", head).splitlines():
        name, _, value = line.decode().partition(":")
        if name.strip().lower() == "content-disposition":
            return value.strip()
    raise ValueError("a part has no Content-Disposition")

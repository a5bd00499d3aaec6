"""Bodies of requests, made by hand so that each byte of them is known."""

import os

BOUNDARY = "front-end-tests-7f3a"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
MP4_HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
CLOSING = f"\r\n--{BOUNDARY}--\r\n".encode()


def mp4_bytes(size_bytes: int) -> bytes:
    """Bytes that are recognised as mp4: the right head, then noise with line ends and dashes in it."""
    return (MP4_HEAD + os.urandom(max(0, size_bytes - len(MP4_HEAD))))[:size_bytes]


def part(name: str | None, content: bytes, *, filename: str | None = None) -> bytes:
    """One part, with the boundary before it and without the one after it."""
    disposition = "form-data" + (f'; name="{name}"' if name is not None else "")
    if filename is not None:
        disposition += f'; filename="{filename}"'
    return f"\r\n--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + CLOSING


def video_form(content: bytes, *, filename: str = "holiday.mp4") -> bytes:
    return form(part("file", content, filename=filename))

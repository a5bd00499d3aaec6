import os

import pytest

from clipzy_storage.container_sniffing import SNIFF_BYTES, container_of


def atom(kind: bytes, payload: bytes = b"") -> bytes:
    return (8 + len(payload)).to_bytes(4, "big") + kind + payload


def ebml(doc_type: bytes, *, before: bytes = b"\x42\x86\x81\x01") -> bytes:
    """An EBML header whose DocType follows an EBMLVersion."""
    elements = before + b"\x42\x82" + bytes([0x80 | len(doc_type)]) + doc_type
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 | len(elements)]) + elements


WIDE_MDAT = (1).to_bytes(4, "big") + b"mdat" + (1 << 33).to_bytes(8, "big")

TABLE = {
    "mp4": (atom(b"ftyp", b"isom\0\0\2\0isomiso2"), "mp4"),
    "mp4 of a phone": (atom(b"ftyp", b"mp42\0\0\0\0"), "mp4"),
    "3gp is the same container": (atom(b"ftyp", b"3gp4\0\0\0\0"), "mp4"),
    "mp4 after padding": (atom(b"free", b"\0" * 20) + atom(b"ftyp", b"isom\0\0\2\0"), "mp4"),
    "quicktime": (atom(b"ftyp", b"qt  \0\0\2\0qt  "), "mov"),
    "old quicktime, index first": (atom(b"moov", b"\0" * 100), "mov"),
    "old quicktime, media first": (atom(b"wide") + (1 << 20).to_bytes(4, "big") + b"mdat", "mov"),
    "old quicktime, large media": (WIDE_MDAT, "mov"),
    "old quicktime, media to the end": (b"\0\0\0\0mdat" + b"\0" * 100, "mov"),
    "old quicktime, skipped bytes first": (atom(b"skip", b"\0" * 9) + atom(b"moov"), "mov"),
    "heic image": (atom(b"ftyp", b"heic\0\0\0\0"), None),
    "avif image": (atom(b"ftyp", b"avif\0\0\0\0"), None),
    "ftyp without a brand": (b"\0\0\0\x08ftyp", None),
    "only padding": (atom(b"free", b"\0" * 100), None),
    "padding, then noise": (atom(b"free", b"\0" * 4) + b"noise, noise", None),
    "atom of impossible size": (b"\0\0\0\x04mdat" + b"\0" * 20, None),
    "avi": (b"RIFF\x24\0\0\0AVI LIST", "avi"),
    "wav": (b"RIFF\x24\0\0\0WAVEfmt ", None),
    "webp": (b"RIFF\x24\0\0\0WEBPVP8 ", None),
    "matroska": (ebml(b"matroska"), "mkv"),
    "webm": (ebml(b"webm"), "webm"),
    "webm, padded name": (ebml(b"webm\0\0"), "webm"),
    "webm, name first": (ebml(b"webm", before=b""), "webm"),
    "ebml of another kind": (ebml(b"other"), None),
    "ebml without a name": (b"\x1a\x45\xdf\xa3\x84\x42\x86\x81\x01", None),
    "ebml of zeros": (b"\x1a\x45\xdf\xa3" + b"\0" * 200, None),
    "mpeg transport stream": (b"\x47\x40\x00\x10" + b"\xff" * 184, None),
    "text": (b"The wide world of mp4, mov and webm.\n" * 10, None),
    "list of other files": (b"ffconcat version 1.0\nfile 'secret.mp4'\n", None),
    "playlist": (b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n", None),
    "html": (b"<!doctype html><video src=x.mp4>", None),
    "png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize(("first_bytes", "container"), TABLE.values(), ids=TABLE)
def test_container_is_known_by_its_content(first_bytes: bytes, container: str | None) -> None:
    assert container_of(first_bytes) == container


@pytest.mark.parametrize("name", [name for name, (_, container) in TABLE.items() if container])
def test_a_head_cut_anywhere_never_names_another_container(name: str) -> None:
    # Given the beginning of a file, cut at every place
    first_bytes, container = TABLE[name]

    # When each piece is examined
    found = {container_of(first_bytes[:length]) for length in range(len(first_bytes))}

    # Then it is recognised or not, never mistaken
    assert found <= {None, container}


def test_noise_never_raises() -> None:
    for start in (b"", b"\x1a\x45\xdf\xa3", b"RIFF", b"\0\0\0\1ftyp", b"\0\0\0\1free"):
        for _ in range(200):
            container_of(start + os.urandom(64))
        container_of(start + os.urandom(SNIFF_BYTES))

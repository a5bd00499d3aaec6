"""The form in which the client uploads a file, as the front end reads it."""

import os
from pathlib import Path

import pytest

from clipzy_api.client import UnusableFile
from clipzy_api.client.uploads.form import FileForm
from clipzy_api.client.uploads.source import BLOCK_BYTES
from clipzy_api.inputs.multipart import UploadForm
from tests.support.forms import mp4_bytes, read_upload


def read(form: FileForm) -> tuple[UploadForm, bytes]:
    """The form and its file, as a front end receives them."""
    body = b"".join(form)
    assert len(body) == len(form)
    return read_upload(body, form.content_type.rpartition("boundary=")[2].encode())


@pytest.mark.parametrize("size_bytes", [32, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
@pytest.mark.parametrize("ending", [b"", b"\r", b"\n", b"\r\n", b"\r\n--"])
def test_a_file_of_any_size_and_end_arrives_whole(tmp_path: Path, size_bytes: int, ending: bytes) -> None:
    # Given a file
    content = mp4_bytes(size_bytes - len(ending)) + ending
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    form = FileForm(path, fields={"config": '{"reuse": false}', "queue": "batch"})

    # When it is sent, and sent again
    for upload, stored in (read(form), read(form)):
        # Then it is the same each time
        assert stored == content
        assert (upload.config, upload.queue) == ({"reuse": False}, "batch")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("naïve ☃.mp4", "naïve ☃.mp4"),
        ('my "best" holiday.mp4', 'my "best" holiday.mp4'),
        ('a"\r\nContent-Type: text', 'a"%0D%0AContent-Type: text'),
        ("a; name=x; filename=y", "a; name=x; filename=y"),
        ("a=?utf-8?q?b?=", "a=?utf-8?q?b?="),
    ],
)
def test_a_name_cannot_become_framing(tmp_path: Path, name: str, shown: str) -> None:
    path = tmp_path / name
    path.write_bytes(mp4_bytes(100))

    upload, stored = read(FileForm(path))

    assert (upload.filename, stored) == (shown, path.read_bytes())


def test_a_name_that_is_no_text_is_sent(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4"))
    path.write_bytes(mp4_bytes(100))

    upload, stored = read(FileForm(path))

    assert (upload.filename, stored) == ("?.mp4", path.read_bytes())


def test_a_file_that_grows_is_not_sent_as_if_it_were_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(mp4_bytes(BLOCK_BYTES + 10))
    form = FileForm(path)
    with path.open("ab") as file:
        file.write(b"more")

    with pytest.raises(UnusableFile, match="was changed while it was sent"):
        read(form)


def test_a_file_that_became_shorter_is_not_sent_as_if_it_were_whole(tmp_path: Path) -> None:
    # Given a file that is sent
    path = tmp_path / "a.mp4"
    path.write_bytes(mp4_bytes(3 * BLOCK_BYTES))
    form = FileForm(path)
    blocks = iter(form)
    sent = [next(blocks), next(blocks)]

    # When it is cut meanwhile
    os.truncate(path, 2 * BLOCK_BYTES)

    # Then the sender stops before the end of the form
    with pytest.raises(UnusableFile, match="was changed while it was sent"):
        sent.extend(blocks)
    assert sum(map(len, sent)) < len(form)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "a.mp4")
    with pytest.raises(UnusableFile, match=r"a\.mp4 is not a regular file\. Save the video to a file first\."):
        FileForm(path)

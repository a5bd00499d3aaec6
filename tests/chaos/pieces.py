"""Sends a file in pieces by tus to whichever front ends answer, until it is whole."""

import base64
import random
import threading

import requests

from tests.chaos.caller import Caller
from tests.chaos.history import History

VERSION = {"Tus-Resumable": "1.0.0"}
ASK_AGAIN = {409, 423, 429}


class Pieces:
    """One upload over several requests. What the service has said that it has must be there ever after."""

    def __init__(self, caller: Caller, rng: random.Random, history: History, *, giving_up: threading.Event) -> None:
        self._caller, self._rng, self._history, self._giving_up = caller, rng, history, giving_up

    def send(self, key: str, content: bytes) -> str | None:
        """The id of the video; None if there was an answer that no temporary outage explains."""
        path = self._begin(key, len(content))
        offset = 0
        while path and offset < len(content) and not self._giving_up.wait(self._rng.uniform(0, 0.2)):
            piece = content[offset : offset + self._rng.randrange(1, len(content) + 1)]
            chunk = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
            self._is_explained(key, self._caller.ask("PATCH", path, data=piece, headers=VERSION | chunk))
            offset = self._offset(key, path, least=offset)
        return path and path.rpartition("/")[2]

    def _begin(self, key: str, size_bytes: int) -> str | None:
        headers = VERSION | {"Upload-Length": str(size_bytes), "Idempotency-Key": f"{key}/uploads"}
        headers["Upload-Metadata"] = f"filename {_base64(f'{key}.mp4')}"
        while not self._giving_up.is_set():
            answer = self._caller.ask("POST", "/uploads", headers=headers)
            if answer is not None and answer.status_code == 201:
                return answer.headers["Location"].removeprefix("/api/v1")
            if not self._is_explained(key, answer):
                return None
            self._giving_up.wait(self._rng.uniform(0.2, 1.0))
        return None

    def _offset(self, key: str, path: str, *, least: int) -> int:
        """How much there is, as soon as any front end tells."""
        while not self._giving_up.is_set():
            answer = self._caller.ask("HEAD", path, headers=VERSION)
            if answer is not None and answer.status_code == 200:
                offset = int(answer.headers["Upload-Offset"])
                if offset < least:
                    self._history.add("unexpected", key=key, found=f"{path} has {offset} bytes, and had {least}")
                return offset
            if not self._is_explained(key, answer):
                break
            self._giving_up.wait(self._rng.uniform(0.2, 1.0))
        return least

    def _is_explained(self, key: str, answer: requests.Response | None) -> bool:
        status = 503 if answer is None else answer.status_code
        if status < 400 or status in ASK_AGAIN or status >= 500:
            return True
        self._history.add("unexpected", key=key, path="/uploads", found=str(status))
        self._giving_up.set()
        return False


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

"""Content that does not change while the process runs: kept and compressed once, not for every reader."""

import gzip
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from flask import Response, request


@dataclass(frozen=True)
class StaticContent:
    content_type: str
    plain: bytes
    compressed: bytes
    digest: str

    @classmethod
    def of(cls, content: bytes, content_type: str) -> Self:
        digest = hashlib.sha256(content).hexdigest()
        return cls(content_type, content, gzip.compress(content, mtime=0), digest)

    def answer(self) -> Response:
        """The answer to this request: compressed if the client prefers that, 304 if it has it already."""
        is_compressed = request.accept_encodings.best_match(("gzip", "identity"), default="identity") == "gzip"
        answer = Response(self.compressed if is_compressed else self.plain, content_type=self.content_type)
        answer.vary.add("Accept-Encoding")
        if is_compressed:
            answer.content_encoding = "gzip"
        answer.headers["Cache-Control"] = "no-cache"
        answer.set_etag(f"{self.digest}-gzip" if is_compressed else self.digest)
        answer.make_conditional(request.environ)
        return answer


class StaticContents:
    """The static contents of one application by name, each built when it is first asked for."""

    def __init__(self) -> None:
        self._built: dict[str, StaticContent] = {}
        self._building = threading.Lock()  # many clients may ask for the first time at once

    def named(self, name: str, build: Callable[[], StaticContent]) -> StaticContent:
        with self._building:
            if name not in self._built:
                self._built[name] = build()
            return self._built[name]

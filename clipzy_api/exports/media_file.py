"""The file that an editing program should look for, by a name, a path or a URL; and text that fits into one line."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

MAX_MEDIA_LENGTH = 1024
"""Of the name, path or URL, in characters."""

# Neither printable nor, for the most part, allowed in XML: controls, line ends and what is no character.
_NEVER_TEXT = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff"
MEDIA_PATTERN = f"^[^{_NEVER_TEXT}]*$"
_RUN_OF_SPACE = re.compile(rf"[ {_NEVER_TEXT}\ud800-\udfff]+")
_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")
_DRIVE = re.compile("[A-Za-z]:/")
# What may stand in a URL already: an escape is not escaped again.
_URL_CHARACTERS = "!#$%&'()*+,/:;=?@[]~"


def one_line(text: str) -> str:
    """The text without line ends and control characters, each run of which is a space."""
    return _RUN_OF_SPACE.sub(" ", text).strip()


@dataclass(frozen=True)
class MediaFile:
    """``text`` is the name, path or URL in one line, with ``/`` between the directories."""

    text: str

    @classmethod
    def named(cls, text: str) -> "MediaFile":
        """Whatever the text is. A path with only backslashes is one of Windows."""
        text = one_line(text)
        return cls(text if "/" in text else text.replace("\\", "/"))

    @property
    def name(self) -> str:
        """Of the file, without its directories."""
        path = unquote(re.split("[?#]", self.text, maxsplit=1)[0]) if self._is_url else self.text
        return one_line(path.rstrip("/").rpartition("/")[2]) or "media"

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return re.sub(r"(?<=.)\.[A-Za-z0-9]{1,8}$", "", self.name)

    @property
    def link(self) -> str:
        """Its URL, a relative one for a name or a relative path."""
        is_absolute = self._is_url or self.text.startswith("/") or _DRIVE.match(self.text)
        return self.file_url() if is_absolute else quote(self.text)

    def file_url(self, host: str = "") -> str:
        """An absolute URL, for programs that take no other: a relative path counts from the top.

        ``host`` is what the URL of a file has between its slashes.
        """
        if self._is_url:
            return quote(self.text, safe=_URL_CHARACTERS)
        if self.text.startswith("//"):  # a share of a Windows server
            return f"file:{quote(self.text)}"
        return f"file://{host}/{quote(self.text.lstrip('/'), safe='/:')}"

    @property
    def _is_url(self) -> bool:
        return bool(_SCHEME.match(self.text))

"""The query of a listing: which jobs, which page. Pure."""

from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from clipzy_api.problems import invalid_field, unknown_field
from clipzy_storage.models.records import Status

MAX_PAGE_SIZE = 100
MAX_PAGE = 1_000_000_000
_KNOWN = ("status", "page", "page_size")


@dataclass(frozen=True)
class Page:
    number: int
    page_size: int
    status: Status | None

    def query(self, number: int) -> dict[str, str]:
        """The parameters that ask for page ``number`` of the same listing."""
        status = {"status": self.status.value} if self.status else {}
        return {**status, "page": str(number), "page_size": str(self.page_size)}


def requested_page(args: MultiDict[str, str]) -> Page:
    """Raises ``ApiError`` 422 for a parameter that is unknown, given twice or out of range."""
    for name, values in args.lists():
        if name not in _KNOWN:
            raise unknown_field(name, known=", ".join(_KNOWN))
        if len(values) > 1:
            raise invalid_field(name, expects="given once")
    return Page(
        number=_whole_number(args, "page", default=1, most=MAX_PAGE),
        page_size=_whole_number(args, "page_size", default=20, most=MAX_PAGE_SIZE),
        status=_status(args),
    )


def _whole_number(args: MultiDict[str, str], name: str, *, default: int, most: int) -> int:
    text = args.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and 1 <= int(text) <= most):
        raise invalid_field(name, expects=f"a whole number from 1 to {most}")
    return int(text)


def _status(args: MultiDict[str, str]) -> Status | None:
    text = args.get("status")
    if not text:
        return None
    try:
        return Status(text)
    except ValueError:
        raise invalid_field("status", expects=" or ".join(Status)) from None

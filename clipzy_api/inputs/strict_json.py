"""JSON as RFC 8259 defines it: UTF-8, without ``NaN``, ``Infinity`` and lone surrogates."""

from codecs import BOM_UTF8
from typing import Any

from pydantic_core import from_json


def parse(text: bytes) -> Any:
    """The value. Raises ``ValueError`` with the reason and its position.

    Nesting is limited to 200 levels and integers to 4300 digits, whatever the version of Python and the depth of the
    stack.
    """
    return from_json(text.removeprefix(BOM_UTF8), allow_inf_nan=False)

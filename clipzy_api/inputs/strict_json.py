"""JSON as RFC 8259 has it, and only what means one thing to everybody who reads it."""

import json
import math
from typing import Any, NoReturn

MAX_DIGITS = 100  # of a whole number


def parse(text: str | bytes) -> Any:
    """The value. Raises ``ValueError`` with what is wrong, in a few words for the sender.

    Refused beside what is no JSON: a name that comes twice in one object, numbers that are none or too large to keep,
    text that no encoding can carry, and what is nested too deep.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite, parse_int=_whole
        )
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeError:
        raise ValueError("it holds what is no Unicode text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg} at character {error.pos}") from None
    return value


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in members:
        if name in found:
            raise ValueError(f"it names {json.dumps(name)[:80]} twice in one object")
        found[name] = value
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"the number {text[:40]}… is too large")
    return int(text)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"the number {text[:40]} is too large")
    return number

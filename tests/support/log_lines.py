"""Log lines of a process, as ``LOG_FORMAT=text`` has them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

_LINE = re.compile(r"^(\S+Z) \[\w+\s*\] (\S+) \[\S+\](.*)$", re.MULTILINE)


@dataclass(frozen=True)
class LogLine:
    """``fields`` is the rest of the line: ``name=value`` for each, with quotes around a value that has spaces."""

    at: datetime
    event: str
    fields: str

    def has(self, fields: dict[str, object]) -> bool:
        """Whether the line has these fields; a value with spaces need only be part of the field's."""
        return all(re.search(_pattern(name, str(value)), self.fields) for name, value in fields.items())


def _pattern(name: str, value: str) -> str:
    text = re.escape(value)
    return rf" {name}=['\"].*{text}" if " " in value else rf" {name}={text}(?= |$)"


def events_in(output: str, event: str, **fields: object) -> list[LogLine]:
    """The lines about one kind of event, with these fields, in order."""
    return [line for line in _lines(output) if line.event == event and line.has(fields)]


def _lines(output: str) -> Iterator[LogLine]:
    for at, event, fields in _LINE.findall(output):
        yield LogLine(datetime.fromisoformat(at), event, fields)

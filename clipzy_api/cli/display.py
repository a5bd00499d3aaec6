"""How commands show jobs and progress: for people on a terminal, as plain lines in a pipe, and as JSON."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from pydantic import BaseModel

from clipzy_storage.config.logs import escaped_text
from clipzy_storage.models.records import rfc3339

if TYPE_CHECKING:
    from clipzy_api.client import Event, Job

LINE_SECONDS = 5.0
"""Between two lines of progress that differ in the percentage alone."""

LABEL_WIDTH = 30

Show = Callable[[int, str], None]


def print_json(content: BaseModel | dict[str, Any]) -> None:
    """One document on one line."""
    document = content.model_dump(mode="json") if isinstance(content, BaseModel) else content
    click.echo(json.dumps(document, ensure_ascii=False))


def described(job: "Job", *, absolute: Callable[[str], str] | None = None) -> str:
    """The job as text, one line for each fact; with a link to its result if ``absolute`` makes links absolute."""
    facts: dict[str, Any] = {
        "job_id": job.job_id,
        "video_id": job.video_id,
        "filename": job.filename,
        "status": job.status.value,
        "progress": None if job.status.is_final else f"{job.progress_percent} %",
        "stage": job.current_stage,
        "attempt": job.attempt if job.attempt > 1 else None,
        "queue": job.queue.value,
        "created_at": rfc3339(job.created_at),
        "finished_at": rfc3339(job.finished_at),
        "result": absolute(job.result.storage_url) if job.result and absolute else None,
        "error": f"{job.error.code.value}: {job.error.message}" if job.error else None,
    }
    return "\n".join(f"{name:<12} {escaped_text(str(value))}" for name, value in facts.items() if value is not None)


def accepted(job: "Job") -> str:
    """One line, whose first word is the id."""
    return f"{job.job_id}  {escaped_text(job.filename)}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In columns as wide as their widest cell."""
    lines = [head, *([escaped_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def stage_of(job: "Job | Event") -> str:
    """What a job is at, in one word."""
    return escaped_text(job.current_stage or job.status.value)


@contextmanager
def progress(label: str) -> Iterator[Show]:
    """A bar on a terminal, else lines on standard error: called with a percentage, and a label that may change."""
    if not sys.stderr.isatty():
        yield _Lines(label).show
        return
    with click.progressbar(length=100, label=_fitted(label), file=sys.stderr, show_eta=False) as bar:

        def show(percent: int, label: str) -> None:
            bar.label = _fitted(label)
            bar.finished = False  # a file may be sent again
            bar.update(percent - bar.pos)

        yield show


def _fitted(label: str) -> str:
    """As wide as leaves room for the bar."""
    return f"{label:<{LABEL_WIDTH}.{LABEL_WIDTH}}"


class _Lines:
    def __init__(self, label: str) -> None:
        self._label, self._percent, self._printed_at = label, 0, time.monotonic()

    def show(self, percent: int, label: str) -> None:
        now = time.monotonic()
        is_due = percent != self._percent and now - self._printed_at >= LINE_SECONDS
        if label != self._label or is_due:
            click.echo(f"{percent:>3} %  {label}", err=True)
            self._label, self._percent, self._printed_at = label, percent, now

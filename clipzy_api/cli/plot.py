"""`clipzy plot`: a finished job's timeline as a picture."""

from pathlib import Path
from typing import Any

import click

from clipzy_api.cli.front_end import FrontEnd
from clipzy_api.cli.timeline import timeline


def plot(url: str, job_id: str, path: Path | None) -> int:
    """Write the picture and say where; raises ``click.ClickException`` with one line where that cannot be done."""
    front_end = FrontEnd(url)
    output = front_end.result(job_id)
    path = path or Path(f"{output['job_id']}.svg")
    names = {artifact["name"] for artifact in output["artifacts"]}
    curves = {name: _curve(front_end, job_id, f"{name}.json", names) for name in ("motion", "loudness")}
    try:
        path.write_text(timeline(output, **curves), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error
    click.echo(path)
    return 0


def _curve(front_end: FrontEnd, job_id: str, name: str, names: set[str]) -> dict[str, Any] | None:
    return front_end.json_file(job_id, name) if name in names else None

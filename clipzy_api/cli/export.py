"""`clipzy export`: a job's shots or clips as a file for another program."""

from pathlib import Path

import click

from clipzy_api.cli import exit_statuses
from clipzy_api.cli.front_end import front_end


def export(job_id: str, format_name: str, *, of: str, media: str | None, path: Path | None) -> int:
    """Write the file and print its path, or print the file. Raises ``click.ClickException``."""
    with front_end() as (client, _):
        content = client.export(job_id, format_name, of=of, media=media)
        if path is None:
            click.echo(content, nl=False)
            return exit_statuses.DONE
    try:
        path.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from error
    click.echo(path)
    return exit_statuses.DONE

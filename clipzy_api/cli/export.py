"""`clipzy export`: the shots or clips of a job as a file for another program."""

from pathlib import Path

import click

from clipzy_api.cli import exit_statuses
from clipzy_api.cli.display import print_json
from clipzy_api.cli.front_end import front_end


def export(job_id: str, format_name: str, *, of: str, media: str | None, path: Path | None, as_json: bool) -> int:
    """Write the file and print its path, or print the file. Raises ``click.ClickException``."""
    about = {"job_id": job_id, "format": format_name, "of": of}
    with front_end() as (client, _):
        content = client.export(job_id, format_name, of=of, media=media)
        if path is None and as_json:
            print_json(about | {"content": content.decode()})
        elif path is None:
            click.echo(content, nl=False)
    if path is None:
        return exit_statuses.DONE
    try:
        path.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from error
    if as_json:
        print_json(about | {"file": str(path)})
    else:
        click.echo(path)
    return exit_statuses.DONE

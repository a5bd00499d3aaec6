"""The ``clipzy`` command. Each command's work is imported when it is called, so that the start stays quick."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from clipzy_storage.errors import ConfigurationError, QueueUnavailable, StorageError

INTERRUPTED = 130

_host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
_port = click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0: a free one."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process: 0 done, 1 failed, 2 wrongly called, 78 wrong settings, 130 interrupted."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what it could foresee going wrong becomes a line on standard error and an exit status."""
    try:
        return int(commands.main(arguments, prog_name="clipzy", standalone_mode=False) or 0)
    except ConfigurationError as error:
        for problem in error.problems:
            _complain(problem)
        return error.EXIT_STATUS
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        _complain(error.format_message())
        return error.exit_code
    except (StorageError, QueueUnavailable) as error:
        _complain(str(error))
        return 1
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED


def _complain(problem: str) -> None:
    click.echo(f"clipzy: {problem}", err=True)


@click.group()
@click.version_option(package_name="clipzy", message="%(prog)s %(version)s")
def commands() -> None:
    """Self-hosted video jobs: upload footage, let workers analyse it, follow the job, get links."""
    from clipzy_storage.config.environment import load_dotenv

    load_dotenv()


@commands.command()
@_host
@_port
@click.option("--workers", type=click.IntRange(1, 1000), help="How many workers.  [default: WORKER_COUNT]")
def up(host: str, port: int, workers: int | None) -> int:
    """Run everything on this machine: front end, workers, and a Redis of its own where REDIS_URL is unset."""
    from clipzy_api.cli.up import up

    return up(host, port, workers=workers)


@commands.command()
@_host
@_port
def web(host: str, port: int) -> int:
    """Run one front end."""
    from clipzy_api.server.run import serve
    from clipzy_storage.config.environment import settings_from_env

    return serve(host, port, settings_from_env())


@commands.command()
def worker() -> None:
    """Run one worker."""
    os.execv(sys.executable, [sys.executable, "-m", "clipzy_worker"])


@commands.command()
@_host
@click.option("--port", default=5555, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
def flower(host: str, port: int) -> None:
    """Run Flower, to watch workers and jobs by; FLOWER_BASIC_AUTH=user:password is its login."""
    os.execv(sys.executable, [sys.executable, "-m", "clipzy_worker.flower", "--host", host, "--port", str(port)])


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wait", is_flag=True, help="Follow the job to its end; status 0 only if it completed.")
@click.option("--config", default="", metavar="JSON", help="What the job is to do, as docs/api.md has it.")
@_json
def submit(file: Path, wait: bool, config: str, as_json: bool) -> int:
    """Upload FILE to the front end at CLIPZY_URL and print its job."""
    from clipzy_api.cli.submit import submit
    from clipzy_storage.config.environment import settings_from_env

    # Ends at once: a KeyboardInterrupt can get lost where it strikes in a destructor, and nothing here needs an end.
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    return submit(settings_from_env().clipzy_url, file, wait=wait, as_json=as_json, config=config)


@commands.command()
@click.argument("job_id")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Where to.  [default: JOB_ID.svg]")
def plot(job_id: str, output: Path | None) -> int:
    """Draw the timeline of a completed job: shots, motion, loudness, beats."""
    from clipzy_api.cli.plot import plot
    from clipzy_storage.config.environment import settings_from_env

    return plot(settings_from_env().clipzy_url, job_id, output)


@commands.command()
@_json
def doctor(as_json: bool) -> int:
    """Check settings, Redis, storage, ffmpeg, workers and the guard; status 1 if any fails."""
    from clipzy_api.cli.doctor import doctor

    return doctor(as_json=as_json)


@commands.command()
def recover() -> int:
    """Take up every unfinished job after a loss of Redis; status 1 if a record in storage is damaged."""
    from clipzy_api.cli.recover import recover
    from clipzy_storage.config.environment import settings_from_env

    return recover(settings_from_env())


@commands.group()
def storage() -> None:
    """Look after the storage."""


@storage.command()
@click.option("--deep", is_flag=True, help="Read every file, and compare its sha256.")
@_json
def check(deep: bool, as_json: bool) -> int:
    """Compare records and files both ways and list what is missing or orphaned; status 1 if anything is."""
    from clipzy_api.cli.storage_check import storage_check
    from clipzy_storage.config.environment import settings_from_env

    return storage_check(settings_from_env(), deep=deep, as_json=as_json)


@commands.command()
@click.argument("video", type=click.Path(path_type=Path), required=False)
def demo(video: Path | None) -> int:
    """Run everything once in ./.demo with VIDEO (default: the one that comes with the sources), and stop again."""
    from clipzy_api.cli.demo import demo

    return demo(video)

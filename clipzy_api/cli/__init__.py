"""The ``clipzy`` command, one module per subcommand, and the supervisor of `clipzy up`.

May import everything else in ``clipzy_api``. A subcommand's module is imported when it is called: start stays quick.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from clipzy_api.cli import client_commands
from clipzy_api.cli.exit_statuses import INTERRUPTED, NOT_DONE, CommandFailed
from clipzy_api.server.listening_socket import PortUnavailable
from clipzy_storage.config.complaints import complain
from clipzy_storage.errors import ConfigurationError, QueueRefused, QueueUnavailable, ScriptFailed, StorageError
from clipzy_storage.standard_streams import drop_unwritable_output

_host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
_port = click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 for a free one.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON only.")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with one of ``exit_statuses``, or 78 for wrong settings."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; expected errors become lines on standard error."""
    try:
        return int(commands.main(arguments, prog_name="clipzy", standalone_mode=False) or 0)
    except ConfigurationError as error:
        for problem in error.problems:
            complain(problem)
        return error.EXIT_STATUS
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except CommandFailed as error:
        complain(error.format_message())
        return error.exit_status
    except click.ClickException as error:
        complain(error.format_message())
        return error.exit_code
    except QueueRefused as error:
        complain(f"{error}.")
        return ConfigurationError.EXIT_STATUS
    except (PortUnavailable, StorageError, QueueUnavailable, ScriptFailed) as error:
        complain(str(error))
        return NOT_DONE
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clipzy", message="%(prog)s %(version)s")
def commands() -> None:
    """Self-hosted video jobs: upload a video, let workers analyse it, follow the job, get links."""
    from clipzy_storage.config import logs
    from clipzy_storage.config.environment import load_dotenv, log_settings_from_env

    load_dotenv()
    logs.configure(log_settings_from_env())


@commands.command()
@_host
@_port
@click.option("--workers", type=click.IntRange(1, 1000), help="Number of workers.  [default: WORKER_COUNT]")
def up(host: str, port: int, workers: int | None) -> int:
    """Run front end, workers and Redis on this machine.

    Redis is started only if REDIS_URL is unset.
    """
    from clipzy_api.cli.up import up

    drop_unwritable_output()
    return up(host, port, workers=workers)


@commands.command()
@_host
@_port
@click.option(
    "--published-on",
    metavar="ADDRESS",
    help="Where other machines reach it, if a proxy alone reaches HOST.  [default: HOST]",
)
def web(host: str, port: int, published_on: str | None) -> int:
    """Run one front end.

    Beyond loopback it needs CLIPZY_AUTH.
    """
    from clipzy_api.authentication import require_choice
    from clipzy_api.server.run import serve
    from clipzy_storage.config.environment import settings_from_env

    drop_unwritable_output()
    settings = settings_from_env()
    require_choice(published_on or host, settings)
    return serve(host, port, settings)


@commands.command()
def worker() -> None:
    """Run one worker."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "clipzy_worker"])


@commands.command()
@_host
@click.option("--port", default=5555, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
def flower(host: str, port: int) -> None:
    """Run Flower, which shows workers and tasks.

    Its login is FLOWER_BASIC_AUTH=user:password.
    """
    os.execv(sys.executable, [sys.executable, "-P", "-m", "clipzy_worker.flower", "--host", host, "--port", str(port)])


for _command in client_commands.COMMANDS:
    commands.add_command(_command)


@commands.command()
@_json
def doctor(as_json: bool) -> int:
    """Check this machine's set-up.

    Checks settings, Redis, storage, ffmpeg, workers and the guard; exits with 1 if any check fails.
    """
    from clipzy_api.cli.doctor import doctor

    return doctor(as_json=as_json)


@commands.command()
@_json
def recover(as_json: bool) -> int:
    """Recover unfinished jobs after a loss of Redis.

    Returns every unfinished job to the queue; exits with 1 if a record in storage is damaged.
    """
    from clipzy_api.cli.recover import recover
    from clipzy_storage.config.environment import settings_from_env

    return recover(settings_from_env(), as_json=as_json)


@commands.group()
def storage() -> None:
    """Maintain the storage."""


@storage.command()
@click.option("--deep", is_flag=True, help="Read every file and compare its SHA-256.")
@_json
def check(deep: bool, as_json: bool) -> int:
    """List files that are missing, damaged or orphaned.

    Compares files and records in both directions and changes nothing; exits with 1 if there is a finding.
    """
    from clipzy_api.cli.storage_check import storage_check
    from clipzy_storage.config.environment import settings_from_env

    return storage_check(settings_from_env(), deep=deep, as_json=as_json)


@commands.group("keys")
def key_commands() -> None:
    """Make, list and revoke API keys."""


@key_commands.command("create")
@click.argument("name")
@click.option("--owner", default="everyone", show_default=True, help="Whose videos and jobs the key is for.")
@click.option(
    "--scopes",
    default="read,write",
    show_default=True,
    help="What the key allows: read, write, metrics, admin; separated by commas.",
)
@click.option("--expires-days", type=click.IntRange(1, 36500), help="Days until the key expires.  [default: never]")
@_json
def create_key(name: str, owner: str, scopes: str, expires_days: int | None, as_json: bool) -> int:
    """Make a key called NAME, and print it this once.

    Only a digest of it is kept, in storage.
    """
    from clipzy_api.cli import keys
    from clipzy_storage.config.environment import settings_from_env

    return keys.create(
        settings_from_env(), name, owner=owner, scopes=scopes, expires_days=expires_days, as_json=as_json
    )


@key_commands.command("list")
@_json
def list_keys(as_json: bool) -> int:
    """List all keys, without their secrets."""
    from clipzy_api.cli import keys
    from clipzy_storage.config.environment import settings_from_env

    return keys.show_all(settings_from_env(), as_json=as_json)


@key_commands.command("revoke")
@click.argument("key_id", metavar="ID")
@_json
def revoke_key(key_id: str, as_json: bool) -> int:
    """Refuse a key from now on.

    Front ends do so within 5 s; open streams and signed links run out.
    """
    from clipzy_api.cli import keys
    from clipzy_storage.config.environment import settings_from_env

    return keys.revoke(settings_from_env(), key_id, as_json=as_json)


@key_commands.command("rotate-link-secret")
@_json
def rotate_link_secret(as_json: bool) -> int:
    """Sign links to local storage with a new secret.

    The old one is valid until its last link has expired.
    """
    from clipzy_api.cli import keys
    from clipzy_storage.config.environment import settings_from_env

    return keys.rotate_link_secret(settings_from_env(), as_json=as_json)


@key_commands.command("webhook-secret")
@click.argument("owner")
@_json
def webhook_secret(owner: str, as_json: bool) -> int:
    """Print what deliveries to the webhooks of OWNER are signed with.

    There is one for each of WEBHOOK_SECRETS; receivers accept a delivery that is signed with any that they know.
    """
    from clipzy_api.cli import keys
    from clipzy_storage.config.environment import settings_from_env

    return keys.show_webhook_secrets(settings_from_env(), owner, as_json=as_json)


@commands.command()
@click.argument("video", type=click.Path(path_type=Path), required=False)
def demo(video: Path | None) -> int:
    """Analyse VIDEO once, and stop again.

    Runs front end, worker and Redis in ./.demo. VIDEO is by default a short one that is installed with Clipzy.
    """
    from clipzy_api.cli.demo import demo

    return demo(video)

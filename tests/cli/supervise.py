"""A minimal program with a supervisor: ``python -m tests.cli.supervise SCRIPT…`` runs each script as a child."""

import sys

import click

from clipzy_api.cli.supervisor import Child, Signals, Supervisor
from clipzy_storage.config import logs
from clipzy_storage.config.environment import settings_from_env

GRACE_SECONDS = 50


def main() -> int:
    logs.configure(settings_from_env({}))
    with Signals() as signals:
        supervisor = Supervisor(signals)
        children = [Child(f"child {n}", [sys.executable, "-c", script]) for n, script in enumerate(sys.argv[1:], 1)]
        for child in children:
            child.start()
            supervisor.watch(child)
        status = supervisor.run()
        click.echo("stopping")
        supervisor.stop(children, grace_seconds=GRACE_SECONDS)
    return status or 0


if __name__ == "__main__":
    sys.exit(main())

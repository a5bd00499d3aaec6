"""A minimal program with a supervisor: ``python -m tests.cli.supervise SCRIPT…`` runs each script as a child."""

import sys

import click

from clipzy_api.cli.supervisor import Child, Signals, Supervisor

GRACE_SECONDS = 50


def main() -> int:
    with Signals() as signals:
        supervisor = Supervisor(signals, report=click.echo)
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

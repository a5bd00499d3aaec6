"""The commands that a page of the documents shows, run in one shell, and what it says that they print."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.requirements import missing


def commands_in(page: str) -> list[tuple[str, list[str]]]:
    """Each command of the page's console blocks, with the lines that it is said to print."""
    commands: list[tuple[str, list[str]]] = []
    for line in "\n".join(re.findall(r"```console\n(.*?)```", page, re.DOTALL)).splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif line:
            commands[-1][1].append(line)
    return commands


def run(
    commands: Sequence[str],
    directory: Path,
    env: Mapping[str, str] | None = None,
    *,
    within: Sequence[str] = (),
    timeout_seconds: float = 100,
) -> tuple[list[list[str]], str]:
    """The lines that each has printed, and what all of them have written to standard error.

    The shell is started by the command ``within``.
    """
    bash = shutil.which("bash")
    if bash is None or shutil.which("curl") is None:
        missing("bash and curl are needed")
    script = "".join(f"{command}\necho; echo @end\n" for command in commands)
    done = subprocess.run(
        [*within, bash, "-u"],
        cwd=directory,
        env=env,
        input=script,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=True,
    )
    return [part.splitlines() for part in done.stdout.split("@end\n")[:-1]], done.stderr


def assert_printed(commands: Sequence[tuple[str, list[str]]], printed: Sequence[Sequence[str]]) -> None:
    """Each command has printed its lines in their order, among others; ``…`` stands for anything."""
    for (command, expected), lines in zip(commands, printed, strict=True):
        remaining = iter(lines)
        for shown in expected:
            pattern = re.compile(".*".join(map(re.escape, shown.split("…"))))
            assert any(pattern.fullmatch(line) for line in remaining), f"{command}: {shown} is not in {lines}"

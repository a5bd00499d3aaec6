"""Whether this machine may look at footage of strangers, found out once, before a worker takes its first job."""

import compileall
import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError
from clipzy_worker.sandbox.confinement import CALLS, FILES, NETWORK, WALLS
from clipzy_worker.sandbox.process import clean_environment

PROBE_SECONDS = 60
PROBE_TRIES = 3  # one that was killed, for want of memory or by accident, has found out nothing

_REMEDIES = {
    NETWORK: "allow user namespaces to this user",
    FILES: "use Linux 5.13 or newer with Landlock switched on",
    CALLS: "use a kernel with seccomp filters on x86-64 or arm64",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Readiness:
    """``outdated`` says what is too old, if anything is; ``missing`` has a reason for every wall that cannot be had."""

    outdated: str | None
    missing: dict[str, str]

    @property
    def walls(self) -> list[str]:
        return [name for name in WALLS if name not in self.missing]


def check(settings: Settings) -> None:
    """Say in the log, once, what the sandbox lacks here.

    Raises:
        ConfigurationError: the media libraries are missing or too old, or the sandbox is required and lacks something.
    """
    _compile_own_code()
    found = probe()
    if found.outdated:
        raise ConfigurationError([f"{found.outdated}. Reinstall the requirements of the worker."])
    if settings.sandbox == "off":
        log.warning("sandbox.off: footage is decoded with the rights of this worker, as CLIPZY_SANDBOX says")
        return
    if found.missing and settings.sandbox == "required":
        raise ConfigurationError([refusal(found)])
    for name, reason in found.missing.items():
        log.warning("sandbox.lacks: %s (%s); to have it, %s", name, reason, _REMEDIES[name])


def probe() -> Readiness:
    """Raises ``ConfigurationError`` where the media libraries cannot even be loaded."""
    try:
        return Readiness(**json.loads(_answer()))
    except subprocess.CalledProcessError as error:
        last_words = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        problem = f"The media libraries cannot be loaded ({last_words}). Reinstall the requirements of the worker."
        raise ConfigurationError([problem]) from error
    except (subprocess.TimeoutExpired, ValueError, TypeError) as error:
        raise ConfigurationError([f"The media process cannot be tried out ({type(error).__name__})."]) from error


def _answer() -> str:
    """Raises ``CalledProcessError``, ``TimeoutExpired``."""
    command = [sys.executable, "-I", "-m", "clipzy_worker.sandbox.probe"]
    for _ in range(PROBE_TRIES):
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_SECONDS, env=clean_environment(), check=False
        )
        if answer.returncode >= 0:
            break
        log.warning("sandbox.probe_killed: signal %d", -answer.returncode)
    answer.check_returncode()
    return answer.stdout


def refusal(found: Readiness) -> str:
    """Why this machine cannot have what ``required`` asks for, and what to do."""
    lacks = ", ".join(f"{name} ({reason})" for name, reason in found.missing.items())
    remedies = " and ".join(_REMEDIES[name] for name in found.missing)
    return (
        f"CLIPZY_SANDBOX=required cannot be had here: it lacks {lacks}. To have it, {remedies};"
        " or set it to best-effort."
    )


def _compile_own_code() -> None:
    """A media process may write nothing but results, so it would compile our code again for every job."""
    compileall.compile_dir(Path(__file__).parents[1], quiet=2)

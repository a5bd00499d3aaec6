"""Checks once, before a worker takes its first job, whether this machine may decode untrusted video."""

import compileall
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError
from clipzy_worker.sandbox.confinement import LAYERS, Layer
from clipzy_worker.sandbox.process import clean_environment

PROBE_TIMEOUT_SECONDS = 60
PROBE_ATTEMPTS = 3  # a probe that was killed, such as for lack of memory, has shown nothing

_REMEDIES: dict[Layer, str] = {
    "network": "allow user namespaces to this user",
    "files": "use Linux 5.13 or newer with Landlock switched on",
    "system calls": "use a kernel with seccomp filters on x86-64 or arm64",
}

log = structlog.stdlib.get_logger(__name__)


class Readiness(BaseModel):
    """What the probe found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    versions: str
    """Of the media libraries."""
    outdated: str | None
    """Which library is too old, as a sentence without its full stop."""
    unavailable: dict[Layer, str]
    """Each unavailable sandbox layer, with the system's reason."""

    @property
    def layers(self) -> list[Layer]:
        """The available sandbox layers."""
        return [layer for layer in LAYERS if layer not in self.unavailable]


def probe() -> Readiness:
    """Examine this machine in a child process. Raises ``ConfigurationError`` if it cannot load the media libraries."""
    try:
        return Readiness.model_validate_json(_run_probe())
    except subprocess.CalledProcessError as error:
        last_line = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        problem = f"The media libraries cannot be loaded ({last_line}). Reinstall the requirements of the worker."
        raise ConfigurationError([problem]) from error
    except (subprocess.TimeoutExpired, ValidationError) as error:
        raise ConfigurationError([f"The media process cannot be tried out ({type(error).__name__})."]) from error


def check(settings: Settings, *, probe: Callable[[], Readiness] = probe) -> None:
    """Log, once, which sandbox layers are unavailable here.

    Raises:
        ConfigurationError: the media libraries are missing or too old, or the sandbox is required and lacks a layer.
    """
    _compile_own_code()
    found = probe()
    if found.outdated:
        raise ConfigurationError([f"{found.outdated}. Reinstall the requirements of the worker."])
    if settings.sandbox == "off":
        log.warning("sandbox.off")
        return
    if found.unavailable and settings.sandbox == "required":
        raise ConfigurationError([refusal(found)])
    for layer, reason in found.unavailable.items():
        log.warning("sandbox.layer_unavailable", layer=layer, reason=reason, remedy=_REMEDIES[layer])


def refusal(found: Readiness) -> str:
    """Why ``required`` is impossible on this machine, and what to do."""
    lacks = ", ".join(f"{layer} ({reason})" for layer, reason in found.unavailable.items())
    remedies = " and ".join(_REMEDIES[layer] for layer in found.unavailable)
    return (
        f"CLIPZY_SANDBOX=required is impossible here: the sandbox lacks {lacks}. To have it, {remedies};"
        " or set it to best-effort."
    )


def _run_probe() -> str:
    """Raises ``CalledProcessError``, ``TimeoutExpired``."""
    command = [sys.executable, "-I", "-m", "clipzy_worker.decode.probe"]
    for _ in range(PROBE_ATTEMPTS):
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_SECONDS, env=clean_environment(), check=False
        )
        if ended.returncode >= 0:
            break
        log.warning("sandbox.probe_killed", signal=-ended.returncode)
    ended.check_returncode()
    return ended.stdout


def _compile_own_code() -> None:
    """A media process can write nothing but results, so it would compile our code again for every job."""
    compileall.compile_dir(Path(__file__).parents[1], quiet=2)

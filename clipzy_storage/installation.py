"""How this installation of Clipzy is completed by one of its extras, for messages. Pure but for what pip recorded."""

import json
import shlex
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.direct_url import DirectUrl, DirectUrlValidationError
from packaging.requirements import Requirement

_NAME = "clipzy"


def install_command(extra: str) -> str:
    """The shell command that adds ``extra`` to the environment of this process.

    It names the wheel, checkout or address that Clipzy was installed from; if that is gone or unknown, the packages
    that the extra consists of.
    """
    distribution = metadata.distribution(_NAME)
    words = _origin(distribution.read_text("direct_url.json"), extra) or _packages(distribution.requires or [], extra)
    return shlex.join([sys.executable, "-m", "pip", "install", *words])


def _origin(recorded: str | None, extra: str) -> list[str]:
    """What pip takes to install Clipzy with ``extra`` from where it came (PEP 610); empty if that is not known."""
    try:
        origin = DirectUrl.from_dict(json.loads(recorded or "{}"))
    except (ValueError, DirectUrlValidationError):
        return []
    if origin.vcs_info:
        return [_requirement(f"{origin.vcs_info.vcs}+{origin.url}@{origin.vcs_info.commit_id}", origin, extra)]
    url = urlsplit(origin.url)
    if url.scheme != "file":
        return [_requirement(origin.url, origin, extra)]
    path = Path(unquote(url.path))
    if not path.exists() or origin.subdirectory:
        return []
    is_editable = origin.dir_info is not None and origin.dir_info.editable
    return [*(["--editable"] if is_editable else []), f"{path}[{extra}]"]


def _requirement(url: str, origin: DirectUrl, extra: str) -> str:
    return f"{_NAME}[{extra}] @ {url}" + (f"#subdirectory={origin.subdirectory}" if origin.subdirectory else "")


def _packages(requires: list[str], extra: str) -> list[str]:
    """The requirements that ``extra`` adds."""
    requirements = [Requirement(text) for text in requires]
    return [
        f"{one.name}{one.specifier}"
        for one in requirements
        if one.marker and one.marker.evaluate({"extra": extra}) and not one.marker.evaluate({"extra": ""})
    ]

"""The text of ``.env.example``: ``python -m clipzy_api.cli.env_example > .env.example``."""

import textwrap

from clipzy_storage import settings

_HEAD = """\
# Every setting of Clipzy with its default. Copy this file to .env and take away the # before what you change.
# The `clipzy` command reads .env in the folder it is started from; the environment goes before it.
"""


def env_example() -> str:
    """Every setting, commented out, below its help."""
    return "\n".join([_HEAD, *(_entry(name) for name in settings.fields())])


def _entry(name: str) -> str:
    field = settings.fields()[name]
    extra = field.json_schema_extra
    expects = extra["expects"] if isinstance(extra, dict) else ""
    default = "" if field.default is None else field.default
    help_lines = [*textwrap.wrap(str(field.description), 110), f"Takes: {expects}"]
    return "".join(f"# {line}\n" for line in help_lines) + f"#{name}={default}\n"


if __name__ == "__main__":
    print(env_example(), end="")

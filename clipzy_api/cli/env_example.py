"""The text of ``.env.example``: ``python -m clipzy_api.cli.env_example > .env.example``."""

import textwrap

from clipzy_storage.config import settings

_HEAD = """\
# Every setting of Clipzy with its default. Copy this file to .env and remove the # before what you change.
# The `clipzy` command reads .env in its working directory; variables in the environment override it.
"""
_BOTO3 = """\
# The rest is read by boto3 itself, for STORAGE_TYPE=s3. All of it may be left out: boto3 then uses its configuration
# files and the role of the instance, task or pod.
"""
_READ_BY_BOTO3 = {
    "AWS_ACCESS_KEY_ID": "The access key. Leave it out to use a role.",
    "AWS_SECRET_ACCESS_KEY": "The secret key that belongs to it.",
    "AWS_SESSION_TOKEN": "The session token of temporary keys.",
    "AWS_DEFAULT_REGION": "The region of the bucket; needed on AWS.",
    "AWS_PROFILE": "A profile of boto3's configuration files.",
    "AWS_ENDPOINT_URL_S3": "The address of an S3 service other than AWS, such as http://localhost:9000.",
}


def env_example() -> str:
    """Every setting, commented out, below its help."""
    clipzy = (_entry(name) for name in settings.fields())
    boto3 = (f"# {help}\n#{name}=\n" for name, help in _READ_BY_BOTO3.items())
    return "\n".join([_HEAD, *clipzy, _BOTO3, *boto3])


def _entry(name: str) -> str:
    field = settings.fields()[name]
    extra = field.json_schema_extra
    expects = extra["expects"] if isinstance(extra, dict) else ""
    default = "" if field.default is None else field.default
    help_lines = [*textwrap.wrap(str(field.description), 110), f"Takes: {expects}"]
    return "".join(f"# {line}\n" for line in help_lines) + f"#{name}={default}\n"


if __name__ == "__main__":
    print(env_example(), end="")

"""A program that uses the client loads neither the server nor what it stands on."""

import json
import subprocess
import sys

FOREIGN = ("flask", "werkzeug", "granian", "redis", "celery", "boto3", "botocore", "click", "clipzy_worker")
FOREIGN_PARTS = ("clipzy_api.app", "clipzy_api.views", "clipzy_api.server", "clipzy_api.cli", "clipzy_storage.jobs")


def test_the_client_stands_alone() -> None:
    program = "import json, sys, clipzy_api.client; print(json.dumps(list(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert not {*FOREIGN, *FOREIGN_PARTS} & set(json.loads(loaded))


def test_a_command_that_is_no_client_does_not_load_it() -> None:
    program = "import json, sys, clipzy_api.cli; print(json.dumps(list(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert not {"clipzy_api.client", "urllib3", "flask", "redis", "boto3"} & set(json.loads(loaded))

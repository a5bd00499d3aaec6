"""What compose.yaml starts: names, ports and commands are those of the code, and no service has needless rights.

No container engine is needed: these tests read the file, and the other tests run its parts.
"""

import os
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from clipzy_api.authentication import require_choice
from clipzy_api.cli import commands
from clipzy_api.concurrency_limits import BUCKET_BODIES, THREADS
from clipzy_api.server.run import STOP_TIMEOUT_SECONDS as WEB_STOP_TIMEOUT_SECONDS
from clipzy_storage.config import settings
from clipzy_storage.config.environment import settings_from_env
from clipzy_worker.runtime.shutdown import STOP_SECONDS as WORKER_STOP_SECONDS
from clipzy_worker.sandbox.process import MediaLimits

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose"
TEXT = (COMPOSE / "compose.yaml").read_text()
STACK: Any = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = STACK["services"]
CLIPZY_SERVICES = ("web", "worker", "flower")
SETTINGS = {*settings.names()}
READ_BY_BOTO3 = set(re.findall(r"^#(AWS_\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
READ_BY_NGINX = {
    "NGINX_BODIES_PER_CLIENT",
    "NGINX_DOWNLOADS_PER_CLIENT",
    "NGINX_EVENT_STREAMS_PER_CLIENT",
    "NGINX_POSTS_PER_SECOND",
    "NGINX_POSTS_BURST",
}
READ_BY_MONITORING = {"METRICS_API_KEY", "PROMETHEUS_RETENTION"}
READ_BY_OTHERS = (
    READ_BY_NGINX | READ_BY_MONITORING | {"FLOWER_BASIC_AUTH", "REDIS_MAXMEMORY", "REDIS_PASSWORD", "REDISCLI_AUTH"}
)
READ_BY_COMPOSE = {"HTTP_ADDRESS", "HTTP_PORT", "COMPOSE_PROFILES"}
IN_ENV_EXAMPLE = re.findall(r"^#(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
NOT_PASSED_ON = {
    "LOCAL_STORAGE_PATH": "the volume is mounted at a path of its own",
    "LOCAL_STORAGE_SHARED": "the volume is shared",
    "REDIS_URL": "it is made from REDIS_PASSWORD",
    "CLIPZY_DATA_DIR": "each container has a volume of its own",
    "WORK_DIR": "each container has a volume of its own",
    "WORKER_COUNT": "it is what --scale says, and does not matter on a shared volume or a bucket",
    "CLIPZY_URL": "no container submits jobs",
    "CLIPZY_API_KEY": "no container submits jobs",
    "AWS_PROFILE": "no container has the files that it names",
}
ONLY_FOR_FRONT_ENDS = {"TRUSTED_PROXIES", "CORS_ORIGINS", "ALLOWED_HOSTS"}
AUTH = "${CLIPZY_AUTH:-${HTTP_ADDRESS:+keys}}"
UNITS = {"M": 1 << 20, "G": 1 << 30, "mb": 1 << 20, "gb": 1 << 30}

each_service = pytest.mark.parametrize("name", SERVICES)


def filled_in(text: str, **given: str) -> str:
    """The text as compose fills it in, with the defaults that it gives for what is not given."""

    def value(found: re.Match[str]) -> str:
        name, operator, word = found.groups()
        return given.get(name, word) if operator == ":-" else word if name in given else ""

    while (filled := re.sub(r"\$\{(\w+)(:[-+])([^{}]*)\}", value, text)) != text:  # the innermost first
        text = filled
    return text


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def test_the_root_file_includes_the_file() -> None:
    assert yaml.safe_load((ROOT / "compose.yaml").read_text()) == {
        "name": "clipzy",
        "include": ["compose/compose.yaml"],
    }


@each_service
def test_every_variable_is_read_by_the_service_that_gets_it(name: str) -> None:
    given = {variable for variable in SERVICES[name].get("environment", {}) if not variable.startswith("GF_")}
    assert given <= SETTINGS | READ_BY_BOTO3 | READ_BY_OTHERS


@pytest.mark.parametrize("name", CLIPZY_SERVICES)
def test_a_setting_has_the_default_of_the_code_unless_compose_needs_another(name: str) -> None:
    needed = {
        "REDIS_URL": "redis://:only-inside@redis:6379/0",
        "STORAGE_TYPE": "local",
        "LOCAL_STORAGE_PATH": "/storage",
        "LOCAL_STORAGE_SHARED": "true",
        "CLIPZY_DATA_DIR": "/data",
        "TRUSTED_PROXIES": "1",
        "CLIPZY_AUTH": "",
    }
    given = {key: filled_in(value) for key, value in SERVICES[name]["environment"].items() if value is not None}
    assert given.items() <= needed.items()
    # And together they are valid
    assert settings_from_env(given).local_storage_shared


def test_front_ends_and_workers_get_the_same_settings() -> None:
    web, worker = (dict(SERVICES[name]["environment"]) for name in ("web", "worker"))
    assert {name: value for name, value in web.items() if name not in ONLY_FOR_FRONT_ENDS} == worker


@pytest.mark.parametrize("name", IN_ENV_EXAMPLE)
def test_every_setting_is_passed_on_or_has_a_reason_not_to_be(name: str) -> None:
    web, worker = (SERVICES[service]["environment"] for service in ("web", "worker"))
    passed_on = {None, f"${{{name}:-{filled_in(str(web.get(name)))}".partition("}")[0] + "}"}
    if name == "CLIPZY_AUTH":
        passed_on.add(AUTH)
    if name in NOT_PASSED_ON:
        assert web.get(name, "left out") not in passed_on
        assert name in (ROOT / "docs/deploy.md").read_text() or name in TEXT
    else:
        assert web.get(name, "left out") in passed_on, "dropped silently, if it is in .env"
        assert name in ONLY_FOR_FRONT_ENDS or worker.get(name, "left out") in passed_on


@pytest.mark.parametrize(
    ("given", "auth", "published_on"),
    [
        ({}, None, "127.0.0.1"),
        ({"HTTP_ADDRESS": "0.0.0.0"}, "keys", "0.0.0.0"),
        ({"HTTP_ADDRESS": "0.0.0.0", "CLIPZY_AUTH": "none"}, "none", "0.0.0.0"),
        ({"CLIPZY_AUTH": "keys"}, "keys", "127.0.0.1"),
    ],
)
def test_keys_are_asked_for_where_other_machines_reach_it(
    given: dict[str, str], auth: str | None, published_on: str
) -> None:
    # Given what may stand in .env
    web = SERVICES["web"]
    command = [filled_in(word, **given) for word in web["command"]]
    # Then the front end asks for keys, and starts in any case, though it listens on all addresses of its container
    settings = settings_from_env({"CLIPZY_AUTH": filled_in(web["environment"]["CLIPZY_AUTH"], **given)})
    assert settings.auth == auth
    assert command[-2:] == ["--published-on", published_on]
    require_choice(published_on, settings)


def test_exceptions_are_settings() -> None:
    assert NOT_PASSED_ON.keys() <= {*IN_ENV_EXAMPLE}


def size_bytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w+)", filled_in(text)).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


def limits_of(name: str) -> Any:
    return SERVICES[name]["deploy"]["resources"]["limits"]


@each_service
def test_every_service_has_limits(name: str) -> None:
    limits = limits_of(name)
    assert filled_in(limits["cpus"]) == "1"  # Docker refuses more cores than the machine has
    assert 64 <= limits["pids"] <= 1024
    assert size_bytes(limits["memory"]) <= 3 << 30


def test_a_limit_leaves_room_for_what_a_service_may_take() -> None:
    assert size_bytes(limits_of("worker")["memory"]) >= MediaLimits(cpu_seconds=1).resident_bytes + (512 << 20)
    assert limits_of("web")["pids"] > THREADS
    # A Redis that rewrites its file needs up to twice its data.
    assert size_bytes(limits_of("redis")["memory"]) >= 2 * size_bytes(
        SERVICES["redis"]["environment"]["REDIS_MAXMEMORY"]
    )


def test_every_variable_is_documented() -> None:
    interpolated = set(re.findall(r"\$\{(\w+)", TEXT)) | READ_BY_COMPOSE | READ_BY_OTHERS - {"REDISCLI_AUTH"}
    documents = (ROOT / "docs/deploy.md").read_text() + (ROOT / ".env.example").read_text()
    assert {name for name in interpolated if name not in documents} == set()


def test_the_file_for_s3_names_known_variables_only() -> None:
    names = set(re.findall(r"^(\w+)=", (COMPOSE / "s3.env").read_text(), re.MULTILINE))
    assert names <= SETTINGS | READ_BY_BOTO3 | READ_BY_COMPOSE
    assert "AWS_SECRET_ACCESS_KEY" not in names  # no deployment may run with a published secret


def command_lines() -> list[list[str]]:
    procfile = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert set(procfile) == set(CLIPZY_SERVICES)
    from_procfile = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", line).split() for line in procfile.values()]
    return [*from_procfile, *(SERVICES[name]["command"] for name in CLIPZY_SERVICES)]


@pytest.mark.parametrize("line", command_lines(), ids=" ".join)
def test_every_command_and_its_options_exist(line: list[str]) -> None:
    program, name, *options = line
    command = commands.get_command(click.Context(commands), name)
    assert program == "clipzy"
    assert command is not None
    command.make_context(name, options)  # raises for unknown options


@pytest.mark.parametrize("name", ["nginx", "redis", "s3", "bucket", "prometheus"])
def test_every_script_is_mounted_from_an_existing_file(name: str) -> None:
    mounted = dict(volume.split(":")[:2] for volume in SERVICES[name]["volumes"] if volume.startswith("./"))
    assert all((COMPOSE / source).is_file() for source in mounted)
    (script,) = (word for word in SERVICES[name].get("entrypoint", SERVICES[name].get("command")) if "/clipzy/" in word)
    assert script in mounted.values()


@each_service
def test_no_service_has_needless_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    if name != "s3":  # its image starts as root, to change the owner of its directory
        assert service["read_only"] is True
        assert service.get("user", "of the Dockerfile") != "root"
        assert "cap_add" not in service
    assert not {"privileged", "network_mode", "pid", "ipc"} & set(service)


@each_service
def test_every_service_restarts_and_can_be_scaled(name: str) -> None:
    assert SERVICES[name]["restart"] == ("on-failure:5" if name == "bucket" else "unless-stopped")
    assert not {"container_name", "hostname"} & set(SERVICES[name])


@each_service
def test_foreign_images_are_pinned_and_own_images_are_built(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert "image" not in service
    else:
        exact = r"\d+\.\d+" if name == "s3" else r"\d+\.\d+\.\d+"  # SeaweedFS has no third number
        assert re.fullmatch(rf"[a-z/]+:v?{exact}(-alpine)?(@sha256:[0-9a-f]{{64}})?", service["image"])


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_the_monitoring_finds_its_files(name: str) -> None:
    sources = [volume.split(":")[0] for volume in SERVICES[name]["volumes"] if volume.startswith("./")]
    assert all((COMPOSE / source).is_file() for source in sources)
    assert SERVICES[name]["profiles"] == ["monitoring"]
    source = yaml.safe_load((COMPOSE / "grafana/datasource.yml").read_text())["datasources"][0]
    assert source["url"] == f"http://prometheus:{SERVICES['prometheus']['ports'][0].rpartition(':')[2]}"


def test_ports_are_published_on_this_machine_only_by_default() -> None:
    published = {name: [filled_in(port) for port in service.get("ports", [])] for name, service in SERVICES.items()}
    assert {name: ports for name, ports in published.items() if ports} == {
        "nginx": ["127.0.0.1:8000:8080"],
        "flower": ["127.0.0.1:5555:5555"],
        "s3": ["127.0.0.1:8333:8333"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    # Redis, whose password has a default, is reachable only in a network without a gateway.
    assert SERVICES["redis"]["networks"] == ["inside"]
    assert STACK["networks"]["inside"] == {"internal": True}


def test_storage_is_one_volume_and_scratch_is_private() -> None:
    for name in ("web", "worker"):
        assert SERVICES[name]["volumes"] == ["storage:/storage", "/data"]
    assert {"storage", "redis", "s3", "prometheus", "grafana"} == set(STACK["volumes"])


def test_the_grace_period_is_longer_than_any_stop_takes() -> None:
    grace_seconds = {name: seconds(filled_in(SERVICES[name]["stop_grace_period"])) for name in ("web", "worker")}
    assert grace_seconds["worker"] > WORKER_STOP_SECONDS
    assert grace_seconds["web"] > WEB_STOP_TIMEOUT_SECONDS


def test_no_service_depends_on_one_of_another_profile() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            same_profile = SERVICES[needed].get("profiles", []) in ([], service.get("profiles"))
            assert same_profile or how["required"] is False, f"{name} needs {needed}"
            assert how["condition"] != "service_healthy" or needed == "web" or "healthcheck" in SERVICES[needed]


def test_one_client_cannot_take_all_upload_slots() -> None:
    default = re.search(r"NGINX_BODIES_PER_CLIENT:-(\d+)", (COMPOSE / "nginx.sh").read_text())
    assert default
    assert int(default[1]) < BUCKET_BODIES


def test_scripts_are_executable() -> None:
    assert all(os.access(script, os.X_OK) for script in COMPOSE.glob("*.sh"))

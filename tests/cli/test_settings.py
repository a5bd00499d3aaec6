"""The commands and their settings."""

import json
from pathlib import Path

from clipzy_api.cli.env_example import env_example
from clipzy_storage import redis_check
from clipzy_storage.config.environment import settings_from_env
from clipzy_storage.config.settings import names
from tests.support.processes import clipzy

ROOT = Path(__file__).parents[2]


def test_all_wrong_settings_are_listed_and_nothing_starts(tmp_path: Path) -> None:
    # Given three wrong settings
    wrong = {"WORKER_COUNT": "many", "REDIS_URL": "http://:secret@nowhere", "LOG_LEVEL": "loud"}

    # When the service is started
    ended = clipzy("up", cwd=tmp_path, **wrong)

    # Then each is named on its own line, without its password, and no directory was created
    assert ended.returncode == 78
    lines = ended.stderr.splitlines()
    assert [line.partition("=")[0] for line in lines] == [
        "clipzy: WORKER_COUNT",
        "clipzy: REDIS_URL",
        "clipzy: LOG_LEVEL",
    ]
    assert "secret" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_the_environment_overrides_dotenv(tmp_path: Path) -> None:
    # Given a .env whose second line is also set in the environment
    (tmp_path / ".env").write_text("LOG_FORMAT=from-file\nLOG_LEVEL=from-file\n")

    # When a command reads its settings
    ended = clipzy("submit", "x", cwd=tmp_path, LOG_LEVEL="from-environment")

    # Then the file was read, and has overridden nothing
    assert ended.returncode == 78
    assert "LOG_FORMAT=from-file" in ended.stderr
    assert "LOG_LEVEL=from-environment" in ended.stderr


def test_an_empty_variable_overrides_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=from-file\n")
    ended = clipzy("submit", "missing.mp4", cwd=tmp_path, LOG_LEVEL="")
    assert (ended.returncode, "missing.mp4" in ended.stderr) == (1, True)


def test_the_example_lists_all_settings() -> None:
    assert (ROOT / ".env.example").read_text() == env_example()
    for name in names():
        assert f"\n#{name}=" in env_example()


def test_a_taken_port_is_reported_on_one_line(tmp_path: Path, taken_port: int) -> None:
    ended = clipzy("up", "--port", str(taken_port), cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == f"clipzy: port {taken_port} on 127.0.0.1 is taken. Choose another with --port.\n"


def test_the_doctor_reports_every_check(tmp_path: Path, free_port: int) -> None:
    # Given a machine without a Redis
    # When the doctor runs
    url = f"redis://:secret@127.0.0.1:{free_port}/0"
    ended = clipzy("doctor", "--json", cwd=tmp_path, REDIS_URL=url)

    # Then it reports what is ok, what is not and what needs that, shows no password, and leaves nothing behind
    checks = {check["name"]: check["ok"] for check in json.loads(ended.stdout)}
    assert checks == {
        "settings": True,
        "redis": False,
        "storage": True,
        "ffmpeg": True,
        "decoder": True,
        "sandbox": True,
        "scratch": True,
        "workers": None,
        "queues": None,
        "webhooks": None,
        "guard": None,
    }
    assert ended.returncode == 1
    assert "secret" not in ended.stdout + ended.stderr
    assert not list(tmp_path.iterdir())


def test_the_doctor_lists_wrong_settings(tmp_path: Path) -> None:
    ended = clipzy("doctor", cwd=tmp_path, WORKER_COUNT="0", LOG_LEVEL="loud")
    assert ended.returncode == 1
    # Each once, and one line for all that depends on them
    wrong, loud, rest = ended.stdout.splitlines()
    assert wrong.startswith("FAIL  settings  WORKER_COUNT=0 is wrong.")
    assert loud.startswith("FAIL  settings  LOG_LEVEL=loud is wrong.")
    assert rest.startswith("skip  rest      not checked until the settings are right: redis, storage,")


def test_the_doctor_reports_each_finding_once(tmp_path: Path, free_port: int) -> None:
    # Given a Redis out of reach, a storage below a file, and a scratch directory that is one
    (tmp_path / "file").touch()
    given = {"REDIS_URL": f"redis://127.0.0.1:{free_port}/0", "LOCAL_STORAGE_PATH": "file/storage", "WORK_DIR": "file"}
    # When the doctor runs
    ended = clipzy("doctor", "--json", cwd=tmp_path, **given)
    # Then no line repeats another, and those that need what failed are skipped
    checks = {check["name"]: check for check in json.loads(ended.stdout)}
    assert ended.returncode == 1
    assert [name for name, check in checks.items() if check["ok"] is False] == ["redis", "storage", "scratch"]
    assert checks["workers"]["detail"] == "not checked, since it needs redis"
    assert checks["guard"]["detail"] == "not checked, since it needs redis and storage"
    assert [checks.pop(name)["detail"] for name in ("queues", "webhooks")] == [checks["workers"]["detail"]] * 2
    assert len({check["detail"] for check in checks.values()}) == len(checks)


def test_the_doctor_suggests_clipzy_up_where_nothing_runs(tmp_path: Path, redis_url: str) -> None:
    # Given a Redis on which nothing runs, then it suggests to start everything
    ended = clipzy("doctor", cwd=tmp_path, REDIS_URL=redis_url)
    assert "FAIL  workers   nothing runs. Start everything with `clipzy up`" in ended.stdout


def test_the_doctor_names_every_redis_that_is_out_of_reach(tmp_path: Path, free_port: int) -> None:
    given = {name: f"redis://127.0.0.1:{free_port}/{db}" for db, name in enumerate(("REDIS_URL", "CELERY_BROKER_URL"))}
    ended = clipzy("doctor", cwd=tmp_path, **given)
    assert f"FAIL  redis     {given['REDIS_URL']}: Redis cannot be reached" in ended.stdout
    assert "Start it, or set REDIS_URL to its address." in ended.stdout
    assert f"{given['CELERY_BROKER_URL']}: Redis cannot be reached" in ended.stdout


def test_clipzy_up_is_suggested_where_no_redis_was_set_up() -> None:
    """Asked for the words alone: something may listen where a Redis is expected by default."""
    suggested = "Start everything with `clipzy up`, which brings a Redis, or set REDIS_URL to a server."
    assert redis_check.way_to_a_redis(settings_from_env({}), "REDIS_URL") == suggested


def test_the_doctor_warns_of_names_that_are_no_settings(tmp_path: Path, redis_url: str) -> None:
    # Given an .env file with slips, and with variables of boto3, compose and others
    others = [
        "AWS_ENDPOINT_URL=x",
        "AWS_ENDPOINT_URL_S3=x",
        "HTTP_PORT=1",
        "REDIS_PASSWORD=secret",
        "WORKER_STOP_GRACE=1s",
        "PATH_INFO=x",
    ]
    others += ["NGINX_BODIES_PER_CLIENT=1", "COMPOSE_PROFILES=s3", "FLOWER_BASIC_AUTH=a:b", "HTTP_ADDRESS=x", "PORT=1"]
    others += ["CLIPZY_FAILPOINTS=x"]
    slips = ["MAX_FILESIZE_MB=5", "celery_broker=x", "CLIPZY_DATADIR=x", "S3_BUCKET=x", "CLIPZY_THREADS=1"]
    (tmp_path / ".env").write_text("\n".join([*others, *slips, f"REDIS_URL={redis_url}"]))
    # When the doctor runs
    ended = clipzy("doctor", cwd=tmp_path)
    # Then it names the slips, and what was probably meant
    warnings = [line.split(maxsplit=2)[2] for line in ended.stdout.splitlines() if line.startswith("warn")]
    assert warnings == [
        "MAX_FILESIZE_MB in .env is not a setting and has no effect. Is MAX_FILE_SIZE_MB meant?",
        "celery_broker in .env is not a setting and has no effect. Is CELERY_BROKER_URL meant?",
        "CLIPZY_DATADIR in .env is not a setting and has no effect. Is CLIPZY_DATA_DIR meant?",
        "S3_BUCKET in .env is not a setting and has no effect. Is S3_BUCKET_NAME meant?",
        "CLIPZY_THREADS in .env is not a setting and has no effect.",
    ]


def test_the_doctor_names_an_unusable_scratch_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = clipzy("doctor", cwd=tmp_path, WORK_DIR=str(tmp_path / "file"))
    assert ended.returncode == 1
    assert f"FAIL  scratch   WORK_DIR={tmp_path}/file cannot be used" in ended.stdout


def test_an_unreadable_dotenv_is_reported_on_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("WORKER_COUNT=1".encode("utf-16"))
    ended = clipzy("worker", cwd=tmp_path)
    assert ended.returncode == 78
    assert ended.stderr == (
        f"clipzy: {tmp_path}/.env cannot be read: it is not UTF-8. Make it readable, or remove it.\n"
    )


def test_malformed_lines_of_dotenv_are_each_reported_once(tmp_path: Path) -> None:
    """They had no effect, and python-dotenv said so twice, without the name of the file."""
    (tmp_path / ".env").write_text('LOG_FORMAT=text # as usual\nMAX_RESULT_MB="12\nexport LOG_LEVEL=INFO\n\n=x\nPORT\n')
    ended = clipzy("doctor", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (78, "")
    way = "is malformed. Write NAME=value, or remove it."
    assert ended.stderr.splitlines() == [f"clipzy: {tmp_path}/.env line {line} {way}" for line in (2, 5)]

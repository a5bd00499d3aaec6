"""Settings: the contract's defaults, every bound, and all mistakes in one error."""

from pathlib import Path

import pytest

from clipzy_storage.config.environment import embedded_redis_url, settings_from_env
from clipzy_storage.config.logs import safe_text
from clipzy_storage.config.redis_url import RedisUrl
from clipzy_storage.config.settings import fields, names
from clipzy_storage.errors import ConfigurationError


def problems(**given: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        settings_from_env(given)
    return caught.value.problems


def test_the_defaults_are_the_contract_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = settings_from_env({})
    assert settings.local_storage_path == tmp_path / "storage"
    assert settings.data_dir == tmp_path / ".clipzy"
    assert settings.work_dir == tmp_path / ".clipzy" / "work"
    assert settings.redis_url == settings.broker_url == RedisUrl.parse("redis://localhost:6379/0")
    assert settings.max_file_size_bytes == 2000 << 20
    assert (settings.storage_type, settings.local_storage_shared, settings.worker_count) == ("local", False, 1)
    assert (settings.max_concurrent_jobs, settings.processing_timeout_seconds) == (1, 3600)
    assert (settings.result_ttl_hours, settings.upload_ttl_hours) == (0, 0)
    assert (settings.job_lease_seconds, settings.clipzy_url) == (60, "http://127.0.0.1:8000")
    assert (settings.log_level, settings.log_format, settings.sandbox) == ("INFO", "text", "best-effort")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("STORAGE_TYPE", "S3"),
        ("STORAGE_TYPE", "LOCAL"),
        ("S3_BUCKET_NAME", "b"),
        ("S3_BUCKET_NAME", "s3://bucket"),
        ("S3_PUBLIC_ENDPOINT_URL", "files.example.com"),
        ("S3_PRESIGN_EXPIRES_SECONDS", "0"),
        ("S3_PRESIGN_EXPIRES_SECONDS", "604801"),
        ("S3_ADDRESSING_STYLE", "host"),
        ("LOCAL_STORAGE_SHARED", "perhaps"),
        ("WORKER_COUNT", "0"),
        ("WORKER_COUNT", "1.5"),
        ("MAX_FILE_SIZE_MB", "0"),
        ("MAX_FILE_SIZE_MB", "2GB"),
        *(("MAX_VIDEO_TERAPIXELS", wrong) for wrong in ("0", "-1", "nan", "inf", "1000001", "4T", "1,5")),
        *(("MAX_RESULT_MB", wrong) for wrong in ("0", "1.5", "1000001", "500M")),
        ("MAX_CONCURRENT_JOBS", "-1"),
        ("PROCESSING_TIMEOUT_SECONDS", "0"),
        ("JOB_LEASE_SECONDS", "1"),
        ("RESULT_TTL_HOURS", "-1"),
        ("RESULT_TTL_HOURS", "0.5"),
        ("UPLOAD_TTL_HOURS", "7d"),
        ("CLIPZY_SANDBOX", "on"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "https://App.example.com"),
        ("ALLOWED_HOSTS", "https://clips.example.com"),
        ("ALLOWED_HOSTS", "clips.example.com:8000"),
        ("ALLOWED_HOSTS", "*.example.com"),
        ("ALLOWED_HOSTS", ".example.com"),
        ("ALLOWED_HOSTS", "clips.example.com other.example.com"),
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "yes"),
        ("PUBLIC_URL", "clipzy.example.com"),
        ("PUBLIC_URL", "ftp://clipzy.example.com"),
        ("CLIPZY_URL", "127.0.0.1:8000"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(name: str, wrong: str) -> None:
    (line,) = problems(**{name: wrong})
    assert line.startswith(f"{name}={wrong} is wrong. Set it to ")
    assert "default" in line


@pytest.mark.parametrize("name", ["CLIPZY_URL", "PUBLIC_URL", "S3_PUBLIC_ENDPOINT_URL"])
@pytest.mark.parametrize("place", [":8000", "a b:8000", "a..b", "host/a b", "a\u00a0b", "host/a\tb", f"{'a' * 64}.b"])
def test_an_address_that_no_client_can_open_is_refused(name: str, place: str) -> None:
    (line,) = problems(**{name: f"http://{place}"})
    assert line.startswith(f"{name}=http://")
    assert " is wrong. Set it to http://host" in line


@pytest.mark.parametrize(
    "place", ["web", "my_web:8000/clipzy", "[::1]:8000", "[fe80::1%eth0]", "user:p@müller.example"]
)
def test_an_address_may_be_any_that_clients_can_open(place: str) -> None:
    assert settings_from_env({"CLIPZY_URL": f"http://{place}"}).clipzy_url == f"http://{place}"


@pytest.mark.parametrize("name", names())
def test_the_remedy_has_nothing_that_is_taken_for_a_secret(name: str) -> None:
    extra = fields()[name].json_schema_extra
    assert isinstance(extra, dict)
    assert safe_text(str(extra["expects"])) == extra["expects"]


def test_all_mistakes_are_in_one_error() -> None:
    lines = problems(WORKER_COUNT="x", LOG_LEVEL="x", MAX_FILE_SIZE_MB="x", RESULT_TTL_HOURS="1d")
    assert {line.split("=")[0] for line in lines} == {
        "WORKER_COUNT",
        "LOG_LEVEL",
        "MAX_FILE_SIZE_MB",
        "RESULT_TTL_HOURS",
    }


def test_a_password_in_a_wrong_url_is_not_repeated() -> None:
    (line,) = problems(REDIS_URL="amqp://user:s3cr3t@host")
    assert "s3cr3t" not in line


SECRETS = [f"whsec_{letter * 42}A=" for letter in "ABC"]


@pytest.mark.parametrize(
    "wrong", ["whsec_" + "A" * 28, "whsec_" + "A" * 92, "A" * 44, "whsec_" + "A" * 43, "whsec_!", ",".join(SECRETS)]
)
def test_a_wrong_secret_of_webhooks_is_not_repeated(wrong: str) -> None:
    (line,) = problems(WEBHOOK_SECRETS=wrong)
    assert line.startswith("WEBHOOK_SECRETS=*** is wrong. Set it to one or two secrets")
    assert wrong not in line


def test_there_are_one_or_two_secrets_of_webhooks() -> None:
    for given in (SECRETS[:1], SECRETS[:2]):
        settings = settings_from_env({"WEBHOOK_SECRETS": ", ".join(given)})
        assert settings.webhook_secrets == tuple(given)
        assert "whsec" not in repr(settings)


def test_a_data_directory_on_the_shared_mount_is_refused(tmp_path: Path) -> None:
    (line,) = problems(
        LOCAL_STORAGE_PATH=str(tmp_path), LOCAL_STORAGE_SHARED="true", CLIPZY_DATA_DIR=str(tmp_path / "data")
    )
    assert line.startswith(f"CLIPZY_DATA_DIR={tmp_path}/data lies on the shared storage")


def test_an_unset_redis_is_the_one_that_runs_from_the_data_directory(tmp_path: Path) -> None:
    # Given the file that a running `clipzy up` leaves
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "server.json").write_text('{"url": "redis://:p@127.0.0.1:7/0", "pid": 1}')
    running = RedisUrl.parse("redis://:p@127.0.0.1:7/0")
    assert settings_from_env({"CLIPZY_DATA_DIR": str(tmp_path)}).redis_url == running
    # Then a given one takes precedence, and a damaged file counts for nothing
    given = {"CLIPZY_DATA_DIR": str(tmp_path), "REDIS_URL": "redis://other:1/0"}
    assert settings_from_env(given).redis_url == RedisUrl.parse("redis://other:1/0")
    (tmp_path / "redis" / "server.json").write_text("{")
    assert embedded_redis_url(tmp_path) is None


def test_a_level_may_be_written_small() -> None:
    assert settings_from_env({"LOG_LEVEL": "debug"}).log_level == "DEBUG"


def test_variables_of_others_are_left_alone() -> None:
    assert "PATH" not in names()
    assert settings_from_env({"PATH": "/bin", "AWS_PROFILE": "p"}) == settings_from_env({})


def test_s3_needs_a_bucket() -> None:
    assert problems(STORAGE_TYPE="s3") == (
        "S3_BUCKET_NAME is missing, which STORAGE_TYPE=s3 needs. Set it to the name of a bucket.",
    )


def test_a_browser_s_origins_are_a_list() -> None:
    settings = settings_from_env({"CORS_ORIGINS": "https://app.example.com, http://[::1]:3000,http://localhost:8080"})
    assert settings.cors_origins == ("https://app.example.com", "http://[::1]:3000", "http://localhost:8080")


def test_host_names_are_compared_as_browsers_send_them() -> None:
    settings = settings_from_env({"ALLOWED_HOSTS": "Clips.Example.com., web,,müller.example , [::1]"})
    assert settings.allowed_hosts == ("clips.example.com", "web", "xn--mller-kva.example", "::1")
    assert settings_from_env({"ALLOWED_HOSTS": "*"}).allowed_hosts == ("*",)


def test_the_base_of_links_has_no_slash_at_its_end() -> None:
    assert settings_from_env({"PUBLIC_URL": "https://example.com/clipzy/"}).public_url == "https://example.com/clipzy"


def test_a_result_may_be_twice_as_large_as_its_video() -> None:
    settings = settings_from_env({"MAX_RESULT_MB": "100"})
    assert settings.max_result_bytes(source_size_bytes=1) == 100 << 20
    assert settings.max_result_bytes(source_size_bytes=51 << 20) == 102 << 20


def test_terapixels_may_have_decimals() -> None:
    assert settings_from_env({}).max_decoded_pixels == 4 * 10**12
    assert settings_from_env({"MAX_VIDEO_TERAPIXELS": "0.0015"}).max_decoded_pixels == 1_500_000_000

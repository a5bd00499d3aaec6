"""The TLS options that kombu derives from a broker URL, which needs no server."""

import ssl
from typing import Any

import pytest
from celery import Celery

from clipzy_storage import celery_config
from clipzy_storage.config.environment import settings_from_env


def connection_to(url: str) -> Any:
    app = Celery("test", set_as_current=False)
    app.conf.update(celery_config.celery_settings(settings_from_env({"REDIS_URL": url})))
    with app.connection_for_write() as connection:
        return connection.info()["ssl"]


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://host/0", False),
        ("rediss://host/0", {"ssl_cert_reqs": ssl.CERT_REQUIRED}),
        ("rediss://host/0?ssl_cert_reqs=none", {"ssl_cert_reqs": ssl.CERT_NONE}),
        ("rediss://host/0?ssl_ca_certs=/ca.pem", {"ssl_ca_certs": "/ca.pem"}),  # redis-py then checks by default
    ],
)
def test_a_certificate_is_checked_unless_the_url_disables_it(url: str, options: Any) -> None:
    assert connection_to(url) == options

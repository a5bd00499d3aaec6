"""What needs no server: the TLS options that kombu derives from a broker URL, and the message that Celery is given."""

import base64
import json
import uuid
from typing import Any

import pytest
from celery import Celery

from clipzy_storage import celery_config, keys
from clipzy_storage.config.environment import settings_from_env
from clipzy_worker.runtime import transport

CHECKED = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


def connection_to(url: str) -> Any:
    app = Celery("test", set_as_current=False)
    app.conf.update(celery_config.celery_settings(settings_from_env({"REDIS_URL": url}), storage_id="x"))
    with app.connection_for_write() as connection:
        return connection.info()["ssl"]


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://host/0", False),
        ("rediss://host/0", CHECKED),
        ("rediss://host/0?ssl_cert_reqs=none", {"ssl_cert_reqs": "none", "ssl_check_hostname": False}),
        ("rediss://host/0?ssl_ca_certs=/ca.pem", {**CHECKED, "ssl_ca_certs": "/ca.pem"}),
    ],
)
def test_a_certificate_is_checked_unless_the_url_disables_it(url: str, options: Any) -> None:
    assert connection_to(url) == options


def test_of_a_message_only_the_job_id_and_the_task_id_are_taken_over() -> None:
    # Given a notification, as Celery sends it, and one with more in it
    app, job_id = Celery("test", set_as_current=False), keys.new_id("job")
    sent = app.amqp.create_task_message(str(uuid.uuid4()), celery_config.PROCESS_JOB, args=[job_id], kwargs={})
    properties: dict[str, Any] = {"body_encoding": "base64", "delivery_tag": "tag", "delivery_info": {}}
    body = base64.b64encode(json.dumps(sent.body).encode()).decode()
    plain: dict[str, Any] = {"content-type": "application/json", "content-encoding": "utf-8", "body": body}
    plain |= {"headers": sent.headers, "properties": properties}
    forged = plain | {"headers": {**sent.headers, **dict.fromkeys(("timelimit", "eta", "shadow", "x"), "x")}}
    # Then Celery is given the same for both
    given = [
        transport.notification(str(transport.notified_job_id(message)), queue="batch", task_id=sent.headers["id"])
        for message in (plain, forged)
    ]
    tags = {message["properties"].pop("delivery_tag") for message in given}
    assert len(tags) == 2
    assert given[0] == given[1]
    assert "tag" not in tags
    # And it is what Celery needs to call the task, and shows in Flower
    expected = ("lang", "task", "id", "root_id", "argsrepr", "kwargsrepr")
    assert given[0]["headers"] == {name: sent.headers[name] for name in expected}
    assert json.loads(base64.b64decode(given[0]["body"])) == [[job_id], {}, sent.body[2]]

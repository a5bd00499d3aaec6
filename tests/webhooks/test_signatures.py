"""Signatures and derived secrets, by the documented way and by the package of the specification."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from clipzy_storage.webhooks.signatures import secrets_of, signed_headers
from tests.support.webhook_receiver import OTHER_SECRET, SECRET

BODY = '{"type":"job.completed","data":"\u2600"}'.encode()


@pytest.mark.parametrize("owner", ["everyone", "anna"])
def test_a_delivery_is_signed_with_each_secret(owner: str) -> None:
    secrets = secrets_of(owner, (SECRET, OTHER_SECRET))
    now = datetime.now(UTC)
    headers = signed_headers("dlv_1", BODY, secrets=secrets, now=now)
    assert headers["webhook-signature"] == " ".join(
        Webhook(secret).sign("dlv_1", now, BODY.decode()) for secret in secrets
    )


def test_everyone_has_the_secrets_themselves() -> None:
    assert secrets_of("everyone", (SECRET, OTHER_SECRET)) == [SECRET, OTHER_SECRET]


def test_other_owners_have_secrets_derived_as_documented() -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    derived = hmac.new(key, b"clipzy webhooks of anna", hashlib.sha256).digest()
    assert secrets_of("anna", (SECRET,)) == ["whsec_" + base64.b64encode(derived).decode()]
    assert secrets_of("bert", (SECRET,)) != secrets_of("anna", (SECRET,))

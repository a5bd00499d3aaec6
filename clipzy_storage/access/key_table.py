"""The API keys as one process knows them: read again within seconds, so that a request costs no storage."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from clipzy_storage.access.api_keys import ApiKeys
from clipzy_storage.access.refreshed import REFRESH_SECONDS, Refreshed
from clipzy_storage.errors import NotFound, StorageError, StorageUnavailable
from clipzy_storage.log_events import ACCESS_KEY_DAMAGED
from clipzy_storage.models.access import ApiKey

MAX_AGE_SECONDS = 4.0
"""A key that is older knowledge than this is not accepted: revoked ones are refused within 5 s."""

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class _Keys:
    """What the storage holds. ``revoked`` are those from before the process and those that it saw go."""

    accepted: Mapping[str, ApiKey] = field(default_factory=dict)
    damaged: frozenset[str] = frozenset()
    revoked: frozenset[str] | None = None


class KeyTable:
    """All keys that are not revoked. Unknown ids cost nothing, however many are tried.

    Every method raises ``StorageUnavailable`` if the keys could not be read for ``max_age_seconds``.
    """

    def __init__(
        self, api_keys: ApiKeys, *, refresh_seconds: float = REFRESH_SECONDS, max_age_seconds: float = MAX_AGE_SECONDS
    ) -> None:
        self._api_keys = api_keys
        self._keys = Refreshed(
            "the list of API keys",
            self._read,
            _Keys(),
            refresh_seconds=refresh_seconds,
            max_age_seconds=max_age_seconds,
        )

    def find(self, key_id: str) -> ApiKey | None:
        """The key; None if there is none."""
        return self._keys.value().accepted.get(key_id)

    def was_revoked(self, key_id: str) -> bool:
        """Whether there was such a key."""
        return key_id in (self._keys.value().revoked or ())

    def _read(self, before: _Keys) -> _Keys:
        ids = self._api_keys.ids()
        accepted = {key_id: key for key_id, key in before.accepted.items() if key_id in ids}
        damaged = set()
        for key_id in ids - accepted.keys():
            try:
                accepted[key_id] = self._api_keys.read(key_id)
            except NotFound:
                continue  # revoked meanwhile
            except StorageUnavailable:
                raise
            except StorageError as error:
                damaged.add(key_id)
                if key_id not in before.damaged:
                    log.error(ACCESS_KEY_DAMAGED, key_id=key_id, reason=str(error))
        return _Keys(accepted, frozenset(damaged), self._revoked(before, ids))

    def _revoked(self, before: _Keys, ids: set[str]) -> frozenset[str]:
        """Listed once: afterwards every key that goes was revoked."""
        if before.revoked is None:
            return frozenset(self._api_keys.revoked_ids())
        return before.revoked | ((before.accepted.keys() | before.damaged) - ids)

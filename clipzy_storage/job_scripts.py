"""What everything that works on the job records of one Redis begins with."""

from typing import Any

from clipzy_storage import keys, redis_client


class JobScripts:
    """One Redis, the prefix of our keys in it, and our scripts. Every method may raise ``QueueUnavailable``."""

    def __init__(
        self,
        redis_url: str,
        *,
        prefix: str = keys.REDIS_PREFIX,
        answer_seconds: float = redis_client.ANSWER_SECONDS,
    ) -> None:
        self._redis = redis_client.connect(redis_url, answer_seconds=answer_seconds)
        self._scripts = redis_client.Scripts(self._redis)
        self._prefix = prefix

    def _key(self, job_id: str) -> str:
        return f"{self._prefix}job:{job_id}"

    def _run(self, script: str, *args: str | int) -> Any:
        with redis_client.translated():
            return self._scripts.run(script, prefix=self._prefix, args=list(args))

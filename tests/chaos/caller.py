"""Asks the front ends of a run on behalf of one owner."""

import random
from typing import Any

import requests

from tests.chaos.owners import Owner

ANSWER_SECONDS = 20.0


class Caller:
    """Asks one front end after the other on behalf of one owner; no answer is ``None``."""

    def __init__(self, urls: list[str], rng: random.Random, owner: Owner) -> None:
        self._urls, self._rng = urls, rng
        self._http = requests.Session()
        self._http.headers.update(owner.headers)

    def ask(self, method: str, path: str, **more: Any) -> requests.Response | None:
        url = self._rng.choice(self._urls) + "/api/v1" + path
        try:
            return self._http.request(method, url, timeout=ANSWER_SECONDS, **more)
        except requests.RequestException:
            return None

    def close(self) -> None:
        self._http.close()

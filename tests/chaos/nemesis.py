"""Does one random fault after the other, from a seed, and undoes each in its time."""

import random
import time
from collections import Counter

from tests.chaos import faults, network_faults
from tests.chaos.deployment import Deployment
from tests.chaos.faults import Fault
from tests.chaos.network_faults import faults_of
from tests.chaos.scene import Harm, Scene

REST_SECONDS = 0.5  # of a victim, before the next fault may hit it

_LOSSES: dict[str, Fault] = {
    "redis FLUSHALL": faults.flush_redis,
    "redis emptied": faults.empty_redis,
    "redis rolled back": faults.roll_redis_back,
}
_FAULTS: dict[str, Fault] = {
    "worker SIGKILL": faults.kill_worker,
    "worker SIGTERM": faults.stop_worker,
    "worker SIGSTOP": faults.freeze_worker,
    "pool child SIGKILL": faults.kill_pool_child,
    "media process SIGKILL": faults.kill_media_process,
    "front end SIGKILL": faults.kill_front_end,
    "front end SIGTERM": faults.stop_front_end,
    "serving process SIGKILL": faults.kill_serving_process,
    "redis CLIENT KILL": faults.cut_redis_clients,
    "redis SIGKILL": faults.kill_redis,
    "redis SIGSTOP": faults.freeze_redis,
    "redis demoted": faults.demote_redis,
    **faults_of("redis", network_faults.reset, network_faults.silence, network_faults.refuse),
}
_S3_FAULTS = faults_of(
    "s3",
    network_faults.reset,
    network_faults.silence,
    network_faults.refuse,
    network_faults.delay,
    network_faults.cut,
)


def faults_for(storage: str, *, lose_redis: bool) -> dict[str, Fault]:
    """All kinds that a deployment on this storage can suffer."""
    return _FAULTS | (_S3_FAULTS if storage == "s3" else {}) | (_LOSSES if lose_redis else {})


class Nemesis:
    """To be run by the thread that started Redis, since it starts it again."""

    def __init__(self, deployment: Deployment, kinds: dict[str, Fault], *, seed: int, pause_seconds: float) -> None:
        self._rng = random.Random(f"{seed}-nemesis")
        self._scene = Scene(deployment, self._rng)
        self._history = deployment.history
        self._kinds, self._pause_seconds = kinds, pause_seconds
        self._bag: list[str] = []
        self._under_way: list[tuple[float, str, Harm]] = []
        self.counts: Counter[str] = Counter()

    def run(self, *, seconds: float) -> None:
        """Strike for so long, or up to twice as long until each kind has had its turn; everything is healed then."""
        began_at = time.monotonic()
        try:
            while (lasted := time.monotonic() - began_at) < seconds or (self._owes_some() and lasted < 2 * seconds):
                self._strike()
                self._wait(self._pause_seconds * self._rng.uniform(0.5, 1.5))
        finally:
            self._heal(everything=True)

    def _owes_some(self) -> bool:
        return self.counts.keys() != self._kinds.keys()

    def _strike(self) -> None:
        """Do the next fault that finds a victim. Each kind has its turn before the next pass."""
        for kind in self._waiting():
            harm = self._done(kind)
            if harm is not None:
                self._bag.remove(kind)
                self.counts[kind] += 1
                self._history.add("fault", kind=kind, about=harm.about, seconds=round(harm.seconds, 1))
                self._scene.suffering.update(harm.victims)
                self._under_way.append((time.monotonic() + max(harm.seconds, REST_SECONDS), kind, harm))
                return

    def _waiting(self) -> list[str]:
        """The kinds whose turn has not come, and after them a pass of all, once each in the first pass."""
        if len(self._bag) < len(self._kinds):
            turns = [kind for kind in self._kinds for _ in range(_turns(kind) if self.counts else 1)]
            self._bag += self._rng.sample(turns, len(turns))
        return list(self._bag)

    def _done(self, kind: str) -> Harm | None:
        try:
            return self._kinds[kind](self._scene)
        except ProcessLookupError:  # the victim has just exited by itself
            return None

    def _wait(self, seconds: float) -> None:
        strike_at = time.monotonic() + seconds
        while time.monotonic() < strike_at:
            self._heal()
            time.sleep(0.05)

    def _heal(self, *, everything: bool = False) -> None:
        now = time.monotonic()
        due = [item for item in self._under_way if everything or item[0] <= now]
        for item in due:
            _, kind, harm = item
            if harm.revert is not None:
                harm.revert()
                self._history.add("healed", kind=kind)
            self._scene.suffering.difference_update(harm.victims)
            self._under_way.remove(item)


def _turns(kind: str) -> int:
    """How often a kind is done per pass. After a loss of Redis all work restarts: with more of them none would end."""
    if kind in _LOSSES:
        return 1
    return 3 if "worker" in kind or "process" in kind else 2

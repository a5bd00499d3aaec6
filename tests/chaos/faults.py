"""Faults of processes and of Redis. Each does its harm and describes it, or finds no victim."""

import os
import signal
from collections.abc import Callable
from functools import partial

from tests.chaos.deployment import LEASE_SECONDS
from tests.chaos.scene import Harm, Scene, media_processes
from tests.support.processes import Frozen

Fault = Callable[[Scene], Harm | None]
REDIS = "redis"
PAST_THE_LEASE_SECONDS = 2.0 * LEASE_SECONDS  # a lease, half a lease of grace, and a pass of the reaper


def kill_worker(scene: Scene) -> Harm | None:
    return _signal(scene, "worker", signal.SIGKILL)


def stop_worker(scene: Scene) -> Harm | None:
    return _signal(scene, "worker", signal.SIGTERM)


def kill_front_end(scene: Scene) -> Harm | None:
    return _signal(scene, "web", signal.SIGKILL)


def stop_front_end(scene: Scene) -> Harm | None:
    return _signal(scene, "web", signal.SIGTERM)


def kill_serving_process(scene: Scene) -> Harm | None:
    return _kill_first_below(scene, "web")


def kill_pool_child(scene: Scene) -> Harm | None:
    return _kill_first_below(scene, "worker")


def kill_media_process(scene: Scene) -> Harm | None:
    found = [(node, pid) for node in scene.deployment.workers for pid in media_processes(node)]
    if not found:
        return None
    node, pid = scene.rng.choice(found)
    os.kill(pid, signal.SIGKILL)
    return Harm((node.name,), f"SIGKILL of {pid} below {node.name}")


def freeze_worker(scene: Scene) -> Harm | None:
    """Main and pool process are frozen past the lease; what they started goes on, or not."""
    node = scene.one_of(scene.deployment.workers)
    if node is None:
        return None
    whole = scene.rng.random() < 0.5
    below = node.below()
    frozen = Frozen([node.pid, *(below if whole else below[:1])])
    seconds = PAST_THE_LEASE_SECONDS + scene.rng.uniform(0, 2)
    return Harm((node.name,), f"SIGSTOP of {node.name}{' and all below' if whole else ''}", seconds, frozen.thaw)


def cut_redis_clients(scene: Scene) -> Harm | None:
    if not scene.is_free(REDIS):
        return None
    scene.deployment.redis.cut_clients()
    return Harm((REDIS,), "CLIENT KILL of all")


def kill_redis(scene: Scene) -> Harm | None:
    if not scene.is_free(REDIS):
        return None
    scene.deployment.redis.kill()
    return Harm((REDIS,), "SIGKILL", scene.rng.uniform(0.5, 3), scene.deployment.redis.start)


def freeze_redis(scene: Scene) -> Harm | None:
    if not scene.is_free(REDIS):
        return None
    scene.deployment.redis.freeze()
    return Harm((REDIS,), "SIGSTOP", 6.0, scene.deployment.redis.thaw)


def demote_redis(scene: Scene) -> Harm | None:
    if not scene.is_free(REDIS):
        return None
    scene.deployment.redis.demote()
    return Harm((REDIS,), "REPLICAOF 127.0.0.1 1", scene.rng.uniform(3, 6), scene.deployment.redis.promote)


def flush_redis(scene: Scene) -> Harm | None:
    return _lose(scene, partial(scene.deployment.redis.forget_everything, open_guard=True), "FLUSHALL")


def empty_redis(scene: Scene) -> Harm | None:
    return _lose(scene, scene.deployment.redis.restart_from_copy, "a new empty server")


def roll_redis_back(scene: Scene) -> Harm | None:
    """Some seconds later it starts again with what it holds now."""
    if not scene.is_free(REDIS):
        return None
    redis, seconds = scene.deployment.redis, scene.rng.uniform(2, 6)
    redis.save_copy()
    about = f"back to where it was {seconds:.1f} s ago"
    return Harm((REDIS,), about, seconds, lambda: _losing(scene, redis.restart_from_copy, about))


def _lose(scene: Scene, act: Callable[[], None], about: str) -> Harm | None:
    if not scene.is_free(REDIS):
        return None
    _losing(scene, act, about)
    return Harm((REDIS,), about)


def _losing(scene: Scene, act: Callable[[], None], about: str) -> None:
    began_at = scene.deployment.history.now()
    act()
    scene.deployment.history.add("loss", began_at=began_at, about=about)


def _signal(scene: Scene, role: str, number: signal.Signals) -> Harm | None:
    node = scene.one_of(node for node in scene.deployment.nodes if node.role == role)
    if node is None:
        return None
    node.send(number)
    return Harm((node.name,), f"{number.name} of {node.name}")


def _kill_first_below(scene: Scene, role: str) -> Harm | None:
    node = scene.one_of(node for node in scene.deployment.nodes if node.role == role)
    below = node.below() if node else []
    if node is None or not below:
        return None
    os.kill(below[0], signal.SIGKILL)
    return Harm((node.name,), f"SIGKILL of {below[0]} below {node.name}")

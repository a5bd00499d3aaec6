"""Faults of connections to Redis and to S3, of one process or of all."""

from collections.abc import Callable

from tests.chaos.faults import Fault
from tests.chaos.nodes import Node
from tests.chaos.scene import Harm, Scene
from tests.support.tcp_proxy import Fault as NetworkFault
from tests.support.tcp_proxy import TcpProxy, Way


def reset(scene: Scene, to: str) -> Harm | None:
    """Connections are broken off (RST) after some bytes."""
    fault = NetworkFault("reset", of=_way(scene), after_bytes=_some_bytes(scene))
    return _suffer(scene, to, str(fault), lambda proxy: proxy.suffer(fault), seconds=scene.rng.uniform(0.5, 2))


def cut(scene: Scene, to: str) -> Harm | None:
    """Connections are closed in good order (FIN) in the middle of what they carry."""
    fault = NetworkFault("cut", of=_way(scene), after_bytes=_some_bytes(scene))
    return _suffer(scene, to, str(fault), lambda proxy: proxy.suffer(fault), seconds=scene.rng.uniform(0.5, 2))


def silence(scene: Scene, to: str) -> Harm | None:
    """Nothing passes any more, without an error on either side."""
    return _suffer(scene, to, "silence", TcpProxy.fall_silent, seconds=scene.rng.uniform(3, 8))


def refuse(scene: Scene, to: str) -> Harm | None:
    """Connections are refused."""
    return _suffer(
        scene, to, "refuse", lambda proxy: proxy.suffer(NetworkFault("refuse")), seconds=scene.rng.uniform(1, 4)
    )


def delay(scene: Scene, to: str) -> Harm | None:
    """Every block of an answer is late."""
    fault = NetworkFault("delay", seconds=scene.rng.uniform(0.1, 0.6))
    about = f"delay of {fault.seconds:.1f} s"
    return _suffer(scene, to, about, lambda proxy: proxy.suffer(fault), seconds=scene.rng.uniform(2, 5))


def faults_of(to: str, *kinds: Callable[[Scene, str], Harm | None]) -> dict[str, Fault]:
    return {f"{to} {kind.__name__}": _against(kind, to) for kind in kinds}


def _against(kind: Callable[[Scene, str], Harm | None], to: str) -> Fault:
    return lambda scene: kind(scene, to)


def _suffer(scene: Scene, to: str, about: str, harm: Callable[[TcpProxy], None], *, seconds: float) -> Harm | None:
    nodes = scene.links(to)
    if not nodes:
        return None
    for node in nodes:
        harm(node.proxies[to])
    names = tuple(f"{node.name}/{to}" for node in nodes)
    return Harm(names, f"{about} for {', '.join(names)}", seconds, lambda: _heal(nodes, to))


def _heal(nodes: list[Node], to: str) -> None:
    for node in nodes:
        node.proxies[to].heal()


def _way(scene: Scene) -> Way:
    return "request" if scene.rng.random() < 0.5 else "answer"


def _some_bytes(scene: Scene) -> int:
    return int(10 ** scene.rng.uniform(0, 5))

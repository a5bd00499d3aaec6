"""What a media process would do once a file has taken it over. Given to an interpreter as text, in its place.

Confined like the real one, it tries each thing of its list and reports what came of it, in place of warnings.
"""

import _thread
import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from clipzy_worker.sandbox.confinement import confine, follow_parent
from clipzy_worker.sandbox.request import MediaRequest

stdout = os.fdopen(os.dup(1), "w")
_LIVES_SECONDS = 5


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def connect_by_path(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)


def read(path: str) -> None:
    Path(path).read_bytes()


def listed(path: str) -> None:
    list(Path(path).iterdir())


def write(path: str) -> None:
    with Path(path).open("ab") as stream:
        stream.write(b"x")


def remove(path: str) -> None:
    Path(path).unlink()


def publish(path: str) -> None:
    Path(path).chmod(0o777)


def link(path: str) -> None:
    Path("link").symlink_to(path)


def fork(_: str) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def run(program: str) -> None:
    subprocess.run([program], check=True)


def become(program: str) -> None:
    os.execv(program, [program])


def ask_signal(pid: int) -> None:
    os.kill(pid, 0)


def trace(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, 0, 0) != 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")
    libc.ptrace(17, pid, 0, 0)


def raise_limit(_: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def outlive_parent(_: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(1, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def threads(count: int) -> None:
    # Not ``threading.Thread``: its ``start`` waits for ever for a thread that had no memory to begin.
    _thread.stack_size(64 << 10)
    for _ in range(count):
        _thread.start_new_thread(time.sleep, (_LIVES_SECONDS,))


def allocate(size_bytes: int) -> None:
    bytearray(size_bytes)


def hold(size_bytes: int) -> None:
    held = bytearray(size_bytes)
    held[::4096] = b"x" * len(held[::4096])
    signal.pause()


def fill(piece_bytes: int) -> None:
    """Files without end."""
    for count in range(1_000_000):
        Path(f"piece-{count}").write_bytes(bytes(piece_bytes))


def sleep(_: str) -> None:
    signal.pause()


def spin(_: str) -> None:
    while True:
        pass


def outcome(name: str, argument: Any) -> str:
    try:
        globals()[name](argument)
    except (OSError, MemoryError, RuntimeError, ValueError) as error:
        return f"refused: {type(error).__name__}"
    return "done"


def main() -> None:
    follow_parent(os.getppid())
    request, plan = MediaRequest.from_json(sys.stdin.read()), json.loads(sys.argv[1])
    confine(request)
    tried = [[name, argument, outcome(name, argument)] for name, argument in plan]
    source = {
        "duration_seconds": 0,
        "width": 1,
        "height": 1,
        "frame_rate": None,
        "video_codec": "",
        "audio_codec": None,
    }
    warnings = [json.dumps(each) for each in tried]
    result = {"source": source, "shots": [], "artifacts": [], "warnings": warnings, "timings": {}}
    print(json.dumps({"result": result}), file=stdout, flush=True)
    os._exit(0)


main()

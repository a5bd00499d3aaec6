"""What a media process would attempt once a file has taken it over. Passed to an interpreter as text, in its place.

Confined like the real one, it tries each attempt of its plan and writes the outcomes to ``outcomes.json``. ``argv``:
the plan and, if not all apply, the names of the sandbox layers, both as JSON.
"""

import _thread
import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from clipzy_storage.process import die_with_parent
from clipzy_worker.sandbox.confinement import LAYERS, confine
from clipzy_worker.sandbox.request import MediaRequest

_THREAD_LIFETIME_SECONDS = 5


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def connect_by_path(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def read(path: str) -> None:
    Path(path).read_bytes()


def list_directory(path: str) -> None:
    list(Path(path).iterdir())


def write(path: str) -> None:
    with Path(path).open("ab") as stream:
        stream.write(b"x")


def remove(path: str) -> None:
    Path(path).unlink()


def change_mode(path: str) -> None:
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


def execute(program: str) -> None:
    os.execv(program, [program])


def send_signal(pid: int) -> None:
    os.kill(pid, 0)


def trace(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, 0, 0) != 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")
    libc.ptrace(17, pid, 0, 0)


def call_as_32_bit(number: int) -> None:
    """Make a call by the numbers of 32-bit x86, which mean other calls than those of x86-64."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8" + number.to_bytes(4, "little") + b"\xcd\x80\xc3")  # mov eax, number; int 0x80; ret
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()


def raise_limit(_: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def outlive_parent(_: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(1, 0, 0, 0, 0) != 0:  # clears PR_SET_PDEATHSIG
        raise OSError(ctypes.get_errno(), "prctl")


def threads(count: int) -> None:
    # Not ``threading.Thread``: its ``start`` waits for ever for a thread that had no memory to begin.
    _thread.stack_size(64 << 10)
    for _ in range(count):
        _thread.start_new_thread(time.sleep, (_THREAD_LIFETIME_SECONDS,))


def allocate(size_bytes: int) -> None:
    bytearray(size_bytes)


def hold(size_bytes: int) -> None:
    held = bytearray(size_bytes)
    held[::4096] = b"x" * len(held[::4096])
    signal.pause()


def fill(file_bytes: int) -> None:
    """Writes files until it is stopped."""
    for count in range(1_000_000):
        Path(f"file-{count}").write_bytes(bytes(file_bytes))


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
    die_with_parent(os.getppid())
    request, plan = MediaRequest.from_json(sys.stdin.read()), json.loads(sys.argv[1])
    confine(request, layers=json.loads(sys.argv[2]) if len(sys.argv) > 2 else LAYERS)
    outcomes = {f"{name} {argument}": outcome(name, argument) for name, argument in plan}
    (request.out_directory / "outcomes.json").write_text(json.dumps(outcomes))
    os._exit(0)


main()

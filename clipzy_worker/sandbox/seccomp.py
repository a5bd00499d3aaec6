"""A seccomp filter: allows the system calls that a decoder needs; no sockets, no processes, no other programs.

See ``seccomp(2)``. Every other call fails with ``ENOSYS``, as on a kernel without it, which libraries can handle.
"""

import ctypes
import os
import platform
import struct
import sys
from dataclasses import dataclass

# Each with its number on x86-64 and arm64, from the kernel's unistd_64.h and asm-generic/unistd.h.
_ALLOWED = (
    # files, which Landlock restricts
    """
    read=0/63 readv=19/65 pread64=17/67 preadv=295/69 write=1/64 writev=20/66 pwrite64=18/68 pwritev=296/70
    lseek=8/62 close=3/57 close_range=436/436 dup=32/23 dup2=33/- dup3=292/24 pipe=22/- pipe2=293/59 open=2/-
    openat=257/56 stat=4/- lstat=6/- fstat=5/80 newfstatat=262/79 statx=332/291 statfs=137/43 fstatfs=138/44
    access=21/- faccessat=269/48 faccessat2=439/439 readlink=89/- readlinkat=267/78 getdents=78/- getdents64=217/61
    getcwd=79/17 mkdir=83/- mkdirat=258/34 unlink=87/- unlinkat=263/35 rmdir=84/- rename=82/- renameat=264/38
    renameat2=316/276 umask=95/166 fsync=74/82 fdatasync=75/83 ftruncate=77/46 fallocate=285/47 fadvise64=221/223
    readahead=187/213
    """
    # waiting
    """
    poll=7/- ppoll=271/73 select=23/- pselect6=270/72 epoll_create1=291/20 epoll_ctl=233/21 epoll_wait=232/-
    epoll_pwait=281/22 eventfd2=290/19 pause=34/- nanosleep=35/101 clock_nanosleep=230/115 wait4=61/260
    """
    # memory
    """
    mmap=9/222 munmap=11/215 mremap=25/216 mprotect=10/226 brk=12/214 madvise=28/233 mincore=27/232 msync=26/227
    membarrier=324/283 get_mempolicy=239/236
    """
    # threads
    """
    futex=202/98 set_robust_list=273/99 set_tid_address=218/96 rseq=334/293 sched_yield=24/124
    sched_getaffinity=204/123 sched_setaffinity=203/122 sched_getparam=143/121 sched_getscheduler=145/120
    sched_get_priority_max=146/125 sched_get_priority_min=147/126 getcpu=309/168 arch_prctl=158/- exit=60/93
    exit_group=231/94
    """
    # signals to itself
    """
    rt_sigaction=13/134 rt_sigprocmask=14/135 rt_sigreturn=15/139 sigaltstack=131/132 restart_syscall=219/128
    """
    # information about itself, the machine and the time
    """
    gettid=186/178 getpid=39/172 getppid=110/173 getpgid=121/155 getpgrp=111/- getsid=124/156 getuid=102/174
    geteuid=107/175 getgid=104/176 getegid=108/177 getresuid=118/148 getresgid=120/150 getrlimit=97/163
    getrusage=98/165 getpriority=140/141 uname=63/160 sysinfo=99/179 time=201/- gettimeofday=96/169
    clock_gettime=228/113 clock_getres=229/114 getrandom=318/278
    """
)

_CLONE_THREAD = 0x00010000
_F_GETTERS_AND_FLAGS, _F_DUPFD_CLOEXEC = (0, 1, 2, 3, 4), 1030
# What Python calls on every file that it opens.
_TCGETS, _FIONCLEX, _FIOCLEX = 0x5401, 0x5450, 0x5451
_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA = 15, 16, 0x53564D41

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_KILL_PROCESS, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_ENOSYS = 38  # of Linux, also if this module is imported on another system
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT, _ARGUMENT_BYTES = 0, 4, 16, 8
_INSTRUCTION_BYTES = 8

_SET_MODE_FILTER = 1
# Without it kernels before 5.16 turn speculation off for the whole process, which slows it down.
_SPECULATION_ALLOWED = 1 << 2


@dataclass(frozen=True)
class Architecture:
    """``column`` is its index in the tables of numbers."""

    audit_number: int
    column: int


ARCHITECTURES = {"x86_64": Architecture(0xC000003E, 0), "aarch64": Architecture(0xC00000B7, 1)}
_SECCOMP_NUMBERS = (317, 277)


@dataclass(frozen=True)
class _Restriction:
    """A call that is allowed only if an argument has one of these values, or ``bit`` set."""

    numbers: tuple[int, int]
    argument: int
    values: tuple[int, ...] = ()
    bit: int = 0


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def install() -> None:
    """Filter the calls of this process and of every thread that it starts from now on. Needs ``no_new_privs``.

    Raises:
        OSError: the kernel has no filters, or this module has none for the architecture; nothing has changed.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if sys.platform != "linux" or architecture is None:
        raise OSError(f"no filter is known for {sys.platform} on {platform.machine()}")
    code = program(architecture, pid=os.getpid())
    instructions = ctypes.create_string_buffer(code, len(code))
    loaded = _Program(len(code) // _INSTRUCTION_BYTES, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    number = ctypes.c_long(_SECCOMP_NUMBERS[architecture.column])
    flags = ctypes.c_long(_SPECULATION_ALLOWED)
    if libc.syscall(number, ctypes.c_long(_SET_MODE_FILTER), flags, ctypes.byref(loaded)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def program(architecture: Architecture, *, pid: int) -> bytes:
    """The filter as the kernel reads it, for the process ``pid``."""
    refuse = _instruction(_RETURN, _ERRNO | _ENOSYS)
    code = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        _instruction(_JUMP_IF_EQUAL, architecture.audit_number, if_true=1),
        _instruction(_RETURN, _KILL_PROCESS),  # another architecture has other numbers
        _instruction(_LOAD, _NUMBER_AT),
    ]
    for number in named_numbers(architecture).values():
        code += _if_number_is(number, [_instruction(_RETURN, _ALLOW)])
    for restriction in _restrictions(pid):
        code += _if_number_is(restriction.numbers[architecture.column], [*_tests(restriction), refuse])
    return b"".join([*code, refuse])


def named_numbers(architecture: Architecture) -> dict[str, int]:
    """The calls that are allowed with any argument on this architecture, by name."""
    pairs = (entry.split("=") for entry in _ALLOWED.split())
    numbers = {name: columns.split("/")[architecture.column] for name, columns in pairs}
    return {name: int(number) for name, number in numbers.items() if number != "-"}


def _restrictions(pid: int) -> tuple[_Restriction, ...]:
    return (
        _Restriction((56, 220), 0, bit=_CLONE_THREAD),  # clone: threads, no processes; clone3 falls back to it
        _Restriction((72, 25), 1, (*_F_GETTERS_AND_FLAGS, _F_DUPFD_CLOEXEC)),  # fcntl
        _Restriction((16, 29), 1, (_TCGETS, _FIONCLEX, _FIOCLEX)),  # ioctl
        _Restriction((157, 167), 0, (_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA)),  # prctl
        _Restriction((302, 261), 0, (0, pid)),  # prlimit64
        _Restriction((62, 129), 0, (pid,)),  # kill
        _Restriction((234, 131), 0, (pid,)),  # tgkill
    )


def _tests(restriction: _Restriction) -> list[bytes]:
    tests = [_instruction(_LOAD, _ARGUMENTS_AT + _ARGUMENT_BYTES * restriction.argument)]  # its lower half
    for value in restriction.values:
        tests += [_instruction(_JUMP_IF_EQUAL, value, if_false=1), _instruction(_RETURN, _ALLOW)]
    if restriction.bit:
        tests += [_instruction(_JUMP_IF_SET, restriction.bit, if_false=1), _instruction(_RETURN, _ALLOW)]
    return tests


def _if_number_is(number: int, block: list[bytes]) -> list[bytes]:
    return [_instruction(_JUMP_IF_EQUAL, number, if_false=len(block)), *block]


def _instruction(code: int, value: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)

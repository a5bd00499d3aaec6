"""A machine that gives out no namespaces, as many containers do not."""

from tests.support.mount_namespaces import need_users

_SCRIPT = (
    'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-sys_admin --inh-caps=-all "$0" "$@"'
)


def without_namespaces() -> tuple[str, ...]:
    """What a command is put behind. Ends the test where this user cannot make such a place."""
    need_users()
    return ("unshare", "--user", "--map-root-user", "sh", "-c", _SCRIPT)

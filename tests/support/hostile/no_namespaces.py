"""A machine without namespaces, as many containers are."""

from tests.support.mount_namespaces import need_users

_SCRIPT = (
    'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-sys_admin --inh-caps=-all "$0" "$@"'
)


def without_namespaces() -> tuple[str, ...]:
    """The prefix that runs a command without namespaces. Ends the test if this user cannot do that."""
    need_users()
    return ("unshare", "--user", "--map-root-user", "sh", "-c", _SCRIPT)

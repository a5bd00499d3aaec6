#!/bin/sh
# Becomes the Redis of a deployment: durable, without eviction, with a password.
# The container and the tests start it with this script.
set -eu

case "${REDIS_PASSWORD:-}" in
'' | *[!A-Za-z0-9._~-]*)
    echo "REDIS_PASSWORD is missing or wrong. Set it to letters, digits and . _ ~ - only: it becomes part of a URL." >&2
    exit 78
    ;;
esac

case "${REDIS_MAXMEMORY:-512mb}" in
*[!0-9a-z]* | [!1-9]*)
    echo "REDIS_MAXMEMORY=$REDIS_MAXMEMORY is wrong. Set it to a size such as 512mb or 2gb." >&2
    exit 78
    ;;
esac

# The configuration is passed on standard input, so that no command line shows the password.
exec valkey-server - <<END
port ${REDIS_PORT:-6379}
dir ${REDIS_DATA_DIR:-/data}
requirepass $REDIS_PASSWORD
appendonly yes
appendfsync everysec
maxmemory ${REDIS_MAXMEMORY:-512mb}
maxmemory-policy noeviction
END

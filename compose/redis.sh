#!/bin/sh
# Becomes the Redis of a deployment: it keeps what it was told, drops nothing for want of room, and wants a password.
# The container and the tests start it by this same file.
set -eu

case "${REDIS_PASSWORD:-}" in
'' | *[!A-Za-z0-9._~-]*)
    echo "REDIS_PASSWORD is missing or wrong. Set it to letters, digits and . _ ~ - alone: it becomes part of a URL." >&2
    exit 78
    ;;
esac

# By standard input, so that the password is on no command line.
exec valkey-server - <<END
port ${REDIS_PORT:-6379}
dir ${REDIS_DATA_DIR:-/data}
requirepass $REDIS_PASSWORD
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
END

#!/bin/sh
# Renders nginx.conf.template from the environment and becomes nginx; arguments are nginx's (`-t` only checks).
# The container and the tests start nginx with this script.
set -eu

max_file_size_mb="${MAX_FILE_SIZE_MB:-2000}"
case "$max_file_size_mb" in
'' | 0* | *[!0-9]*)
    echo "MAX_FILE_SIZE_MB=$max_file_size_mb is wrong. Set it to a whole number of MiB from 1 to 1000000." >&2
    exit 78
    ;;
esac

export NGINX_MAX_FILE_SIZE_MB="$max_file_size_mb"
export NGINX_MAX_BODY_MIB="$((max_file_size_mb + 1))"
export NGINX_BODIES_PER_CLIENT="${NGINX_BODIES_PER_CLIENT:-16}"
export NGINX_DOWNLOADS_PER_CLIENT="${NGINX_DOWNLOADS_PER_CLIENT:-8}"
export NGINX_EVENT_STREAMS_PER_CLIENT="${NGINX_EVENT_STREAMS_PER_CLIENT:-32}"
export NGINX_POSTS_PER_SECOND="${NGINX_POSTS_PER_SECOND:-20}"
export NGINX_POSTS_BURST="${NGINX_POSTS_BURST:-100}"
export NGINX_LISTEN="${NGINX_LISTEN:-8080}"
export NGINX_UPSTREAM="${NGINX_UPSTREAM:-web:8000}"
export NGINX_RESOLVER="${NGINX_RESOLVER:-127.0.0.11}" # Docker's
export NGINX_STATE_DIR="${NGINX_STATE_DIR:-/tmp/nginx}"
export NGINX_ACCESS_LOG="${NGINX_ACCESS_LOG:-/dev/stdout}"

mkdir -p "$NGINX_STATE_DIR"
# Named one by one, since nginx has variables of its own with a dollar.
# shellcheck disable=SC2016
envsubst '$NGINX_MAX_FILE_SIZE_MB $NGINX_MAX_BODY_MIB $NGINX_BODIES_PER_CLIENT $NGINX_DOWNLOADS_PER_CLIENT
    $NGINX_EVENT_STREAMS_PER_CLIENT $NGINX_POSTS_PER_SECOND $NGINX_POSTS_BURST $NGINX_LISTEN $NGINX_UPSTREAM
    $NGINX_RESOLVER $NGINX_STATE_DIR $NGINX_ACCESS_LOG' \
    <"$(dirname "$0")/nginx.conf.template" >"$NGINX_STATE_DIR/nginx.conf"

exec nginx -e stderr -c "$NGINX_STATE_DIR/nginx.conf" "$@"

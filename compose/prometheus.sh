#!/bin/sh
# Renders prometheus.yml.template from the environment and becomes Prometheus.
# The container and the tests start it with this script.
set -eu

directory=$(cd "$(dirname "$0")" && pwd)
state_dir="${PROMETHEUS_STATE_DIR:-/tmp/prometheus}"

case "${METRICS_API_KEY:-}" in
*[!A-Za-z0-9_]*)
    echo "METRICS_API_KEY is wrong. Set it to a key as \`clipzy keys create prometheus --scopes metrics\` prints it." >&2
    exit 78
    ;;
esac

mkdir -p "$state_dir"
(umask 077 && printf '%s' "${METRICS_API_KEY:-}" >"$state_dir/key")
sed -e "s|@INTERVAL@|${PROMETHEUS_INTERVAL:-15s}|" -e "s|@TARGET@|${PROMETHEUS_TARGET:-web:8000}|" \
    -e "s|@DIRECTORY@|$directory|" -e "s|@STATE_DIR@|$state_dir|" \
    <"$directory/prometheus.yml.template" >"$state_dir/prometheus.yml"

exec "${PROMETHEUS_PROGRAM:-/bin/prometheus}" --config.file="$state_dir/prometheus.yml" \
    --storage.tsdb.path="${PROMETHEUS_DATA_DIR:-/prometheus}" --storage.tsdb.retention.time="${PROMETHEUS_RETENTION:-30d}" \
    --web.listen-address="${PROMETHEUS_LISTEN:-0.0.0.0:9090}"

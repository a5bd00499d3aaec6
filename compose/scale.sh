#!/bin/sh
# Starts and stops workers of a running compose stack by the age of the oldest waiting job; see docs/scaling.md.
# With --once it looks once and exits.
set -eu

min="${MIN_WORKERS:-1}" max="${MAX_WORKERS:-4}"
grow_after="${GROW_AFTER_SECONDS:-60}" interval="${SCALE_INTERVAL_SECONDS:-30}"

for value in "$min" "$max" "$grow_after" "$interval"; do
    case "$value" in
    '' | *[!0-9]*)
        echo "MIN_WORKERS, MAX_WORKERS, GROW_AFTER_SECONDS and SCALE_INTERVAL_SECONDS are whole numbers, not '$value'." >&2
        exit 78
        ;;
    esac
done

read_metrics() { # in the container of a front end, which need not be reachable from here
    docker compose exec -T -e METRICS_API_KEY="${METRICS_API_KEY:-}" web python -c '
import os, urllib.request
request = urllib.request.Request(os.environ.get("METRICS_URL", "http://127.0.0.1:8000/metrics"))
request.add_header("Authorization", "Bearer " + os.environ["METRICS_API_KEY"])
print(urllib.request.urlopen(request, timeout=10).read().decode())'
}

wanted() { # METRICS WORKERS: half as many again while jobs wait for too long, one less while a slot is free and none waits
    echo "$1" | awk -v now="$2" -v min="$min" -v max="$max" -v grow_after="$grow_after" '
        /^clipzy_queue_oldest_seconds/ && $2 > oldest { oldest = $2 }
        /^clipzy_queue_jobs/ { waiting += $2 }
        /^clipzy_worker_slots{state="free"}/ { free = $2 }
        END {
            want = now
            if (oldest > grow_after) want = now + (now > 1 ? int(now / 2) : 1)
            else if (waiting == 0 && free > 0) want = now - 1
            if (want < min) want = min
            if (want > max) want = max
            print want
        }'
}

while :; do
    if ! metrics=$(read_metrics); then
        echo "No front end answers; the workers stay as they are." >&2
    elif ! running=$(docker compose ps --quiet worker); then
        echo "Docker does not tell how many workers run; they stay as they are." >&2
    else
        workers=$(echo "$running" | grep -c . || true)
        want=$(wanted "$metrics" "$workers")
        if [ "$want" -ne "$workers" ]; then
            echo "$workers workers, $want wanted"
            docker compose up --detach --no-recreate --scale worker="$want" worker ||
                echo "Docker could not start or stop workers." >&2
        fi
    fi
    [ "${1:-}" != --once ] || exit 0
    sleep "$interval"
done

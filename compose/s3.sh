#!/bin/sh
# Becomes an S3 server (SeaweedFS) with one account, the one that front end and workers use.
set -eu

# Without an account SeaweedFS would be open to every client.
if [ -z "${AWS_ACCESS_KEY_ID:-}" ] || [ -z "${AWS_SECRET_ACCESS_KEY:-}" ]; then
    echo "AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is missing. Set both; docs/deploy.md says how." >&2
    exit 78
fi

# The entrypoint of the image drops root. Only S3 listens on an address that others can reach.
exec /entrypoint.sh server -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.volumePreallocate=false \
    -s3 -s3.ip.bind=0.0.0.0 -s3.port=8333

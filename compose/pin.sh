#!/bin/sh
# `make pin`: writes the digest that every image has in its registry now next to its version, in compose.yaml and in the
# Dockerfile. Changes nothing unless all are known.
set -eu
cd "$(dirname "$0")"

fail() {
    echo "make pin: $1" >&2
    exit 1
}

command -v docker >/dev/null || fail "docker is needed to ask the registries. Install it with its buildx plugin."

images=$(
    {
        sed -nE 's/^ *image: ([^ @]+).*/\1/p' compose.yaml
        sed -nE 's/^FROM ([^ @]+:[^ @]+).*/\1/p' Dockerfile
    } | sort -u
)
edits=""
for image in $images; do
    digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image" 2>/dev/null) || digest=""
    case "$digest" in
    sha256:????????????????????????????????????????????????????????????????) ;;
    *) fail "the registry of $image did not answer with its digest. Nothing was changed; is it reachable from here?" ;;
    esac
    edits="$edits;s#((image:|FROM) +$image)(@sha256:[0-9a-f]+)?( |\$)#\\1@$digest\\4#"
done
for file in compose.yaml Dockerfile; do
    sed -E "${edits#;}" "$file" >"$file.pinned"
    cat "$file.pinned" >"$file"
    rm "$file.pinned"
done
echo "$images" | sed 's/^/pinned: /'

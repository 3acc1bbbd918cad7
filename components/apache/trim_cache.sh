#!/bin/sh
# Keeps Apache's cache within LIMIT, the oldest first: trim_cache.sh DIRECTORY LIMIT SECONDS
#
# The cache belongs to the user that Apache works as, and root in a pod has no right to pass over that: it becomes that
# user. Without htcacheclean the cache is bounded by its file system only.
set -u

main() {
    command -v htcacheclean >/dev/null || {
        echo 'trim_cache.sh: there is no htcacheclean in this image: nothing is kept once the cache is full' >&2
        exec sleep infinity # Apache would start anew what ends
    }
    while sleep "$3"; do
        trim "$1" "$2"
    done
}

trim() {
    for entry in "$1"/*; do
        [ -d "$entry" ] || continue
        owner=$(stat -c %u "$entry") group=$(stat -c %g "$entry")
        set -- htcacheclean -n -t -p "$1" -l "$2"
        [ "$(id -u)" = "$owner" ] || set -- setpriv --reuid "$owner" --regid "$group" --clear-groups "$@"
        "$@"
        return
    done
}

main "$@" </dev/null

#!/bin/sh
# Asks one Gluster server after the other, until one answers, which clients a volume has. Changes nothing. Runs as root.
#
#   VOLUME SERVER...
#
# glusterd answers this to anyone who reaches it, peer or not. It takes a lock that is the whole cluster's: ask once, not
# from every minion.
#
# Success: exit 0 and the XML that the gluster command printed, which may say that it was refused. Failure: exit 1 and a
# line on stderr that says why the last one gave none.

set -u
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

ANSWER_SECONDS=10 # for one server
ALL_SECONDS=30    # until no further one is asked

ask() { # SERVER VOLUME
    # Its log is /var/log/glusterfs/cli.log otherwise, and a check must not write there.
    said=$(timeout -k 2 "$ANSWER_SECONDS" gluster --mode=script --remote-host="$1" --log-file=/dev/null \
        volume status "$2" clients --xml 2>&1)
    case $? in
        124 | 137) reason="no answer within $ANSWER_SECONDS s" ;;
        *) reason=$(printf '%s\n' "$said" | head -n 1) ;;
    esac
    case $said in *'<?xml '*'</cliOutput>'*) ;; *) return 1 ;; esac
    # Without what it may have complained of around it.
    said="<?xml ${said#*<?xml }"
    printf '%s</cliOutput>\n' "${said%</cliOutput>*}"
}

main() { # VOLUME SERVER...
    volume=$1 reason='no server is recorded'
    shift
    begun=$(date +%s)
    for server; do
        [ "$(($(date +%s) - begun))" -lt "$ALL_SECONDS" ] || break
        ask "$server" "$volume" && exit 0
        reason="$server: ${reason:-no answer}"
    done
    printf '%s\n' "$reason" >&2
    exit 1
}

main "$@" </dev/null

#!/bin/sh
# A directory on the volume that the pods write to.
#
#   shared_directory.sh PUBLISH VERB MINION MOUNT VOLUME NAME [ARG...]
#
# PUBLISH is the text of publish.sh, whose functions check the mount here too. The directory is MOUNT/NAME.
#
#   make UID GID MODE    makes it, or has the one that is there belong to UID and GID with MODE; what is in it stays
#   remove               deletes it with all that is in it
#
# Success: exit 0 and one line of JSON. Failure: exit 1 and one line on stderr, as publish.sh's.
# shellcheck disable=SC2034,SC2154 # what seems unused or never set is of publish.sh's functions
set -eu
eval "${1%main*}"
shift

enter_directory() { # into the mount; what is called so there must be ours to touch
    enter_mount
    [ ! -L "$site" ] || fail "$mount/$site is a symbolic link" "give the shared directory another name"
    if [ -L "$site/html" ] || [ -d "$site/slots" ]; then
        fail "$mount/$site is a published site" "give the shared directory another name"
    fi
    [ ! -e "$site" ] || [ -d "$site" ] || fail "$mount/$site is not a directory" "move it away, or choose another name"
}

make() { # UID GID MODE
    case $1$2 in '' | *[!0-9]*) fail "'$1:$2' are not the numbers of an owner and a group" "this is a mistake of the caller" ;; esac
    case $3 in '' | *[!0-7]*) fail "'$3' is not a mode" "this is a mistake of the caller" ;; esac
    enter_directory
    made=false
    if [ ! -e "$site" ]; then
        # It gets its name last, so that no pod ever finds it with another owner.
        [ -d "./.$site.new" ] || mkdir -m 700 -- "./.$site.new"
        belong "./.$site.new" "$1:$2" "$3"
        mv -T -- "./.$site.new" "./$site"
        made=true
    fi
    belong "./$site" "$1:$2" "$3"
    printf '{"directory": "%s", "made": %s}\n' "$site" "$made"
}

belong() { # PATH OWNER MODE: nothing is written where nothing differs, and a failure gives the owner back
    before=$(stat -c %u:%g -- "$1")
    [ "$before" = "$2" ] || chown -- "$2" "$1"
    [ "$(printf '%04d' "$(stat -c %a -- "$1")")" = "$(printf '%04d' "${3#0}")" ] || chmod -- "$3" "$1" || {
        chown -- "$before" "$1"
        fail "the mode of $mount/$site cannot be changed to $3" "see that the volume is not read-only and has its quorum"
    }
}

remove() {
    enter_directory
    removed=false
    if [ -d "$site" ]; then
        mv -T -- "./$site" "./.$site.removed.$$"
        removed=true
    fi
    # Also what a removal that was cut off has left.
    for found in ".$site.removed."*; do
        [ ! -d "$found" ] || rm -rf --one-file-system -- "./$found"
    done
    printf '{"directory": "%s", "removed": %s}\n' "$site" "$removed"
}

main() {
    verb=$1
    minion=$2
    mount=$3
    volume=$4
    site=$5
    shift 5
    trap 'unexpected $?' EXIT
    case $site in '' | .* | */*) fail "'$site' is not a directory name" "correct shared.name" ;; esac
    case $verb in
        make | remove) "$verb" "$@" </dev/null ;;
        *) fail "'$verb' is not a verb of shared_directory.sh" "this is a mistake of the caller" ;;
    esac
}

main "$@"

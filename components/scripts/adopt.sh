#!/bin/sh
# Takes over a site directory that no publish made: moves what it serves into a slot, and a link into its place.
#
#   adopt.sh PUBLISH VERB MINION MOUNT VOLUME SITE DOCROOT [ARG...]
#
# PUBLISH is the text of publish.sh, whose functions are used here: mount, lock and release log are the same. DOCROOT
# says what is served now: `html`, the directory MOUNT/SITE/html, `site`, MOUNT/SITE itself, or `auto`, whichever it is.
#
#   survey                       one line of JSON: what there is to adopt (`html`, `site`, or `cut` off before)
#   list                         every entry of it, three records ended by NUL: `TYPE MODE SIZE MTIME PATH`, and of a
#                                link its target
#   leaving                      the relative links that lead out of it, ended by NUL
#   digests                      stdin: paths, NUL-terminated; gives `SHA256  PATH\0` for each that can be read
#   hold TOKEN HOLDER SECONDS    as publish.sh's
#   take TOKEN RELEASE NOTE      stdin: the manifest; moves it into a slot, which is live then; gives the log's line, and
#                                for how long at most it was not there
#   finish TOKEN                 ends what a `take` that was cut off began; gives the log's line
#
# Atomically a directory cannot be replaced by a link: rename(2) does not, and GlusterFS refuses RENAME_EXCHANGE with
# EINVAL (gluster/glusterfs issue 3907). So there are two renames, in a process that nobody ends on purpose.
#
# `html`: SITE gets slots/ beside html/; html/ moves to slots/a, then the link to it takes its place.
# `site`: .SITE.adopting is made beside SITE, complete but for slots/a; SITE moves there, then it becomes SITE. Whoever
# holds the old SITE open, as a running pod does, goes on with it, however it is called.
# shellcheck disable=SC2034,SC2154 # what seems unused or never set is of publish.sh's functions
set -eu
eval "${1%main*}"
shift

survey_site() { # sets $what and, seen from the mount, $root (what is served) and $work (what is or will be the site)
    enter_mount
    [ ! -L "$site" ] || fail "$mount/$site is a symbolic link" "give content.site the name of a directory"
    work=$site root=$site/html what=html
    if [ -d "$site/html" ] && [ ! -L "$site/html" ]; then
        beside=$(find "./$site" -mindepth 1 -maxdepth 1 -type f | head -n 1)
        case $asked:$beside in
            site:*) what=site ;;
            auto:?*) fail "$mount/$site has a directory html and files beside it (${beside##*/})" \
                "say which of the two is served: run it with --docroot html or --docroot site" ;;
        esac
    elif [ ! -e "$site" ]; then
        [ -d ".$site.adopting/slots/a" ] || nothing "$mount/$site does not exist"
        what='cut'
    elif [ ! -d "$site" ]; then
        fail "$mount/$site is not a directory" "move it away, then publish"
    elif [ -L "$site/html" ]; then
        case $(readlink "$site/html") in
            slots/[abc]) nothing "$mount/$site/html is the publisher's" ;;
            *) fail "$mount/$site/html is a link" "put the directory that it leads to in its place, then run again" ;;
        esac
    elif [ -e "$site/slots/lock" ]; then
        case $(readlink "$site/.html.new") in
            slots/[abc]) what='cut' ;;
            *) nothing "$mount/$site is the publisher's" ;;
        esac
    else
        what=site
    fi
    case $asked:$what in
        html:site) fail "$mount/$site/html is not a directory" "say --docroot site, or what is served now" ;;
        *:site) work=.$site.adopting root=$site ;;
    esac
    [ -e "$site" ] || work=.$site.adopting
    [ "$what" = cut ] || [ -n "$(find "./$root" -mindepth 1 -print -quit)" ] || nothing "$mount/$root is empty"
}

nothing() { # WHY
    fail "$1: there is nothing to adopt" "publish (pulumi up)"
}

to_adopt() { # for the verbs that read: go there
    survey_site
    [ "$what" != cut ] || fail "the adoption of $mount/$site was cut off" "run it again to finish it"
    cd -- "./$root"
}

survey() {
    survey_site
    printf '{"what": "%s"}\n' "$what"
}

list() {
    to_adopt
    find . -mindepth 1 -printf '%y %m %s %T@ %P\0%l\0'
}

leaving() {
    to_adopt
    # shellcheck disable=SC2016 # the inner shell's own parameters
    find . -type l ! -lname '/*' -print0 | xargs -0 -r sh -c 'root=$(pwd -P)
        for path do
            case $(realpath -m -- "$path") in "$root" | "$root"/*) ;; *) printf "%s\0" "$path" ;; esac
        done' leaving
}

digests() {
    to_adopt
    xargs -0 sha256sum -z -- || :
}

hold() { # TOKEN HOLDER SECONDS
    survey_site
    [ -d "$work" ] || mkdir -- "$work" 2>/dev/null || [ -d "$work" ]
    cd -- "./$work"
    keep_lock "$@" tell_held
    if [ "$what" = site ] && [ -e "../$site/" ] && [ ! "../$site" -ef . ]; then
        # Nothing was taken. Only what is ours goes, and what holds more than that stays.
        find slots -mindepth 1 -maxdepth 1 ! -type d -exec rm -f {} +
        rm -f html
        rmdir slots && rmdir "../$work" || :
    fi
}

tell_held() {
    echo '{"held": true}'
}

take() { # TOKEN RELEASE NOTE
    survey_site
    [ "$what" != cut ] || fail "the adoption of $mount/$site was cut off" "run it again to finish it"
    cd -- "./$work"
    be_writer "$1"
    live='' into=''
    for slot in a b c; do
        [ -L "slots/$slot" ] || [ ! -d "slots/$slot" ] || continue
        into=$slot
        break
    done
    [ -n "$into" ] || fail "$mount/$site has three slots and a directory html" "move html away, then publish"
    rm -f "slots/$into" # a link that a `take` before this one has left
    case $what in html) from=html seen=../html ;; *) from=../$site seen=../../$site ;; esac
    ln -s "$seen" "slots/$into" # until it is there itself
    cat >"slots/$into.manifest"
    [ "$(sha256sum <"slots/$into.manifest" | cut -c1-12)" = "$2" ] ||
        fail "the manifest of release $2 did not arrive whole" "see that the volume has space, then run again"
    rm -rf "$from/glusterfarm-release" "$from/glusterfarm-pod"
    printf '%s\n' "$2" >"$from/glusterfarm-release"
    ln -s /etc/glusterfarm/pod/name "$from/glusterfarm-pod"
    printf -- '- %s\n' "$(date +%s)" >"slots/$into.before"
    : >"slots/$into.adopted"
    record "$into" "$3"
    rm -f .html.new "slots/$into"
    case $what in
        html) link=.html.new first=html second=.html.new place=html ;;
        *) link=html first=../$site second=../$work place=../$site ;;
    esac
    ln -s "slots/$into" "$link"
    still_ours "$1"
    # Without the writers' lock, for which a deployer that is gone would have it killed.
    (
        trap '' HUP INT TERM
        exec 8>&-
        began=$(date +%s%N)
        mv -T -- "$first" "slots/$into" || exit
        mv -T -- "$second" "$place" || {
            mv -T -- "slots/$into" "$first"
            exit 1
        }
        printf '{"gap": %s}\n' "$((($(date +%s%N) - began) / 1000000 + 1))"
    ) || fail "cannot move $mount/$root into a slot" "see what mv says; what was served is served"
    recorded
}

finish() { # TOKEN
    survey_site
    if [ "$what" = cut ]; then
        cd -- "./$work"
        be_writer "$1"
        if [ "$work" = "$site" ]; then mv -fT .html.new html; else mv -T "../$work" "../$site"; fi
        find_live
        find_log
        tail -n 1 "$log"
    fi
}

main() {
    verb=$1
    minion=$2
    mount=$3
    volume=$4
    site=$5
    asked=$6
    shift 6
    trap 'unexpected $?' EXIT
    case $site in '' | . | .. | */*) fail "'$site' is not a directory name" "correct content.site" ;; esac
    case $asked in auto | html | site) ;; *) fail "'$asked' is not a docroot" "this is a mistake of the caller" ;; esac
    case $verb in
        survey | list | leaving | finish) "$verb" "$@" </dev/null ;;
        digests | hold | take) "$verb" "$@" ;;
        *) fail "'$verb' is not a verb of adopt.sh" "this is a mistake of the caller" ;;
    esac
}

main "$@"

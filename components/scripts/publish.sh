#!/bin/sh
# The minion's half of publishing a site to a Gluster volume.
#
#   publish.sh VERB MINION MOUNT VOLUME SITE [ARG...]
#
# The site is MOUNT/SITE: `html` is a relative link to the live slot, `slots/a|b|c` are the slots. Beside a slot lie
# `SLOT.manifest` (only while the slot holds exactly what it says) and `SLOT.before` (which slot was live before this
# one, the second at which this one went live, and, where that was undone, the second of that). So one rename of `html`
# changes both what is live and what is the previous release. `slots/releases.log` has a line of JSON for each such flip.
#
#   state                          one line of JSON: live, previous, what each slot holds, whether the site is ours
#   glance                         the same, but it trusts what each slot says it holds: quick, and not a proof
#   log                            the release log, the oldest line first
#   manifest SLOT                  the slot's manifest
#   live                           one line of JSON: what this minion sees through `html`
#   digests SLOT                   stdin: paths, NUL-terminated; gives `SHA256  PATH\0` for each that can be read
#   link_digests SLOT              the same for symbolic links: the digest of the target's text
#   paths SLOT                     what is in the slot but directories, each as `TYPE PATH\0` with find's letter for it
#   hold TOKEN HOLDER SECONDS      takes the lock, says the `state`, keeps it until stdin ends or gives no line for SECONDS
#   begin TOKEN SLOT fresh|delta   stdin: paths to remove, NUL-terminated; marks the slot incomplete first
#   extract TOKEN SLOT             stdin: a tar stream; several may run side by side
#   commit TOKEN SLOT RELEASE      stdin: the manifest; the slot then holds the release
#   flip TOKEN SLOT RELEASE NOTE   makes the slot live and retires what was live to previous; gives the log's line
#   release TOKEN SLOT RELEASE NOTE  stdin: the manifest; `commit`, then `flip`
#   unflip TOKEN SLOT|- NOTE       points `html` back (-: removes it), as if the flip had not been; gives the log's line,
#                                  or nothing when it had not been
#   distrust TOKEN SLOT            what is in the slot is not a whole release from now on
#   remove TOKEN RELEASE           deletes slots and link, only while RELEASE is live, or ends a removal that was cut off
#
# NOTE is an object of JSON on one line: what the log is to say besides what is known here.
# The verbs that say "stdin" take data there; a list that is cut short harms nothing, because the slot is incomplete.
# On success exit 0. On failure exit 1 and one line on stderr: what is wrong, on which minion, what to do.
set -eu
umask 022 # with tar's --no-same-permissions this makes every mode 644 or 755 without a chmod per file
export LC_ALL=C

PROBE_SECONDS=10 # how long a mount may take to answer at all
HANDOVER_SECONDS=3 # how long a deployment that is over may take to let go of the lock
ENDING_SECONDS=30 # how long the writers of a deployment that was cut off may take to end
STALE_SECONDS=1.1 # how long a mount may answer from what it knows of names and attributes (FUSE: 1 s by default), and a bit
LOG_LINES=200 # the log keeps at most this many
BUSY=75
known='' # SLOT RELEASE: a slot that was seen to hold its release whole

fail() { # WHAT REMEDY
    trap - EXIT
    printf 'minion %s: %s; %s\n' "$minion" "$1" "$2" | tr '\n' ' ' >&2
    echo >&2
    exit 1
}

unexpected() { # whatever was not foreseen: the command that failed has already said why
    [ "$1" -eq 0 ] || fail "$verb of $mount/$site failed" "see that the volume is writable and has space, then run again"
}

# --- The mount ---

find_mount() { # sets $device: the number of the volume's mount at $mount as `stat -c %d` gives it, '' for none
    wanted=$mount
    case $mount in
        *[\\\ \	]*) wanted=$(printf '%s' "$mount" | sed 's/\\/\\134/g; s/ /\\040/g; s/	/\\011/g') ;;
    esac
    # The topmost, and by awk: a node that runs pods has a hundred mounts, and a shell reads them byte by byte. This
    # shell's own table, not that of awk, which may be another where somebody bound one over it.
    line=$(wanted=$wanted awk '$5 == ENVIRON["wanted"] { last = $0 } END { print last }' "/proc/$$/mountinfo")
    device='' other=''
    case $line in
        *" - fuse.glusterfs "*":$volume "* | *" - fuse.glusterfs "*":/$volume "*) device=${line#* * } device=${device%% *} ;;
        *' - fuse.glusterfs '*) other="${line##* - fuse.glusterfs }" ;;
    esac
    [ -z "$device" ] || device=$((((${device#*:} & ~255) << 12) | (${device%:*} << 8) | (${device#*:} & 255)))
}

enter_mount() {
    find_mount
    [ -z "$other" ] || fail "at $mount another volume is mounted than $volume (${other%% *})" \
        "let pulumi up mount it, then run again"
    [ -n "$device" ] || fail "no Gluster volume is mounted at $mount" "mount it (pulumi up does), then run again"
    # A probe of a dead mount comes back only like this: killed, and with no pipe that waits for it.
    timeout -s KILL "$PROBE_SECONDS" stat -- "$mount" >/dev/null 2>&1 ||
        fail "the Gluster mount at $mount does not answer" "repair the mount or the volume, then run again"
    # From here on paths are relative: should the mount go away they fail, they do not reach the bare mountpoint.
    cd -- "$mount"
    [ "$(stat -c %d .)" = "$device" ] ||
        fail "$mount changed under our hands" "see that nothing remounts it, then run again"
}

# --- The site ---

enter_site() {
    enter_mount
    # A client that read a directory in the second in which another client replaced it keeps reading the old one (GlusterFS
    # 10.3 with md-cache and upcalls: for minutes). Listing the parent ends that.
    ls -f . >/dev/null
    [ ! -L "$site" ] || fail "$mount/$site is a symbolic link" "give content.site the name of a directory"
    [ -d "$site" ] || fail "directory $mount/$site does not exist" "publish the site first"
    cd -- "./$site"
    find_live
    [ ! -L slots ] || fail "$mount/$site/slots is a symbolic link" "move it away; the publisher makes a directory"
    [ -d slots ] || for found in * .[!.]*; do
        case $found in slots.removed.*) continue ;; esac # by a `remove` that was cut off
        [ -e "$found" ] || [ -L "$found" ] || continue
        # Asked again: a publish through another minion may just have begun, and it makes slots first.
        if [ -d slots ]; then break; else foreign; fi
    done
}

foreign() {
    fail "$mount/$site holds files that no publish put there" \
        "take them over with \`python -m ops adopt\`, move them away or choose another content.site"
}

find_live() { # sets $live to the live slot, '' for none, and $previous to the slot that was live before it
    live=
    previous=
    if [ -L html ]; then
        live=$(readlink html)
        case $live in slots/[abc]) live=${live#slots/} ;; *) foreign ;; esac
        if [ -f "slots/$live.before" ]; then
            read -r previous _ <"slots/$live.before" || previous=
            case $previous in [abc]) ;; *) previous= ;; esac
        fi
    elif [ -e html ] && [ ! -L html ]; then # since: the first flip may just have been
        foreign
    fi
}

release_of() { # SLOT: the release that the slot holds whole, '' when it is absent or incomplete
    if [ -f "slots/$1.manifest" ] && [ -d "slots/$1" ]; then
        release=$(sha256sum <"slots/$1.manifest" | cut -c1-12)
        [ "$(cat "slots/$1/glusterfarm-release" 2>/dev/null)" != "$release" ] || printf '%s' "$release"
    fi
}

holds() { # SLOT RELEASE: whether the slot holds it whole; checked once, because nobody else writes while we hold the lock
    [ "$known" != "$1 $2" ] || return 0
    [ "$(release_of "$1")" = "$2" ] && known="$1 $2"
}

said_by() { # SLOT: the release that by its own word it holds whole
    [ ! -f "slots/$1.manifest" ] || told_by "$1"
}

seconds() { # SLOT: sets $since and $left: when it last went live, and when that was undone; 0 for never
    since=0
    left=0
    if [ -f "slots/$1.before" ]; then read -r _ since left <"slots/$1.before" || since=0 left=0; fi
    case $since in '' | *[!0-9]*) since=0 ;; esac
    case $left in '' | *[!0-9]*) left=0 ;; esac
}

told_by() { # SLOT: the release that the slot itself names, whole or not
    told=$(head -c 100 "slots/$1/glusterfarm-release" 2>/dev/null) || told=
    case $told in *[!0-9a-f]*) ;; *) printf '%s' "$told" ;; esac
}

known_slot() { # SLOT
    case $1 in [abc]) ;; *) fail "'$1' is not a slot" "this is a mistake of the caller" ;; esac
}

glance() {
    state said_by
}

state() { # [FUNCTION]: by that for what a slot holds
    enter_mount
    if [ ! -e "$site" ] && [ ! -L "$site" ]; then
        [ ! -e ".$site.adopting/slots/a" ] || fail "the adoption of $mount/$site was cut off" "run \`python -m ops adopt\`"
        echo '{"live": null, "previous": null, "slots": {}, "told": {}, "since": {}, "left": {}, "now": 0}'
        return
    fi
    enter_site
    tell_state "$@"
}

tell_state() { # [FUNCTION]: in the site's directory
    set -- "${1:-release_of}"
    find_live
    printf '{"live": %s, "previous": %s, "slots": {"a": %s, "b": %s, "c": %s}, ' \
        "$(json "$live")" "$(json "$previous")" \
        "$(json "$("$1" a)")" "$(json "$("$1" b)")" "$(json "$("$1" c)")"
    printf '"told": {"a": %s, "b": %s, "c": %s}, ' \
        "$(json "$(told_by a)")" "$(json "$(told_by b)")" "$(json "$(told_by c)")"
    went=''
    undone=''
    for each in a b c; do
        seconds "$each"
        went="$went, \"$each\": $since"
        undone="$undone, \"$each\": $left"
    done
    printf '"since": {%s}, "left": {%s}, "now": %s}\n' "${went#, }" "${undone#, }" "$(date +%s)"
}

json() { # a word of letters and digits, '' for null
    if [ -n "$1" ]; then printf '"%s"' "$1"; else printf null; fi
}

manifest() { # SLOT
    known_slot "$1"
    enter_site
    [ -n "$(release_of "$1")" ] || fail "slot $1 of $mount/$site is incomplete" "publish again"
    cat -- "slots/$1.manifest"
}

live() {
    enter_site
    [ -n "$live" ] || fail "nothing is live at $mount/$site" "publish the site"
    release=$(cat html/glusterfarm-release) || fail "$mount/$site/html does not say its release" "publish again"
    case $release in *[!0-9a-f]*) release=damaged ;; esac
    printf '{"slot": "%s", "release": "%s"}\n' "$live" "$release"
}

enter_slot() { # SLOT: 1, with stdin read, where this mount does not show it, or not yet: none of its files can be read
    cd "slots/$1" 2>/dev/null || { cat >/dev/null; return 1; }
}

digests() { # SLOT
    known_slot "$1"
    enter_site
    enter_slot "$1" || return 0
    # A file that cannot be read gives no line; the deployer, who knows what it asked for, says which.
    xargs -0 sha256sum -z -- || :
}

link_digests() { # SLOT
    known_slot "$1"
    enter_site
    enter_slot "$1" || return 0
    # shellcheck disable=SC2016 # the inner shell's own parameters
    xargs -0 sh -c 'for path do
        if [ -L "$path" ]; then
            digest=$(readlink -n -- "$path" | sha256sum)
            printf "%s  %s\0" "${digest%% *}" "$path"
        fi
    done' link_digests
}

paths() { # SLOT
    known_slot "$1"
    enter_site
    enter_slot "$1" || fail "slot $1 of $mount/$site does not exist" "check this minion's mount, then run again"
    find . -mindepth 1 ! -type d -printf '%y %P\0'
}

# --- The lock ---
# flock(1) on a file of the volume holds between all minions, is inherited by children and ends with the last process
# that has it, or with the machine (measured on GlusterFS 10.3). `lock` is held by the deployment, through a process
# that ends with its connection and then ends its writers. Those share `writers`: the next deployment waits for the last.

hold() { # TOKEN HOLDER SECONDS
    enter_mount
    if [ ! -e "$site" ] && [ ! -L "$site" ]; then mkdir -- "$site" 2>/dev/null || [ -d "$site" ]; fi
    enter_site
    keep_lock "$@" tell_state
}

keep_lock() { # TOKEN HOLDER SECONDS COMMAND: in the directory that is the site's; the command says a line once it is locked
    command -v flock >/dev/null || fail "the command flock is missing" "install util-linux"
    [ -d slots ] || mkdir slots 2>/dev/null || [ -d slots ]
    # Who deploys, and from where, is nothing for a web server, which has all of the site.
    [ -e slots/lock ] || (umask 077 && : >>slots/lock) || :
    exec 9>>slots/lock
    lock -w "$HANDOVER_SECONDS" 9 || fail "another deployment is publishing $mount/$site: $(cut -d' ' -f2- slots/lock)" \
        "wait until it has ended, then run again"
    [ /proc/self/fd/9 -ef slots/lock ] || fail "$mount/$site was removed by the deployment before this one" "run again"
    see_what_others_did
    # It syncs to the bricks. Otherwise a full volume would seem to be a lost lock.
    said=$(printf '%s since %s, %s, through %s\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$2" "$minion" |
        dd of=slots/lock conv=fsync status=none 2>&1) ||
        fail "cannot write to $mount/$site: ${said##*: }" "see that the volume has space and its quorum, then run again"
    exec 8>>slots/writers
    lock -w "$ENDING_SECONDS" 8 || fail "a deployment that was cut off is still writing to $mount/$site" \
        "see what holds $mount/$site/slots/writers on the minions, or wait and run again"
    lock -u 8
    exec 7>&8 8>&-
    "$4"
    # A deployer that vanished without a word closes nothing: it is missed when its lines are.
    while timeout "$3" sh -c 'read -r _' 7>&- 9>&-; do :; done
    lock -n 7 || end_writers
}

see_what_others_did() { # the lock is held: its file says through which minion the last deployment wrote
    last=$(head -n 1 slots/lock)
    [ -n "$last" ] && [ "${last##* }" != "$minion" ] || return 0
    # What that one did just now this mount may not show yet, and by an old `html` the live slot would be a spare one.
    sleep "$STALE_SECONDS"
    ls -f . slots >/dev/null
}

end_writers() { # all that are on this minion: while we hold the lock they can only be ours
    shared=$(pwd -P)/slots/writers
    set --
    for descriptor in /proc/[0-9]*/fd/8; do
        [ "$(readlink "$descriptor")" = "$shared" ] || continue
        process=${descriptor#/proc/}
        set -- "$@" "${process%%/*}"
    done 2>/dev/null
    # All at once: a process that outlives its tar would report a failure that was none.
    kill -KILL "$@" 2>/dev/null || :
    lock -w "$ENDING_SECONDS" 7 || fail "writers to $mount/$site do not end" "see what hangs there, then run again"
}

lock() { # flock's arguments; 1 when somebody else holds it
    status=0
    flock -E "$BUSY" "$@" || status=$?
    case $status in
        0) return 0 ;;
        "$BUSY") return 1 ;;
        *) fail "cannot lock files on the volume at $mount" "see the Gluster client's log; the volume must allow locks" ;;
    esac
}

write_as() { # TOKEN: enter the site as a writer of the deployment that holds the lock
    enter_site
    be_writer "$1"
}

be_writer() { # TOKEN
    exec 8>>slots/writers
    lock -s -n 8 || lost "somebody waits for its writers to end"
    still_ours "$1"
}

still_ours() { # TOKEN
    read -r holder _ <slots/lock || holder=
    [ "$holder" = "$1" ] || lost "the lock's file names ${holder:-nobody}"
    exec 9>>slots/lock
    if lock -s -n 9; then lost "nobody holds it"; fi # our `hold` was given up on
    exec 9>&-
}

lost() { # WHY
    fail "this deployment no longer holds the lock of $mount/$site: $1" "run again"
}

next_slot() { # SLOT: refuse to touch what is live or previous
    known_slot "$1"
    for kept in "$live" "$previous"; do
        [ "$kept" != "$1" ] || fail "slot $1 of $mount/$site is live or the previous release" "run again"
    done
    [ ! -L "slots/$1" ] || fail "$mount/$site/slots/$1 is a symbolic link" "remove it and run again"
}

# --- Writing ---

begin() { # TOKEN SLOT fresh|delta
    write_as "$1"
    next_slot "$2"
    rm -f "slots/$2.manifest" "slots/$2.before" # what will be in it was never live
    # -v shows the progress.
    case $3 in
        fresh)
            rm -rfv -- "slots/$2" "slots/$2.adopted"
            mkdir "slots/$2"
            ;;
        delta)
            [ ! -e "slots/$2.adopted" ] || as_published "$2"
            cd "slots/$2"
            xargs -0 rm -rfv --
            ;;
    esac
}

as_published() { # SLOT: what was adopted as it was gets the owner and the modes that a publish gives
    find "slots/$1" ! -user "$(id -u)" -exec chown -h "$(id -u):$(id -g)" {} +
    find "slots/$1" -type d ! -perm 755 -exec chmod 755 {} +
    find "slots/$1" -type f -perm -100 ! -perm 755 -exec chmod 755 {} +
    find "slots/$1" -type f ! -perm -100 ! -perm 644 -exec chmod 644 {} +
    rm "slots/$1.adopted"
}

extract() { # TOKEN SLOT
    write_as "$1"
    next_slot "$2"
    [ ! -e "slots/$2.manifest" ] || fail "slot $2 of $mount/$site was not begun" "this is a mistake of the caller"
    cd "slots/$2"
    # tar unlinks what it replaces: a file is never truncated. -m and the two others save three calls per file, and with
    # records of 256 KiB (-b 512) a small file is written by one call, not two where a record of 10 KiB ends in it.
    said=$(tar -x -b 512 -f - -m --no-same-owner --no-same-permissions 2>&1) ||
        fail "cannot write slot $2 of $mount/$site ($(printf '%s' "$said" | head -n 1))" \
            "see that the volume has space and is writable, then run again"
}

commit() { # TOKEN SLOT RELEASE
    write_as "$1"
    next_slot "$2"
    cat >"slots/$2.manifest.new"
    [ "$(sha256sum <"slots/$2.manifest.new" | cut -c1-12)" = "$3" ] ||
        fail "the manifest of release $3 did not arrive whole" "see that the volume has space, then run again"
    rm -rf "slots/$2/glusterfarm-release" "slots/$2/glusterfarm-pod"
    printf '%s\n' "$3" >"slots/$2/glusterfarm-release"
    # The pod's own name, put there by its downward API volume: which pod answered, whatever web server it runs.
    ln -s /etc/glusterfarm/pod/name "slots/$2/glusterfarm-pod"
    still_ours "$1"
    mv -fT "slots/$2.manifest.new" "slots/$2.manifest"
    # What lies there now was read above, and has only been renamed.
    [ "$(said_by "$2")" = "$3" ] || fail "slot $2 of $mount/$site did not keep what was written" "run again"
    known="$2 $3"
}

# --- The release log ---
# The log with the new line is made beside the old one, then `html` is flipped, then the new log takes the old one's
# place. Where that was cut off, `html` says which of the two is right, to a reader and to the next who writes.

find_log() { # sets $log
    log=slots/releases.log
    slot=$(tail -n 1 "$log.new" 2>/dev/null | sed -n 's/^{"when": "[^"]*", "slot": "*\([abc]\|null\)"*, .*}$/\1/p')
    [ "$slot" != "${live:-null}" ] || log=$log.new
}

log() {
    enter_site
    find_log
    [ ! -f "$log" ] || cat -- "$log"
}

record() { # SLOT|- NOTE: makes the new log
    case $2 in '{"'*'}') ;; *) fail "'$2' is not a note for the log" "this is a mistake of the caller" ;; esac
    to=${1#-}
    find_log
    [ "$log" = slots/releases.log ] || mv -fT "$log" slots/releases.log
    line=$(printf '{"when": "%s", "slot": %s, "release": %s, "replaced": %s, %s, %s' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
        "$(json "$to")" "$(json "${to:+$(told_by "$to")}")" "$(json "${live:+$(told_by "$live")}")" \
        "$(changes "$live" "$to")" "${2#?}")
    # A machine that loses its power now must not lose the history: so sync.
    (
        umask 077 # who publishes from where is nothing for a web server
        { { [ ! -f slots/releases.log ] || sed -n '/^{"when": .*}$/p' slots/releases.log | tail -n "$((LOG_LINES - 1))"; } &&
            printf '%s\n' "$line"; } >slots/releases.log.part && sync slots/releases.log.part &&
            mv -fT slots/releases.log.part slots/releases.log.new
    ) || fail "cannot write $mount/$site/slots/releases.log" "see that the volume has space and is writable, then run again"
}

recorded() { # the flip has been: so has its line
    mv -fT slots/releases.log.new slots/releases.log
    printf '%s\n' "$line"
}

changes() { # SLOT SLOT, '' for nothing: what the second holds, and in what it differs, as members of an object
    if [ -z "$2" ] || ! is_whole "$2" || { [ -n "$1" ] && ! is_whole "$1"; }; then
        printf '"files": null, "bytes": null, "added": null, "changed": null, "removed": null'
        return
    fi
    was=/dev/null
    [ -z "$1" ] || was=slots/$1.manifest
    # shellcheck disable=SC2016 # awk's own fields
    awk '
        function path(line) { sub(/^[^ ]* [^ ]* [^ ]* /, "", line); return line }
        $1 == "dir" { next }
        old { gone[$0]; next }
        $1 != "link" { files++; bytes += $2 }
        $0 in gone { delete gone[$0]; next } # nearly all: so no path is cut out of them
        { came[path($0)] }
        END {
            for (line in gone) if (path(line) in came) { changed++; delete came[path(line)] } else removed++
            for (each in came) added++
            printf "\"files\": %d, \"bytes\": %.0f, ", files, bytes
            printf "\"added\": %d, \"changed\": %d, \"removed\": %d", added, changed, removed
        }
    ' old=1 "$was" old= "slots/$2.manifest"
}

is_whole() { # SLOT
    told=$(told_by "$1")
    [ -n "$told" ] && holds "$1" "$told"
}

# --- Going live ---

flip() { # TOKEN SLOT RELEASE NOTE
    write_as "$1"
    known_slot "$2"
    holds "$2" "$3" || fail "slot $2 of $mount/$site does not hold release $3" "run again"
    [ "$live" != "$2" ] || return 0
    record "$2" "$4"
    put_before "$2" "${live:--} $(date +%s)"
    still_ours "$1"
    point_to "$2"
    recorded
}

release() { # TOKEN SLOT RELEASE NOTE
    commit "$1" "$2" "$3"
    flip "$@"
}

unflip() { # TOKEN SLOT|- NOTE
    enter_site
    [ "$2" = - ] || known_slot "$2"
    [ "${live:--}" != "$2" ] || return 0
    be_writer "$1"
    record "$2" "$3"
    # What is live until now has readers, though it becomes a spare slot: who writes next must know since when.
    if [ -n "$live" ] && [ -f "slots/$live.before" ]; then
        seconds "$live"
        put_before "$live" "${previous:--} $since $(date +%s)"
    fi
    if [ "$2" = - ]; then rm -f html; else point_to "$2"; fi
    recorded
}

put_before() { # SLOT LINE
    printf '%s\n' "$2" >"slots/$1.before.new"
    mv -fT "slots/$1.before.new" "slots/$1.before"
}

point_to() { # SLOT
    rm -f .html.new
    ln -s "slots/$1" .html.new
    mv -fT .html.new html
}

distrust() { # TOKEN SLOT
    write_as "$1"
    known_slot "$2"
    rm -f "slots/$2.manifest"
}

remove() { # TOKEN RELEASE
    write_as "$1"
    if ! to_remove "$2"; then
        echo '{"removed": false}'
        return
    fi
    { echo "$2" >slots/removing; } 2>/dev/null || : # a full volume must not keep the site from being removed
    rm -f html .html.new
    mv -T slots "slots.removed.$1"
    rm -rfv slots.removed.*
    cd ..
    rmdir -- "$site" 2>/dev/null || : # what others put there stays
    echo '{"removed": true}'
}

to_remove() { # RELEASE: whether it is live, or a removal of it was cut off
    if [ -n "$live" ]; then
        [ "$(release_of "$live")" = "$1" ]
        return
    fi
    [ "$(cat slots/removing 2>/dev/null)" != "$1" ] || return 0
    for found in slots/[abc]; do # a first publish that was cut off is not ours to remove; traces are
        if [ -e "$found" ]; then return 1; fi
    done
}

main() {
    verb=$1
    minion=$2
    mount=$3
    volume=$4
    site=$5
    shift 5
    trap 'unexpected $?' EXIT
    case $site in '' | . | .. | */*) fail "'$site' is not a directory name" "correct content.site" ;; esac
    case $verb in
        state | glance | log | manifest | live | paths | distrust | remove | flip | unflip) "$verb" "$@" </dev/null ;;
        digests | link_digests | hold | begin | extract | commit | release) "$verb" "$@" ;;
        *) fail "'$verb' is not a verb of publish.sh" "this is a mistake of the caller" ;;
    esac
}

main "$@"

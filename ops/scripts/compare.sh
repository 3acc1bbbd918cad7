#!/bin/sh
# Reports what a recorded gluster_mount.sh would change on this minion, and changes nothing. Runs as root.
#
#   OWNER PRIMARY BACKUPS VOLUME MOUNTPATH OPTIONS MINION GENERATION     as for its verb mount; on stdin the script itself
#
# Only that script knows what is expected, so its own functions say it. They are taken without its last line, which
# would run it. Then `persist` runs with other versions of the three functions through which it writes (put), enables
# (enable_unit) and starts (bounded). This is not a verb of that script, because the state holds every byte of that one
# twice for each minion.
#
# Success: exit 0, first the line of its verb status, then a line of JSON about the client, for every file that differs
# and for every unit. Exit 3: the script on stdin is none that this can ask.
# shellcheck disable=SC2034 # what seems unused is read by that script's functions

set -u
GLUSTERFARM_SCRIPT=$(cat)
eval "${GLUSTERFARM_SCRIPT%main*}"

for name in use_mount use_owner use_source do_status persist put enable_unit bounded json; do
    command -v "$name" >/dev/null || {
        printf 'the recorded script has no %s\n' "$name" >&2
        exit 3
    }
done

put() { # FILE TEXT
    found=$(cat "$1" 2>/dev/null)
    [ "$found" != "$2" ] || return 1
    there=false wanted=''
    [ ! -e "$1" ] || there=true
    # Long texts are compared and not shown. Other lines of fstab are not shown either.
    if [ "$1" = /etc/fstab ] || [ "${#2}" -gt 4000 ] || [ "${#found}" -gt 4000 ]; then found=''; else wanted=$2; fi
    printf '{"file":"%s","there":%s,"wanted":"%s","found":"%s"}\n' \
        "$(json "$1")" "$there" "$(json "$wanted")" "$(json "$found")"
    return 1
}

enable_unit() { # UNIT
    printf '{"unit":"%s","enabled":"%s","active":"%s"}\n' "$(json "$1")" \
        "$(timeout 10 systemctl is-enabled -- "$1" 2>/dev/null)" "$(timeout 10 systemctl is-active -- "$1" 2>/dev/null)"
}

# Whether servers can be asked from here, and between which addresses the client that do_status found (pid) has its TCP
# connections: "LOCAL REMOTE", as /proc/net/tcp writes them. By these the servers identify it among their clients.
tell_client() {
    gluster=false connections=''
    ! command -v gluster >/dev/null || gluster=true
    [ -z "${pid-}" ] || connections=$(established "$pid")
    printf '{"gluster":%s,"connections":[%s]}\n' "$gluster" "$connections"
}

established() { # PID
    awk -v own=" $(readlink "/proc/$1/fd/"* | sed -n 's/^socket:\[\([0-9]*\)\]$/\1/p' | tr '\n' ' ')" '
        $4 == "01" && index(own, " " $10 " ") { printf "%s\"%s %s\"", comma, $2, $3; comma = "," }
    ' "/proc/$1/net/tcp" "/proc/$1/net/tcp6"
} 2>/dev/null

compare() {
    use_mount "$4" "$5" "$7"
    use_owner "$1"
    # Scripts of before 0.2 have the servers in the order that the program gave them.
    if command -v use_servers >/dev/null; then use_servers "$2" "$3" "$6"; else use_source "$2" "$3" "$6"; fi
    do_status
    tell_client
    bounded() { return 0; }
    persist
}

compare "$@" </dev/null

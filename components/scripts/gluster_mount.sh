#!/bin/sh
# shellcheck disable=SC2016 # what is in single quotes is for the sh that `bounded` starts
# Mounts a GlusterFS volume on this minion for good, takes it away again, tells how it is. Runs as root.
#
#   mount   OWNER PRIMARY BACKUPS VOLUME MOUNTPATH OPTIONS MINION GENERATION
#   update  the same arguments            the same, for an owner that has the mount already
#   unmount OWNER VOLUME MOUNTPATH MINION
#   status  VOLUME MOUNTPATH MINION         changes nothing
#   heal    VOLUME MOUNTPATH                mounts anew what is dead or gone; run by a timer that mount sets up
#   watch   VOLUME MOUNTPATH                waits for the next heal, less long when the client ends
#
# mount and update leave everything as it was when they fail: see "a change that fails".
#
# OWNER is "stack/minion": a mount stays until its last owner unmounts it. When Pulumi replaces a mount, it has the new
# one made (mount) and then the old one deleted (unmount), both in the same words; hence the two verbs. BACKUPS is colon-joined, OPTIONS comma-joined;
# either may be empty. Which server is asked first depends on the machine, not on its name: two stacks may have two names for it. GENERATION is not looked at: it only makes the command line of a recreated machine another one.
#
# Success: exit 0 and one line of JSON. Failure: exit 1 and "glusterfarm: MINION: what is wrong: what to do" on stderr,
# then what the package manager or the Gluster client said last.
#
# What may touch a dead mount runs through `bounded`: such a process cannot be interrupted, so neither a pipe nor a
# command substitution may wait for it. Nothing tests, lists or enters the mount path while something is mounted there.

set -u
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
umask 022

PROBE_SECONDS=10 # for one answer of the volume
MOUNT_SECONDS=30 # for the mount itself, at boot too
UNREADY_SECONDS=3 # from a pod's mount being dead until nobody is sent to that pod any more
LEAVE_SECONDS=60 # for containers that are ending to let go of a mount
REPLACE_SECONDS=3600 # between the new mount and the delete of the old, when one is replaced
HEAL_SECONDS=5   # between two runs of heal, while the client lives

WRITTEN='# Written by glusterfarm; owners and settings are in /etc/glusterfarm/mounts.'
SCRIPT=${GLUSTERFARM_SCRIPT-} # its own text, when whoever started it gave it that: then mount sets up heal
MINION='?' OUT=/dev/null PROBE_NOTE=/dev/null SERVERS='' UNIT='' # until the arguments say more
ANSWER='' GUARD=none ENDED='' EVIDENCE='' HEALING=false CHANGING=false AFTERWARDS='' DEPLOYER=''

# --- telling ---------------------------------------------------------------------------------------------------------

fail() { # WHAT REMEDY
    # Once: what goes wrong while cleaning up is not what went wrong.
    case $CHANGING in
        trial) CHANGING=false && evidence ;;
        true) CHANGING=false && evidence && clean_up ;;
    esac
    printf 'glusterfarm: %s: %s: %s%s\n' "$MINION" "$1" "$2" "$AFTERWARDS" >&2
    [ -z "$EVIDENCE" ] || printf '%s\n' "$EVIDENCE" >&2
    exit 1
}

# What this run's programs said of it, cut: a line of 64 KiB may hang the one who reads it.
evidence() {
    EVIDENCE=$({
        tail -n 20 "$OUT"
        [ -z "$UNIT" ] || timeout 10 journalctl -q -o cat -n 5 --since "@$BEGUN" -u "$UNIT"
        tail -c "+$((LOGGED + 1))" "$LOG" | grep -v '\] [ID] \[' | tail -n 15
    } 2>/dev/null | cut -c 1-400)
}

has() { command -v "$1" >/dev/null; }

printable() { printf '%s' "$1" | tr -c '[:print:]' '?'; }

# The inside of a JSON string.
json() {
    printf '%s' "$1" | awk '
        BEGIN { for (i = 1; i < 32; i++) as[sprintf("%c", i)] = sprintf("\\u%04x", i); as["\""] = "\\\""; as["\\"] = "\\\\" }
        NR > 1 { printf "\\n" }
        { for (i = 1; i <= length($0); i++) { c = substr($0, i, 1); printf "%s", (c in as) ? as[c] : c } }'
}

json_owners() { owners | while read -r owner; do printf '%s"%s"' "${comma-}" "$(json "$owner")" && comma=,; done; }

# --- arguments -------------------------------------------------------------------------------------------------------

# mount.glusterfs splits its arguments at blanks and expands them, and a unit file has a syntax of its own: what is not
# plain is refused, never quoted.
plain() { # WHAT ALLOWED VALUE
    case $3 in
        '' | -* | *[!A-Za-z0-9$2]*)
            fail "$1 '$(printable "$3")' cannot be used" "write it with letters, digits and $2 only, not starting with -" ;;
    esac
}

use_mount() { # VOLUME MOUNTPATH MINION
    plain 'the minion name' '._-' "$3" && MINION=$3
    plain 'the volume' '._-' "$1" && VOLUME=$1
    plain 'the mount path' '._/@%+=:-' "$2" && MOUNT=$2 PLACE=$2
    case $MOUNT/ in
        // | [!/]* | *//* | */./* | */../*)
            fail "the mount path '$MOUNT' cannot be used" 'give an absolute path, not /, without //, . and ..' ;;
    esac
    [ "$(id -u)" = 0 ] || fail 'not running as root' 'connect as root, or as a user who may run sudo without a password'
    for tool in awk sed grep find flock timeout unshare; do
        has "$tool" || fail "there is no $tool" "install it (Debian: coreutils, util-linux, findutils, grep, sed, mawk)"
    done
    KEY=$(encode "${MOUNT#/}")
    STATE=/etc/glusterfarm/mounts/$KEY
    NOTES=/run/glusterfarm/mounts/$KEY
    BESIDE=/run/glusterfarm/beside/$KEY CHANGE=$STATE/change
    ROTATE=/etc/logrotate.d/glusterfarm-$KEY
    # Not in /var/log/glusterfs itself: there the distribution rotates *.log, and logrotate skips a file named twice.
    LOG=/var/log/glusterfs/glusterfarm/$KEY.log
    [ ! -d /run/systemd/system ] || UNIT=$(systemd-escape --path --suffix=mount -- "$MOUNT") ||
        fail "systemd-escape gives no unit name for $MOUNT" 'choose another mount path'
    UNITS=/etc/systemd/system UNIT_FILE=/etc/systemd/system/$UNIT HEALER=glusterfarm-heal-${UNIT%.mount}
}

# What the journal calls this machine. A stack's name for it would make the healing unit another stack's, too.
machine() { uname -n | tr -c 'A-Za-z0-9._\n-' _; }

use_owner() {
    plain 'the owner' '._/@-' "$1"
    OWNER=$1 OWNER_FILE=$STATE/owners/$(encode "$1") REPLACED=$NOTES/replaced-$(encode "$1")
}

# The servers in the order in which this machine asks them: no server is to take every mount.
use_servers() { # PRIMARY BACKUPS OPTIONS
    servers=$1${2:+:$2}
    turns=$(($(cat /etc/machine-id 2>/dev/null | cksum | cut -d ' ' -f 1) % $(printf '%s' "$servers" | tr : '\n' | grep -c '')))
    while [ "$turns" -gt 0 ]; do
        servers=${servers#*:}:${servers%%:*} turns=$((turns - 1))
    done
    case $servers in *:*) use_source "${servers%%:*}" "${servers#*:}" "$3" ;; *) use_source "$servers" '' "$3" ;; esac
}

use_source() { # PRIMARY BACKUPS OPTIONS
    plain 'the volfile server' '._-' "$1"
    [ -z "$2" ] || plain 'the backup volfile servers' '._:-' "$2"
    [ -z "$3" ] || plain 'the mount options' '._,=:/*+@%-' "$3"
    WHAT=$1:/$VOLUME SERVERS=$1${2:+:$2} WANTED="$VOLUME $3"
    # Ours last: of an option given twice the last counts.
    MOUNT_OPTIONS=${3:+$3,}_netdev,log-file=$LOG${2:+,backup-volfile-servers=$2}
}

# A path as one file name, reversibly: / is -, - is _-, _ is __.
encode() { printf '%s' "$1" | sed 's/_/__/g; s/-/_-/g; s:/:-:g'; }

# --- looking, without ever waiting for the volume --------------------------------------------------------------------

# Runs a command for at most SECONDS, its output in OUT. KILL, because nothing less ends a process that waits for a dead
# mount; timeout then kills itself as well, so that nobody waits for a death that may not come. fd 9 is the lock.
bounded() { # SECONDS COMMAND...
    { timeout -s KILL "$@" >"$OUT" 2>&1 9>&-; } 2>/dev/null
}

# One run at a time per mount path: another stack's, or heal's.
lock() { # SECONDS to wait
    { mkdir -p /run/glusterfarm/locks "$NOTES" && exec 9>"/run/glusterfarm/locks/$KEY"; } ||
        fail 'cannot write to /run/glusterfarm' 'see what is wrong with /run'
    flock -w "$1" 9 || { [ "$1" = 0 ] && exit 0; } ||
        fail "another run is at work on $MOUNT and did not end within $1 s" "find it with: fuser -v /run/glusterfarm/locks/$KEY"
    PROBE_NOTE=$NOTES/probe
    OUT=$(mktemp) || fail 'cannot make a temporary file' 'see what is wrong with /tmp'
    trap 'rm -f "$OUT"' EXIT
}

# What is mounted at PLACE (MOUNT, or BESIDE for a trial), the topmost: DEVICE ROOT FLAGS FSTYPE SOURCE; 1 when nothing is. mountinfo writes blanks in
# octal; a plain path has none, so it compares as it stands.
find_mount() {
    DEVICE='' ROOT='' FLAGS='' FSTYPE='' SOURCE=''
    line=$(awk -v path="$PLACE" '$5 == path { last = $0 } END { print last }' /proc/self/mountinfo)
    [ -n "$line" ] || return 1
    read -r _ _ DEVICE ROOT _ FLAGS _ <<-END
		$line
	END
    line=${line#* - }
    FSTYPE=${line%% *} line=${line#* }
    SOURCE=$(unescape "${line%% *}") FLAGS=$FLAGS,${line#* }
}

# \040 is a blank. printf wants it as \0040.
unescape() { printf '%b' "$(printf '%s' "$1" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g')"; }

# Is what find_mount found a whole Gluster volume (no bind of a directory in one), this one, from one of these servers?
is_volume() { # VOLUME [SERVERS, colon-joined; any without]
    [ "$FSTYPE" = fuse.glusterfs ] && [ "$ROOT" = / ] || return 1
    case ${SOURCE##*:} in "$1" | "/$1") ;; *) return 1 ;; esac
    server=${SOURCE%:*}
    [ -z "${2-}" ] || case :$2: in *:"${server%%,*}":*) ;; *) return 1 ;; esac
}

# ANSWER: ok, error (refused at once) or stalled. statfs first: nothing caches it, so a dead client shows at once. A probe
# that still waits is an answer too: a mount that hangs holds one such process, not one a run.
probe() {
    ANSWER=stalled
    # Another run may be asking at this very moment, which is no stall yet.
    for patience in 1 1 0; do
        asked_by_another || break
        [ "$patience" = 1 ] || return
        sleep 1
    done
    ask stat -f && ask stat
    case $? in 0) ANSWER=ok ;; 124 | 137) ;; *) ANSWER=error ;; esac
}

asked_by_another() {
    [ "$PLACE" = "$MOUNT" ] || return 1
    { read -r asking <"$NOTES/probe" && read -r name <"/proc/$asking/comm" && [ "$name" = stat ]; } 2>/dev/null &&
        [ -n "$(begun "$asking")" ]
}

ask() { bounded "$PROBE_SECONDS" sh -c 'echo "$$" >"$1" && shift && exec "$@"' sh "$PROBE_NOTE" "$@" -- "$PLACE"; }

# The pid of the process that serves what is mounted, or nothing; after `probe`. Of all clients with this path (pods may
# still hold older ones) it is the youngest, except that a dead mount's is none: hence the note of who it was.
client() {
    if [ "$ANSWER" != ok ] && { read -r device pid begun <"$NOTES/client"; } 2>/dev/null && [ "$device" = "$DEVICE" ]; then
        ! lives "$pid" "$begun" || printf '%s' "$pid"
        return
    fi
    for process in /proc/[0-9]*; do
        { read -r name <"$process/comm"; } 2>/dev/null || continue
        case $name in glusterfs*) ;; *) continue ;; esac
        [ "$(tr '\0' '\n' <"$process/cmdline" | tail -n 1)" != "$MOUNT" ] ||
            printf '%s %s\n' "$(begun "${process#/proc/}")" "${process#/proc/}"
    done 2>/dev/null | sort -n | tail -n 1 | cut -d ' ' -f 2
}

# When a process was started, which with its pid names it for good; nothing for one that has ended.
begun() { sed 's/.*) //; /^Z/d' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# Is it still the same process?
lives() { [ "$(begun "$1")" = "$2" ]; } # PID WHEN IT WAS STARTED

# Of the client that is installed, which the one that runs need not be.
version() { timeout -s KILL 5 glusterfs --version 2>/dev/null | awk 'NR == 1 { print $2 }'; }

# Each owner's file holds "OWNER VOLUME".
owners() { cat "$STATE"/owners/* 2>/dev/null | cut -d ' ' -f 1 | sort; }

# Runs COMMAND with the bare directory under the mount as $1: seen from a mount namespace in which nothing covers it.
# -n: /run/mount/utab is not of that namespace.
on_bare() { # COMMAND [ARG, its $3]
    bounded 10 unshare --mount --propagation private sh -c '
        while umount -n -c -l -- "$1"; do :; done 2>/dev/null
        awk -v path="$1" "\$5 == path { exit 1 }" /proc/self/mountinfo || exit 9
        eval "$2"' sh "$MOUNT" "$@"
}

# GUARD: what keeps files out of the bare directory: immutable, mode (which does not hold root off), none.
find_guard() {
    on_bare 'lsattr -d -- "$1" | grep -q "^[^ ]*i" && exit 3; [ "$(stat -c %a -- "$1")" = 0 ] && exit 4; exit 5'
    case $? in 3) GUARD=immutable ;; 4) GUARD=mode ;; *) GUARD=none ;; esac
}

# --- mount -----------------------------------------------------------------------------------------------------------

do_mount() { # VERB
    recover
    recorded=$(cat "$OWNER_FILE" 2>/dev/null)
    [ -n "$recorded" ] && NEW=false || NEW=true
    note_dead
    SETTLED=$(cat "$STATE/settled" 2>/dev/null)
    BEGUN=$(date +%s) LOGGED=$({ wc -c <"$LOG"; } 2>/dev/null || echo 0)
    ACTION=mounted
    if find_mount; then judge_mount; else refuse_bad_place; fi
    refuse_quarrel
    check_selinux
    install_client
    case $ACTION in unchanged | adopted) ;; *) ask_first_who_answers ;; esac
    [ "$ACTION" != remounted ] || try_beside
    CHANGING=true
    make_mountpoint
    keep_files
    persist
    case $ACTION in
        remounted) take_away ;;
        revived) add_dead "$DEVICE" && detach ;;
    esac
    case $ACTION in
        unchanged) ;;
        adopted) verify ;;
        *) leaves_before && start && verify ;;
    esac
    # A create that nobody hears of is made again; an update is not.
    [ "$1" = mount ] || [ -z "$DEPLOYER" ] || lives_still "$DEPLOYER" ||
        fail 'whoever started this change is gone' 'run pulumi up again'
    CHANGING=false
    settle
    [ "$ACTION" != remounted ] || rm -f "$NOTES/ping" "$NOTES/bricks"
    rm -f "$REPLACED"
    [ "$1" = update ] || [ "$recorded" != "$OWNER $VOLUME" ] || date +%s >"$REPLACED"
    look_after
    printf '{"minion":"%s","action":"%s","path":"%s","source":"%s","client":%s,"version":"%s","installed":%s,"guard":"%s","kept":"%s","healing":%s,"ended":[%s]}\n' \
        "$MINION" "$ACTION" "$(json "$MOUNT")" "$(json "$SOURCE")" "${pid:-null}" \
        "$(json "$(version)")" "${INSTALLED-false}" "$GUARD" "$KEPT" \
        "$HEALING" "$ENDED"
}

# What every run does that has seen the mount well: notes who serves it, protects that one from the OOM killer as the
# kubelet protects itself (the unit says the same; this reaches an adopted one), and ends who holds a dead mount.
look_after() {
    pid=$(client)
    if [ -n "$pid" ]; then
        keep_former
        printf '%s %s %s\n' "$DEVICE" "$pid" "$(begun "$pid")" >"$NOTES/client"
        { echo -999 >"/proc/$pid/oom_score_adj"; } 2>/dev/null
    fi
    end_holders
}

# After a remount the client of before lives on under the containers that hold its mount: its end is theirs, too.
keep_former() {
    { read -r device served since <"$NOTES/client"; } 2>/dev/null || return 0
    [ "$device" = "$DEVICE" ] || ! lives "$served" "$since" ||
        printf '%s %s %s\n' "$device" "$served" "$since" >>"$NOTES/former"
}

# Something is mounted: what is to be done about it?
judge_mount() {
    if ! is_volume "$VOLUME" "$SERVERS"; then
        # One of ours all the same, when it is what we settled on before.
        { [ -n "$SETTLED" ] && is_volume "${SETTLED%% *}"; } ||
            fail "$MOUNT carries a foreign mount ($(printable "$SOURCE"), $FSTYPE)" 'unmount that, or choose another mount path'
        ACTION=remounted
        return
    fi
    probe
    if [ "$ANSWER" != ok ]; then
        pid=$(client)
        # Its client lives: it is the volume that is away. Another mount would be no better off, and pods hold this one.
        [ -z "$pid" ] || fail "the volume behind $MOUNT does not answer ($ANSWER), though its client (pid $pid) lives" \
            "see to the Gluster servers ($SERVERS) and bricks, then run this again"
        ACTION=revived
    elif [ "$(rights "$FLAGS")" != "$(rights "$MOUNT_OPTIONS")" ]; then
        ACTION=remounted # of the options this one alone shows in the mount itself, whoever made it
    elif [ -z "$SETTLED" ]; then
        ACTION=adopted
    elif [ "$SETTLED" = "$WANTED" ]; then
        ACTION=unchanged
    else
        ACTION=remounted # FUSE takes no -o remount
    fi
}

rights() { # OPTIONS, comma-separated
    case ,$1, in *,ro,*) echo ro ;; *) echo rw ;; esac
}

refuse_bad_place() {
    place=$MOUNT
    while [ -n "$place" ]; do
        [ ! -L "$place" ] || fail "$place is a symbolic link" "give the path it leads to ($(printable "$(readlink -f -- "$MOUNT")"))"
        place=${place%/*}
    done
    [ -d "$MOUNT" ] || [ ! -e "$MOUNT" ] || fail "$MOUNT is not a directory" 'move it away, or choose another mount path'
    [ -z "$(ls -A -- "$MOUNT" 2>/dev/null)" ] ||
        fail "nothing is mounted on $MOUNT, but there are files in it" 'move them away: a mount would hide them'
}

# What another stack relies on is not changed under it. Our own stack's owners are us: a renamed minion has two.
refuse_quarrel() {
    others=$(owners | while read -r owner; do [ "${owner%/*}" = "${OWNER%/*}" ] || printf '%s ' "$owner"; done)
    [ -z "$others" ] || [ "$SETTLED" = "$WANTED" ] ||
        fail "$MOUNT also belongs to ${others% }, with volume and options '$SETTLED' where '$WANTED' is wanted" \
            'give both the same, or choose another mount path'
}

check_selinux() {
    [ "$(getenforce 2>/dev/null)" = Enforcing ] || return 0
    case $(getsebool virt_sandbox_use_fusefs 2>/dev/null) in
        *off) fail 'SELinux keeps containers from reading a FUSE mount' 'run: setsebool -P virt_sandbox_use_fusefs on' ;;
    esac
}

install_client() {
    ! has mount.glusterfs || return 0
    INSTALLED=true
    if has apt-get; then
        # Without needrestart, which would restart the kubelet as well.
        export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
        set -- apt-get -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20
        install_with "$@" install --no-install-recommends glusterfs-client ||
            { install_with "$@" update && install_with "$@" install --no-install-recommends glusterfs-client; }
    elif has dnf; then
        install_with dnf install -y glusterfs-fuse || install_with dnf install -y --refresh glusterfs-fuse
    elif has yum; then
        install_with yum install -y glusterfs-fuse || { install_with yum makecache && install_with yum install -y glusterfs-fuse; }
    elif has zypper; then
        # Gluster's own packages have a glusterfs-fuse, openSUSE's have all in one.
        export ZYPP_LOCK_TIMEOUT=120
        install_with zypper --non-interactive install --no-recommends glusterfs-fuse ||
            install_with zypper --non-interactive install --no-recommends glusterfs
    else
        fail 'there is no Gluster client, and none of apt-get, dnf, yum and zypper to install it' 'install mount.glusterfs by hand'
    fi
    has mount.glusterfs || {
        evidence
        fail 'the Gluster client cannot be installed' 'see the output below; without a way to a package mirror, install it by hand'
    }
}

# A package database that another run holds is waited for, two minutes. dnf and yum wait by themselves for another of
# their kind, without end; that of rpm they fail for, as rpm does.
LOCKED='could not get lock|unable to (lock|acquire)|is locked|existing lock|transaction lock'
install_with() { # COMMAND...
    deadline=$(($(date +%s) + 120))
    until timeout -k 10 600 "$@" >"$OUT" 2>&1 9>&-; do
        grep -q -i -E "$LOCKED" "$OUT" && [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 5
    done
}

make_mountpoint() {
    mkdir -p "$STATE/owners" || fail "cannot write to $STATE" 'see what is wrong with /etc'
    if ! find_mount && [ ! -d "$MOUNT" ]; then
        mkdir -p -- "$MOUNT" || fail "cannot make the directory $MOUNT" 'choose another mount path'
        : >"$STATE/made"
    fi
    find_guard
    [ "$GUARD" = none ] || return 0
    on_bare 'chattr +i -- "$1"' && : >"$STATE/immutable" && GUARD=immutable && return
    # Not every file system can. The old mode is kept, to be given back.
    on_bare 'stat -c %a -- "$1"' && cp "$OUT" "$STATE/mode" && on_bare 'chmod 0000 -- "$1"' && GUARD=mode
}

# Writes what makes the mount come back after a reboot, and who owns it.
persist() {
    put "$OWNER_FILE" "$OWNER $VOLUME"
    put "$STATE/settled" "$WANTED"
    put "$STATE/servers" "$SERVERS"
    [ ! -d /etc/logrotate.d ] || put "$ROTATE" "$LOG {
    weekly
    maxsize 50M
    rotate 8
    compress
    delaycompress
    copytruncate
    missingok
    notifempty
}"
    if [ -n "$UNIT" ]; then
        KEPT=systemd
        keep_unit
        put "$UNIT_FILE" "$(unit)" && changed=true
        [ -z "$SCRIPT" ] || persist_healing
        [ ! -e "$UNITS/$HEALER.timer" ] || HEALING=true
        [ -z "${changed-}" ] || bounded 60 systemctl daemon-reload
        enable_unit "$UNIT"
        [ "$HEALING" = false ] || { enable_unit "$HEALER.timer" && bounded 60 systemctl start -- "$HEALER.timer"; }
    else
        KEPT=fstab
        put /etc/fstab "$(other_fstab 2>/dev/null)
$(fstab_mark)
$WHAT $MOUNT glusterfs $MOUNT_OPTIONS 0 0"
    fi
}

is_ours() { [ "$(head -n 1 "$1" 2>/dev/null)" = "$WRITTEN" ]; } # FILE

# A unit that somebody else wrote for this mount is kept while ours takes its place, and given back with it.
keep_unit() {
    [ -f "$UNIT_FILE" ] && ! is_ours "$UNIT_FILE" || return 0
    cp -- "$UNIT_FILE" "$STATE/unit" || fail "cannot write to $STATE" 'see what is wrong with /etc'
    ! systemctl is-enabled --quiet -- "$UNIT" >/dev/null 2>&1 || : >"$STATE/unit-enabled"
}

enable_unit() { # UNIT
    systemctl is-enabled --quiet -- "$1" >/dev/null 2>&1 || bounded 60 systemctl enable -- "$1" ||
        fail "systemd does not take the unit $1" 'see its message below'
}

# Before the kubelet, so that no pod starts on a bare directory after a boot; not required by it: a volume that is away
# must not take the node with it. The client runs in the unit's cgroup and so outlives whoever started it.
unit() {
    sed 's/%/%%/g' <<-END
		$WRITTEN
		[Unit]
		Description=GlusterFS volume $VOLUME on $MOUNT
		Wants=network-online.target
		After=network-online.target
		Before=kubelet.service snap.microk8s.daemon-kubelite.service k0sworker.service k0scontroller.service k3s.service k3s-agent.service rke2-server.service rke2-agent.service
		StartLimitIntervalSec=0

		[Mount]
		What=$WHAT
		Where=$PLACE
		Type=glusterfs
		Options=$MOUNT_OPTIONS
		TimeoutSec=$MOUNT_SECONDS
		OOMScoreAdjust=-999

		[Install]
		WantedBy=multi-user.target
	END
}

# The timer's copy of this script, and its units. A run says only what is new; all else would fill the journal.
persist_healing() {
    put "$STATE/heal.sh" "$SCRIPT"
    put "$UNITS/$HEALER.service" "$(sed 's/%/%%/g' <<-END
		$WRITTEN
		[Unit]
		Description=Mounts $MOUNT anew when it is dead or gone

		[Service]
		Type=oneshot
		ExecStart=/bin/sh $STATE/heal.sh watch $VOLUME $MOUNT
		ExecStart=/bin/sh $STATE/heal.sh heal $VOLUME $MOUNT
		TimeoutStartSec=300
		StandardOutput=null
		StandardError=journal
		SyslogLevel=warning
		LogLevelMax=warning
	END
    )" && changed=true
    put "$UNITS/$HEALER.timer" "$WRITTEN
[Unit]
Description=Looks after $(printf '%s' "$MOUNT" | sed 's/%/%%/g')

[Timer]
OnActiveSec=0
OnUnitInactiveSec=100ms
AccuracySec=100ms

[Install]
WantedBy=timers.target" && changed=true
    return 0
}

fstab_mark() { printf '# glusterfarm: the next line mounts %s' "$MOUNT"; }

other_fstab() { awk -v mark="$(fstab_mark)" '$0 == mark { skip = 2 } skip > 0 { skip--; next } { print }' /etc/fstab; }

# Writes TEXT to FILE, all or nothing; 1 when it is there already. The name with ~ is one that nobody reads.
put() { # FILE TEXT
    [ "$(cat "$1" 2>/dev/null)" != "$2" ] || return 1
    { printf '%s\n' "$2" >"$1~" && mv -f "$1~" "$1"; } || fail "cannot write $1" 'see whether the disk is full or read-only'
}

# Its exit status says nothing: verify looks. restart, because systemd may not have noticed yet that a mount is gone;
# ignore-dependencies, because the network is there (we came over it) and waiting for its target may take minutes.
start() {
    STARTED=true
    mkdir -p "${LOG%/*}" # not every machine keeps /var/log
    if [ -n "$UNIT" ]; then
        bounded $((MOUNT_SECONDS + 15)) systemctl --job-mode=ignore-dependencies restart -- "$UNIT"
    else
        # In a session of its own, or the client would go with the one that started it.
        setsid --wait timeout -s KILL "$MOUNT_SECONDS" mount -t glusterfs -o "$MOUNT_OPTIONS" "$WHAT" "$PLACE" >"$OUT" 2>&1 9>&-
    fi
    return 0
}

verify() {
    { find_mount && is_volume "$VOLUME" "$SERVERS"; } ||
        fail "$WHAT is not mounted on $MOUNT, whatever the mount helper said" \
            "see that the servers ($SERVERS) answer on port 24007 and that the volume is started"
    probe
    [ "$ANSWER" = ok ] || fail "$WHAT is mounted on $MOUNT but does not answer ($ANSWER)" "see that the volume's bricks are up"
    [ "$(rights "$FLAGS")" = rw ] || return 0
    bounded "$PROBE_SECONDS" sh -c 'set -C; printf %s "$1" >"$1" && [ "$(cat "$1")" = "$1" ]; good=$?; rm -f "$1" && exit "$good"' \
        sh "$PLACE/.glusterfarm-probe-$MINION-$$-$(date +%s)" ||
        fail "a file cannot be written to $MOUNT and read back" "see that the volume has its quorum and space (gluster volume status, df), then run this again"
}

# --- a change that fails ---------------------------------------------------------------------------------------------

# Pulumi keeps the inputs of before for an update that failed: set back, it is "unchanged", and so the minion must be.
# What cannot work is seen in a trial beside the living mount. What fails later gives back what was kept: each file that
# this run writes, by a link to the one of before, and the mount. CHANGE lists them, and it is removed when all is well:
# whoever finds it, the next run or heal, finishes what a killed run could not.

# Mounts the new one beside the old one, asks it, and takes it away again.
try_beside() {
    mkdir -p "$BESIDE" || fail "cannot write to $BESIDE" 'see what is wrong with /run'
    (trial)
    tried=$?
    leave_beside
    [ "$tried" = 0 ] || exit 1
}

trial() {
    CHANGING=trial PLACE=$BESIDE PROBE_NOTE=/dev/null
    AFTERWARDS="; nothing was changed, and $MOUNT stays mounted as it was"
    if [ -n "$UNIT" ]; then
        UNIT=$(beside_unit)
        put "/run/systemd/system/$UNIT" "$(unit)" && bounded 60 systemctl daemon-reload
    fi
    start
    verify
}

beside_unit() { systemd-escape --path --suffix=mount -- "$BESIDE"; }

leave_beside() {
    [ -d "$BESIDE" ] || return 0
    if [ -n "$UNIT" ]; then
        beside=$(beside_unit)
        bounded 30 systemctl stop -- "$beside"
        rm -f "/run/systemd/system/$beside"
    fi
    ! (PLACE=$BESIDE && find_mount) || bounded 10 umount -c -l -- "$BESIDE"
    [ -z "$UNIT" ] || { bounded 60 systemctl daemon-reload && bounded 60 systemctl reset-failed -- "$beside"; }
    rmdir "$BESIDE" 2>/dev/null
    return 0
}

# All that persist may write.
written_files() {
    printf '%s\n' "$OWNER_FILE" "$STATE/settled" "$STATE/servers"
    [ ! -d /etc/logrotate.d ] || printf '%s\n' "$ROTATE"
    if [ -n "$UNIT" ]; then
        printf '%s\n' "$STATE/heal.sh" "$UNITS/$HEALER.service" "$UNITS/$HEALER.timer" "$UNIT_FILE"
    else
        printf '%s\n' /etc/fstab
    fi
}

keep_files() {
    { rm -rf "$STATE/before" && mkdir "$STATE/before"; } || fail "cannot write to $STATE" 'see what is wrong with /etc'
    list=$(written_files | while read -r file; do
        if [ ! -e "$file" ]; then
            printf 'none %s\n' "$file"
        elif ln -- "$file" "$(kept "$file")" 2>/dev/null || cp -p -- "$file" "$(kept "$file")"; then
            printf 'kept %s\n' "$file"
        else
            exit 1
        fi
    done) || fail "cannot keep what is to be changed in $STATE/before" 'see whether the disk is full or read-only'
    put "$CHANGE" "$ACTION
$list"
}

kept() { printf '%s' "$STATE/before/$(encode "$1")"; } # FILE

# All is well: what was kept is not needed.
settle() {
    rm -f "$CHANGE" && rm -rf "$STATE/before"
}

# Gives back the files, and the mount where another one has taken its place.
give_back() {
    read -r action <"$CHANGE"
    now=$(cat "$STATE/settled" "$STATE/servers" 2>/dev/null)
    sed 1d "$CHANGE" | while read -r was file; do
        rm -f -- "$file~"
        if [ "$was" = kept ]; then
            # What was not written is still the same file, which mv refuses.
            kept=$(kept "$file")
            cmp -s -- "$kept" "$file" || [ ! -e "$kept" ] || mv -f -- "$kept" "$file"
        else
            case $file in *.timer | *.mount) [ ! -e "$file" ] || bounded 60 systemctl disable --now -- "${file##*/}" ;; esac
            rm -f -- "$file"
        fi
    done
    [ -z "$UNIT" ] || bounded 60 systemctl daemon-reload
    [ "$now" = "$(cat "$STATE/settled" "$STATE/servers" 2>/dev/null)" ] && [ "$action" != remounted ] || mount_of_before
    settle
}

# From here on what is mounted is not the mount of before. A device number would not say so: it is given out again.
leaves_before() { : >"$STATE/before/left" || fail "cannot write to $STATE" 'see what is wrong with /etc'; }

mount_of_before() {
    if find_mount; then
        [ -e "$STATE/before/left" ] && [ "$FSTYPE" = fuse.glusterfs ] || return 0
        [ -n "$ANSWER" ] || probe
        { [ "$ANSWER" = ok ] && bounded 30 umount -- "$MOUNT"; } || detach
    fi
    # What was dead or gone before is heal's.
    [ "$action" = remounted ] && [ -e "$STATE/settled" ] || return 0
    if (use_settled && { [ -z "$UNIT" ] || mount_unit; } && start && verify) 2>/dev/null; then
        AFTERWARDS='; the mount of before is back'
    else
        AFTERWARDS='; the mount of before does not come back either: the healing timer tries every few seconds'
    fi
}

# Finishes what a run that was killed has left.
recover() {
    leave_beside
    [ ! -e "$CHANGE" ] || give_back
}

# A failed create leaves no state with Pulumi, so nobody would call unmount: what is new goes again.
clean_up() {
    [ ! -e "$CHANGE" ] || give_back
    [ "$NEW" = true ] || return 0
    rm -f "$OWNER_FILE"
    [ -z "$(owners)" ] || return 0
    # Only what we mounted: what somebody else did stays, adopted or not to be unmounted.
    [ -z "${STARTED-}" ] || ! find_mount || ! is_volume "$VOLUME" || detach
    retract
}

# The sshd that this run came through, as "PID BEGUN"; nothing when there is none.
deployer() {
    process=$$
    while [ "$process" -gt 1 ]; do
        { read -r name <"/proc/$process/comm"; } 2>/dev/null || return 0
        case $name in sshd*) printf '%s %s' "$process" "$(begun "$process")" && return ;; esac
        process=$(sed -n 's/^PPid:[[:blank:]]*//p' "/proc/$process/status" 2>/dev/null)
        process=${process:-0}
    done
}

lives_still() { lives "${1% *}" "${1#* }"; } # "PID BEGUN"

# --- unmount ---------------------------------------------------------------------------------------------------------

do_unmount() {
    recover
    recorded=$(cat "$OWNER_FILE" 2>/dev/null)
    others=$(owners | grep -v -x -F -- "$OWNER")
    if [ ! -d "$STATE" ]; then
        result=absent
    elif [ -n "$recorded" ] && [ "$recorded" != "$OWNER $VOLUME" ]; then
        result=kept # its owner has another volume here by now, and this is the end of the one before
    elif replaced; then
        result=kept # the same, but the volume is the same too
        # The state may also have lost this mount, and got it again: then this is its real end, and nobody knows.
        printf 'glusterfarm: %s: warning: %s stays mounted: it was mounted again %s s ago, and this removal is taken for that of the mount before. If nothing needs it, run there: sh %s unmount %s %s %s %s\n' \
            "$MINION" "$MOUNT" "$age" "$STATE/heal.sh" "$OWNER" "$VOLUME" "$MOUNT" "$MINION" >&2
    elif [ -n "$others" ]; then
        rm -f "$OWNER_FILE"
        result=kept
    else
        # An adopted mount too: who lets the farm have it leaves its end to the farm.
        ! find_mount || ! is_volume "$VOLUME" || { wait_for_containers && take_away; }
        retract
        result=unmounted
    fi
    printf '{"minion":"%s","action":"%s","path":"%s","owners":[%s]}\n' "$MINION" "$result" "$(json "$MOUNT")" "$(json_owners)"
}

# Was this mount made anew for its owner a moment ago? Then this is the delete of the one before, once. A mark that is
# old is of a run that was cut off, and no delete followed it.
replaced() {
    { read -r since <"$REPLACED"; } 2>/dev/null || return 1
    rm -f "$REPLACED"
    age=$(($(date +%s) - since))
    [ "$age" -ge 0 ] && [ "$age" -lt "$REPLACE_SECONDS" ]
}

# The mount that find_mount found must not be taken from under a container: it would serve on until its next start, and
# then find nothing. Whoever removes a minion has its pods ended first; the last of them may still be at it.
wait_for_containers() {
    printf '%s\n' "$DEVICE" >"$NOTES/leaving"
    deadline=$(($(date +%s) + LEAVE_SECONDS))
    while
        containers "$NOTES/leaving"
        [ -s "$NOTES/containers" ]
    do
        [ "$(date +%s)" -lt "$deadline" ] || fail "$MOUNT is still in use after $LEAVE_SECONDS s, by $(named_containers)" \
            'end these pods, then run this again'
        sleep 1
    done
}

named_containers() {
    while read -r _ pid; do
        printf '%s (%s in %s)\n' "$pid" "$(cat "/proc/$pid/comm" 2>/dev/null)" "$(pod_of "$pid")"
    done <"$NOTES/containers" | listed
}

# Unmounts what find_mount found, however often it is mounted there.
take_away() {
    taken=$SOURCE
    for _ in 1 2 3; do
        find_mount && [ "$SOURCE" = "$taken" ] || return 0
        probe
        # One that does not answer may never let go, and nothing in it can be lost by us.
        if [ "$ANSWER" = ok ]; then bounded 30 umount -- "$MOUNT" || sleep 1; else detach; fi
    done
    find_mount && [ "$SOURCE" = "$taken" ] || return 0
    reason=$(tail -n 1 "$OUT")
    held=$(holders)
    fail "$MOUNT cannot be unmounted (${reason:-no reason given})${held:+, it is held by $held}" 'end what holds it, then run this again'
}

# Lines as one, "a, b"; ten are enough.
listed() { head -n 10 | tr '\n' ',' | sed 's/,$//; s/,/, /g'; }

# Works on a dead mount too; who still holds it keeps a dead one.
detach() { bounded 10 umount -c -l -- "$MOUNT" && rm -f "$NOTES/probe"; }

# Whoever works in the mount, and what is mounted below it; from links in /proc, which is safe.
holders() {
    bounded 10 find /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/exe /proc/[0-9]*/fd -maxdepth 1 \
        \( -lname "$MOUNT" -o -lname "$MOUNT/*" \)
    {
        sed -n 's:^/proc/\([0-9]*\)/.*:\1:p' "$OUT" | sort -n -u | while read -r pid; do
            printf '%s (%s)\n' "$pid" "$(cat "/proc/$pid/comm" 2>/dev/null)"
        done
        awk -v path="$MOUNT/" 'index($5, path) == 1 { print "the mount " $5 }' /proc/self/mountinfo
    } | listed
}

# Takes back all that mount wrote. Never the opposite of anyone else's work: a directory is removed when we made it.
retract() {
    if [ -n "$UNIT" ]; then
        bounded 60 systemctl disable --now -- "$HEALER.timer"
        bounded 60 systemctl stop -- "$HEALER.service"
        # A mount that is still being tried is no mount yet, and must not come after us.
        find_mount || bounded $((MOUNT_SECONDS + 15)) systemctl stop -- "$UNIT"
        if is_ours "$UNIT_FILE"; then
            bounded 60 systemctl disable -- "$UNIT"
            rm -f "$UNIT_FILE"
            [ ! -e "$STATE/unit" ] || cp -- "$STATE/unit" "$UNIT_FILE"
        fi
        rm -f "$UNITS/$HEALER.timer" "$UNITS/$HEALER.service"
        bounded 60 systemctl daemon-reload
        [ ! -e "$STATE/unit-enabled" ] || bounded 60 systemctl enable -- "$UNIT"
        # A healing run that was stopped halfway counts as failed.
        for name in "$UNIT" "$HEALER.service" "$HEALER.timer"; do bounded 60 systemctl reset-failed -- "$name"; done
    fi
    [ ! -f /etc/fstab ] || put /etc/fstab "$(other_fstab)"
    [ ! -e "$STATE/immutable" ] || on_bare 'chattr -i -- "$1"'
    [ ! -e "$STATE/mode" ] || on_bare 'chmod "$3" -- "$1"' "$(cat "$STATE/mode")"
    [ ! -e "$STATE/made" ] || find_mount || rmdir -- "$MOUNT" 2>/dev/null
    rm -rf "$ROTATE" "$STATE" "$NOTES"
    rmdir "${STATE%/*}" /etc/glusterfarm 2>/dev/null
    return 0
}

# --- heal ------------------------------------------------------------------------------------------------------------

do_heal() {
    recover
    [ -e "$STATE/settled" ] || exit 0 # what recover gave back is that there was no mount
    SERVERS=$(cat "$STATE/servers") WANTED=$(cat "$STATE/settled") reason='' result=well pid=''
    note_dead
    if ! find_mount; then
        reason='nothing was mounted'
    elif ! is_volume "$VOLUME"; then
        result=foreign reason="it carries a mount ($(printable "$SOURCE"), $FSTYPE)"
    else
        probe
        pid=$(client)
        judge_answer
    fi
    [ "$result" != well ] || [ -z "$reason" ] || mount_again
    [ "$ANSWER" != ok ] || look_after
    [ -z "$ENDED" ] || reason="${reason:+$reason; }ended the containers that held a dead mount ($ENDED)"
    tell "$result" "$reason"
    printf '{"minion":"%s","action":"%s","path":"%s","reason":"%s","client":%s,"ended":[%s]}\n' \
        "$MINION" "$result" "$(json "$MOUNT")" "$(json "$reason")" "${pid:-null}" "$ENDED"
    case $result in 'not mounted' | foreign) exit 1 ;; esac
}

# A client that ends is not waited for: tail looks ten times a second, without starting anything. One that cannot (it is
# not GNU's), and a client that is gone already, leave it at the pause.
do_watch() {
    { read -r device pid begun <"$NOTES/client"; } 2>/dev/null && lives "$pid" "$begun" &&
        timeout "$HEAL_SECONDS" tail --pid="$pid" -s 0.1 -f /dev/null >/dev/null 2>&1
    case $? in 0 | 124) ;; *) sleep "$HEAL_SECONDS" ;; esac
}

# What an answer means. Without a client the mount is dead. With one it is the volume that is away: to wait is all that
# helps. Only a stall that outlasts twice the ping-timeout and 30 s more, while a server answers, is the client's.
judge_answer() {
    [ "$ANSWER" = stalled ] || rm -f "$NOTES/stalled"
    case $ANSWER:${pid:+client} in
        ok:*) note_ping_timeout; note_bricks ;;
        *:) reason='its client was dead' ;;
        error:*) result=waiting reason="the volume is away: its client (pid $pid) lives and gets no answer" ;;
        *)
            [ -e "$NOTES/stalled" ] || date +%s >"$NOTES/stalled"
            stalled=$(($(date +%s) - $(cat "$NOTES/stalled")))
            if [ "$stalled" -gt $((2 * $(cat "$NOTES/ping" 2>/dev/null || echo 42) + 30)) ] && brick_answers; then
                reason="its client (pid $pid) gave no answer for $stalled s, though a brick did"
                kill -KILL "$pid"
                { echo 1 >"/sys/fs/fuse/connections/${DEVICE#*:}/abort"; } 2>/dev/null
            else
                result=waiting reason="the volume is away: its client (pid $pid) waits"
            fi
            ;;
    esac
}

mount_again() {
    if [ -n "$DEVICE" ]; then add_dead "$DEVICE" && detach; fi
    rm -f "$NOTES/stalled"
    if [ "$(systemctl is-active -- "$UNIT" 2>/dev/null)" = activating ]; then
        result=waiting reason="$reason, and systemd is mounting it"
    elif ! reachable; then
        result=waiting reason="$reason, and no server ($SERVERS) answers on port 24007"
    elif (mount_unit && start && verify) 2>"$NOTES/why"; then
        result=mounted
        find_mount && probe
    else
        result='not mounted' reason="$reason; $(head -n 1 "$NOTES/why")"
    fi
}

use_settled() {
    SERVERS=$(cat "$STATE/servers") WANTED=$(cat "$STATE/settled")
    VOLUME=${WANTED%% *}
    case $SERVERS in *:*) backups=${SERVERS#*:} ;; *) backups='' ;; esac
    use_source "${SERVERS%%:*}" "$backups" "${WANTED#* }"
}

# The unit as it was written, but for the server that is asked first.
mount_unit() {
    use_settled
    ask_first_who_answers
    ! put "$UNIT_FILE" "$(unit)" || bounded 60 systemctl daemon-reload
}

# Where the client's bricks listen, which no volfile server needs to say: whom it is connected to while it is well. They
# may start anew elsewhere, so it is looked at each minute.
note_bricks() {
    [ -z "$(find "$NOTES/bricks" -mmin -1 2>/dev/null)" ] && has ss && bounded 5 ss -H -t -n -p state established || return 0
    awk -v pid="pid=$pid," 'index($0, pid) && $4 !~ /:24007$/ {
        host = port = $4
        sub(/:[0-9]+$/, "", host)
        sub(/.*:/, "", port)
        print host, port
    }' "$OUT" | tr -d '[]' | sort -u >"$NOTES/bricks"
}

# Does a brick? Where that was never noted, a volfile server's answer must do.
brick_answers() {
    if [ ! -s "$NOTES/bricks" ] || ! has bash; then
        reachable
        return
    fi
    while read -r host port; do
        ! answers "$host" "$port" || return 0
    done <"$NOTES/bricks"
    return 1
}

answers() { bounded 3 bash -c ': <"/dev/tcp/$1/$2"' bash "$1" "$2"; } # HOST PORT

# Does a volfile server answer? FIRST is the first that does. Without bash nobody can tell, and it is worth a try.
reachable() {
    FIRST=''
    has bash || return 0
    for server in $(printf '%s' "$SERVERS" | tr : ' '); do
        ! answers "$server" 24007 || { FIRST=$server && return 0; }
    done
    return 1
}

# Puts the first server that answers in front: for one that is switched off a client waits before it asks
# another, and longer than a mount may take.
ask_first_who_answers() {
    reachable && [ -n "$FIRST" ] && [ "$FIRST" != "${SERVERS%%:*}" ] || return 0
    others=$(printf '%s\n' "$SERVERS" | tr : '\n' | grep -v -x -F -- "$FIRST" | tr '\n' :)
    use_source "$FIRST" "${others%:}" "${WANTED#* }"
}

# The client knows its ping-timeout, and tells while it is well. It changes with the volume's, and so it is asked each
# minute.
note_ping_timeout() {
    [ -z "$(find "$NOTES/ping" -mmin -1 2>/dev/null)" ] || return 0
    bounded 5 cat "$MOUNT/.meta/graphs/active/$VOLUME-client-0/options/ping-timeout" &&
        grep -q -x '[0-9][0-9]*' "$OUT" && cp "$OUT" "$NOTES/ping"
}

# Says what is new, for the journal: all of what was done, and of what stays as it is only the beginning and the end.
tell() { # RESULT REASON
    told=$(cat "$NOTES/told" 2>/dev/null || echo well)
    printf '%s\n' "$1" >"$NOTES/told"
    [ "$1" = "$told" ] && [ "$1" != mounted ] && [ -z "$ENDED" ] && return
    [ "$1" = well ] && [ "$told" = mounted ] && [ -z "$ENDED" ] && return
    printf 'glusterfarm: %s: %s is %s%s\n' "$MINION" "$MOUNT" "$1" "${2:+: $2}" >&2
}

# A device whose client has ended since we saw it serve is dead, whoever has unmounted it meanwhile.
note_dead() {
    { read -r device served since <"$NOTES/client"; } 2>/dev/null || return 0
    lives "$served" "$since" || add_dead "$device"
    [ -s "$NOTES/former" ] || return 0
    while read -r device served since; do
        if lives "$served" "$since"; then
            printf '%s %s %s\n' "$device" "$served" "$since"
        else
            add_dead "$device"
        fi
    done <"$NOTES/former" >"$NOTES/former~"
    mv -f "$NOTES/former~" "$NOTES/former"
}

add_dead() { grep -q -x -F "$1" "$NOTES/dead" 2>/dev/null || printf '%s\n' "$1" >>"$NOTES/dead"; }

# Lists in $NOTES/containers "DEVICE PID" of each container that holds a mount of this volume with one of the device
# numbers in FILE. That is: a process that is the first of a pid namespace, in a pod's cgroup, whose mountinfo names it.
containers() { # FILE
    grep -l -E '^NSpid:[[:blank:]]+[0-9]+.*[[:blank:]]1$' /proc/[0-9]*/status >"$OUT" 2>/dev/null
    while read -r process; do
        process=${process%/status}
        grep -q kubepods "$process/cgroup" 2>/dev/null || continue
        awk -v pid="${process#/proc/}" -v volume="$VOLUME" '
            NR == FNR { wanted[$1]; next }
            ($3 in wanted) && / - fuse\.glusterfs / && (index($0, ":" volume " ") || index($0, ":/" volume " ")) {
                print $3, pid
                exit
            }' "$1" "$process/mountinfo" 2>/dev/null
    done <"$OUT" >"$NOTES/containers"
}

# Ends the containers that still hold a dead mount: no remount reaches them, only their next start.
end_holders() {
    [ -s "$NOTES/dead" ] || return 0
    grep -v -x -F -- "$DEVICE" "$NOTES/dead" >"$NOTES/gone"
    containers "$NOTES/gone"
    # Ended at once, it would still be sent visitors, and answer none, for as long as it takes to start again.
    [ ! -s "$NOTES/containers" ] || sleep "$UNREADY_SECONDS"
    while read -r _ pid_of_container; do end_container "$pid_of_container"; done <"$NOTES/containers"
    # A device nobody holds any more is free to be another mount's.
    cut -d ' ' -f 1 "$NOTES/containers" | sort -u >"$NOTES/dead"
}

# Each pod is left alone for 10 s after the first time, then 20, 40 ... 640: something else is wrong with it then.
end_container() { # PID
    pod=$(pod_of "$1")
    now=$(date +%s) times=0 last=0
    { read -r times last <"$NOTES/ended-${pod:-none}"; } 2>/dev/null
    [ "$times" -eq 0 ] || [ "$now" -ge $((last + (10 << (times - 1)))) ] || return 0
    kill -KILL "$1" || return 0
    printf '%s %s\n' "$((times < 7 ? times + 1 : 7))" "$now" >"$NOTES/ended-${pod:-none}"
    ENDED="${ENDED:+$ENDED,}$1"
}

pod_of() { grep -o -E 'pod[0-9a-f]{8}[-_0-9a-f]{28}' "/proc/$1/cgroup" 2>/dev/null | head -n 1; } # PID

# --- status ----------------------------------------------------------------------------------------------------------

do_status() {
    mounted=false alive=false stale=false pid='' ANSWER=''
    if find_mount && is_volume "$VOLUME"; then
        mounted=true
        probe
        [ "$ANSWER" != ok ] || alive=true
        pid=$(client)
        # Its program was replaced while it ran: it is what was installed before.
        case $(readlink "/proc/$pid/exe" 2>/dev/null) in *' (deleted)') stale=true ;; esac
    fi
    find_guard
    unit='' enabled=''
    if [ -n "$UNIT" ]; then
        unit=$(timeout 10 systemctl is-active -- "$UNIT" 2>/dev/null)
        enabled=$(timeout 10 systemctl is-enabled -- "$UNIT" 2>/dev/null)
    fi
    printf '{"minion":"%s","path":"%s","mounted":%s,"fstype":"%s","source":"%s","options":"%s","settled":"%s","alive":%s,"answer":"%s","client":%s,"unit":"%s","enabled":"%s","owners":[%s],"guard":"%s","version":"%s","stale":%s}\n' \
        "$MINION" "$(json "$MOUNT")" "$mounted" "$(json "$FSTYPE")" "$(json "$SOURCE")" "$(json "$FLAGS")" \
        "$(json "$(cat "$STATE/settled" 2>/dev/null)")" "$alive" "$ANSWER" "${pid:-null}" "$(json "$unit")" "$(json "$enabled")" \
        "$(json_owners)" "$GUARD" "$(json "$(version)")" "$stale"
}

main() {
    case ${1-}:$# in
        mount:9 | update:9)
            use_mount "$5" "$6" "$8"
            use_owner "$2"
            use_servers "$3" "$4" "$7"
            DEPLOYER=$(deployer)
            lock 300
            do_mount "$1"
            ;;
        unmount:5)
            use_mount "$3" "$4" "$5"
            use_owner "$2"
            lock 300
            do_unmount
            ;;
        status:4)
            use_mount "$2" "$3" "$4"
            do_status
            ;;
        heal:[34])
            use_mount "$2" "$3" "$(machine)"
            [ -d "$STATE" ] || exit 0 # unmounted while the timer came
            lock 0 # whoever is at it now does what heal would do
            do_heal
            ;;
        watch:[34])
            use_mount "$2" "$3" "$(machine)"
            do_watch
            ;;
        *)
            printf 'glusterfarm: usage: mount|update OWNER PRIMARY BACKUPS VOLUME MOUNTPATH OPTIONS MINION GENERATION | unmount OWNER VOLUME MOUNTPATH MINION | status VOLUME MOUNTPATH MINION | heal|watch VOLUME MOUNTPATH\n' >&2
            exit 2
            ;;
    esac
}

main "$@" </dev/null

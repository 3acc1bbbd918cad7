"""A minion for the scripts' tests: this machine's kernel and programs, but nothing of this machine changes.

Its mounts, processes and network are in namespaces; /etc and /usr/sbin are overlays; /run, /mnt and /var/log are empty.
Only the programs that the scripts may rely on are on PATH, and what would reach out (systemctl, package managers) are
stubs that record how they were called. Mounts are real: `mount.glusterfs` starts tests/support/fusefs.py.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.remote_script import RemoteScript
from tests.support.constants import with_constants

FUSEFS = Path(__file__).with_name("fusefs.py")

# Everything a minion is expected to have: coreutils, util-linux, e2fsprogs, find, grep, sed, awk.
TOOLS = [
    "awk", "cat", "chattr", "chmod", "cksum", "cmp", "cp", "cut", "date", "env", "find", "flock", "getfattr", "grep",
    "head", "id", "kill", "ln", "ls", "lsattr", "mkdir", "mktemp", "mount", "mv", "nsenter", "readlink", "rm", "rmdir",
    "sed", "setsid", "sh", "sleep", "sort", "stat", "tail", "timeout", "touch", "tr", "umount", "unshare",
    "wc",
]  # fmt: skip

#: The machine asks the first server first, of two and of three.
MACHINE_ID = "00000000000000000000000000000009"

_SETUP = """
set -e
mount --make-rprivate /
ip link set lo up
mount -t tmpfs scratch "$1/overlay"
for directory in etc usr/sbin; do
    mkdir -p "$1/overlay/$directory/upper" "$1/overlay/$directory/work"
    mount -t overlay overlay \
        -o "lowerdir=/$directory,upperdir=$1/overlay/$directory/upper,workdir=$1/overlay/$directory/work" "/$directory"
done
for directory in run mnt var/log; do mount -t tmpfs "$directory" "/$directory"; done
mkdir -p /run/systemd/system /etc/logrotate.d /etc/systemd/system
printf '# static\\n' >/etc/fstab
printf '%s\\n' "$2" >/etc/machine-id
touch "$1/ready"
exec sleep infinity
"""

_RECORD = """#!/bin/sh
{ printf '%s\\037' "${0##*/}" "$@"; printf '\\n'; } >>"$CALLS"
"""

# It is a container from when it says so: until then it holds other mounts, and its file in /proc may be read too soon.
_CONTAINER = """
unshare --mount --pid --fork sh -c '
    mkdir -p /run/held && mount --bind "$1" /run/held && umount -l /mnt/glusterfs
    echo "$?" >"$2"
    exec sleep 300' container "$1" "/run/container-$$" >/dev/null 2>"/run/container-$$.log" &
timeout 30 sh -c 'until [ -s "$0" ]; do sleep 0.05; done' "/run/container-$$"
read -r status <"/run/container-$$"
[ "$status" = 0 ] || { cat "/run/container-$$.log" >&2; exit 1; }
read -r pid <"/proc/$!/task/$!/children"
printf '4:memory:/minion/%s/pod%s/c0ffee\\n' "$3" "$2" >"/run/cgroup-$pid"
mount --bind "/run/cgroup-$pid" "/proc/$pid/cgroup" && echo "$pid"
"""

# What systemd does with our units. A timer or a service that is active runs nothing.
_SYSTEMCTL = """
unit='' verb=''
for word in "$@"; do
    case $word in -*) ;; *.mount | *.timer | *.service) unit=$word ;; *) verb=$word ;; esac
done
file=/run/systemd/system/$unit
[ -e "$file" ] || file=/etc/systemd/system/$unit
wants=/etc/systemd/system/multi-user.target.wants
field() { sed -n "s/^$1=//p" "$file" | sed 's/%%/%/g'; }
case $verb:$unit in
restart:*.mount) umount "$(field Where)"; mount -t glusterfs -o "$(field Options)" "$(field What)" "$(field Where)" ;;
stop:*.mount) umount "$(field Where)" ;;
is-active:*.mount)
    where=$(systemd-escape --unescape --path -- "${unit%.mount}")
    grep -q -F " $where " /proc/self/mountinfo && echo active || { echo inactive; exit 3; } ;;
is-active:*) [ -e "/run/active-$unit" ] && echo active || { echo inactive; exit 3; } ;;
start:*) : >"/run/active-$unit" ;;
stop:*) rm -f "/run/active-$unit" ;;
is-enabled:*) [ -L "$wants/$unit" ] && echo enabled || { echo disabled; exit 1; } ;;
enable:*) mkdir -p "$wants" && ln -sf "$file" "$wants/$unit" ;;
disable:*) rm -f "$wants/$unit" "/run/active-$unit" ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run of a script gave."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> dict[str, Any]:
        """The one line of JSON that a success prints."""
        assert self.status == 0, self
        assert self.out.count("\n") == 1, self
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


class Machine:
    """The namespaces, the stubs and the ways to look."""

    def __init__(self, scratch: Path, *, shell: str = "/bin/sh") -> None:
        """Set one up below `scratch`, an empty directory; `shell` is what `sh` is to be there."""
        #: What the scripts' constants are instead, by name: see tests/support/constants.py.
        self.constants: dict[str, float] = {}
        self.calls_file = scratch / "calls"
        self.calls_file.touch()
        self.programs = scratch / "programs"
        self.programs.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool, path="/usr/bin:/bin:/usr/sbin:/sbin")
            if found:
                (self.programs / tool).symlink_to(found)
        (self.programs / "sh").unlink()
        (self.programs / "sh").symlink_to(shell)
        (self.programs / "systemd-escape").symlink_to("/usr/bin/systemd-escape")
        (scratch / "overlay").mkdir()
        self.holder = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "--net",
                "sh",
                "-c",
                _SETUP,
                "sh",
                scratch,
                MACHINE_ID,
            ],
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while not (scratch / "ready").exists():
            assert self.holder.poll() is None, "the namespaces cannot be made"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text()
        self.init = int(children.split()[0])
        self.root = Path(f"/proc/{self.init}/root")
        self.stub("systemctl", _SYSTEMCTL)
        self.stub("journalctl", "")
        self.stub("uname", "echo minion-1")
        self.install_client()

    @property
    def enter(self) -> list[str]:
        """The words that run a program in here."""
        return ["nsenter", f"--target={self.init}", "--mount", "--pid", "--net", "--wd=/", "--"]

    def close(self) -> None:
        """End everything that runs in here."""
        os.kill(self.init, signal.SIGKILL)
        self.holder.wait(timeout=20)

    def stub(self, name: str, body: str, directory: Path | None = None) -> None:
        """Put a program on PATH that records its arguments, then does `body` (sh)."""
        path = (directory or self.programs) / name
        path.unlink(missing_ok=True)
        path.write_text(_RECORD + body)
        path.chmod(0o755)

    @property
    def client_body(self) -> str:
        """What mount.glusterfs does: SOURCE PATH -o OPTIONS. The server's pid is left in /run/fusefs.pid."""
        return (
            "read_only=--read-write; case ,$4, in *,ro,*) read_only=--read-only ;; esac\n"
            f'{sys.executable} {FUSEFS} --pid-file=/run/fusefs.pid "$read_only" "$1" "$2" || exit\n'
        )

    def install_client(self, body: str | None = None) -> None:
        """Put a mount.glusterfs where mount(8) looks for it."""
        self.stub("mount.glusterfs", body or self.client_body, self.root / "usr/sbin")

    def remove_client(self) -> None:
        """Take mount.glusterfs away."""
        (self.root / "usr/sbin/mount.glusterfs").unlink()

    def command(self, *argv: str, stdin: str = "", timeout: float = 120) -> Result:
        """Run a program in the machine, with its PATH."""
        begun = time.monotonic()
        done = subprocess.run(
            [*self.enter, *argv],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={"PATH": str(self.programs), "CALLS": str(self.calls_file), "HOME": "/root"},
        )
        return Result(status=done.returncode, out=done.stdout, err=done.stderr, seconds=time.monotonic() - begun)

    def run(self, script: str, *args: str, resident: bool = False, timeout: float = 120) -> Result:
        """Run one of our scripts as a minion does: over stdin, by the command line that the program makes.

        Its constants are those of ``constants``, where that has them.
        """
        script_of_ours = RemoteScript(name=script)
        command = (script_of_ours.resident if resident else script_of_ours.over_stdin)(*args, sudo=False)
        text = with_constants(script_of_ours.text, self.constants)
        return self.command("sh", "-c", command, stdin=text, timeout=timeout)

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to one of the machine's processes, and wait until it has taken it."""
        assert self.command("sh", "-c", f"kill -{number} {pid}").status == 0
        time.sleep(0.3)

    def background(self, *argv: str) -> None:
        """Start a program that ends with the machine."""
        self.command("sh", "-c", '"$@" >/dev/null 2>&1 & sleep 0.3', "sh", *argv)

    def container(self, holds: str, *, pod: str = "", cgroup: str = "kubepods") -> int:
        """Start what the kubelet calls a container: the first process of a pid namespace, with mounts of its own, which
        hold what is mounted on a path. Gives its pid in the machine."""
        pod = pod or str(uuid.uuid4())
        started = self.command("sh", "-c", _CONTAINER, "sh", holds, pod, cgroup)
        assert started.status == 0, started
        return int(started.out)

    def runs(self, pid: int) -> bool:
        """Whether a process of the machine is there, and not just its remains."""
        state = self.command("sed", "s/.*) //", f"/proc/{pid}/stat").out
        return bool(state) and not state.startswith("Z")

    def calls(self, program: str) -> list[list[str]]:
        """Give the arguments of each call of a stub."""
        calls = [record.split("\x1f") for record in self.calls_file.read_text().split("\x1f\n")[:-1]]
        return [arguments for name, *arguments in calls if name == program]

    def changes(self) -> list[str]:
        """Give every file below /etc, /usr/sbin, /run, /mnt's bare side and /var/log that tests may write, dated."""
        found = self.command(
            "find", "/etc", "/usr/sbin", "/run", "/mnt", "/var/log", "-xdev", "-printf", "%p %T@ %C@ %s %m\n"
        )
        assert found.status == 0, found
        return sorted(found.out.splitlines())

    def path(self, path: str) -> Path:
        """Give the path, from outside, of a path in the machine. Not for what may be a dead mount."""
        return self.root / path.lstrip("/")

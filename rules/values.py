"""What a single value of the settings must be: its rule, an example, its form, why some texts are refused.

settings.py makes sentences of the texts here: a rule follows "must be", a reason "VALUE is refused:".
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, Strict

from rules import forms
from rules.rule import Rule

_NOT_A_HOST: Final = {
    "port": "a port has a key of its own, and an IPv6 address is written without brackets",
    "label": "its parts between the dots must have 1 to 63 characters, and no hyphen at either end",
    "zone": "a link-local address is valid on one network interface of one machine only. Write the machine's host name "
    "or an address that every deployer can reach",
    "number": "it ends in a number as an IPv4 address does, and is none",
}
Host = Annotated[
    str,
    Rule(
        "a host name or an IP address",
        "10.0.0.11",
        r"[A-Za-z0-9._:%\[\]-]+",
        flaw=forms.host,
        slip=forms.host_slip,
        reasons={
            **_NOT_A_HOST,
            "login": "the login name has a key of its own, user",
            "url": "leave out what is before and after the host name",
        },
    ),
]
Server = Annotated[
    str,
    Rule(
        "a host name (RFC 1123) or an IPv4 address, at most 63 long (mount.glusterfs drops longer ones)",
        "gluster-1",
        "[A-Za-z0-9.:-]+",
        longest=63,
        flaw=forms.server,
        slip=forms.server_slip,
        reasons={
            **_NOT_A_HOST,
            "port": "leave out the port: every Gluster server hands out its volumes at 24007",
            "source": "that is a server and a volume; write the part before the colon here, the name of the volume"
            " into gluster.volume",
            "url": "leave out what is before and after the host name",
            "ipv6": "Gluster joins its servers with colons, so none can be an IPv6 address; use a host name",
        },
    ),
]
_PORT: Final = "a whole number from 1 to 65535"
SshPort = Annotated[int, Strict(), Field(ge=1, le=65535), Rule(_PORT, 22)]
HttpPort = Annotated[int, Strict(), Field(ge=1, le=65535), Rule(_PORT, 80)]
User = Annotated[
    str,
    Rule(
        "a login name of at most 256 characters, without quotes, brackets and ; & | < > * ?",
        "farm",
        r"""[^\0'"`;&|<>*?(){}\[\]]+""",
        longest=256,
        flaw=forms.login,
        reasons={
            "control": "control characters are not allowed in a login name",
            "spaces": "a login name may not begin or end with a space",
            "colon": "a login name has no colon. Write the host and the port into keys of their own",
            "option": "a login name may not begin with a hyphen",
            "characters": "SSH programs send some of its characters in different ways (RFC 4013)",
        },
    ),
]
ED25519: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPxmVTlfJaYGSGjkMeD+4SKFDnfNYs0OrQdZJPFzS7ve"
HostKey = Annotated[
    str,
    Rule(
        "the machine's public host key, TYPE BASE64: `python -m ops inventory scan` collects it "
        "(compare its fingerprint: nothing is trusted on first use)",
        ED25519,
        "[A-Za-z0-9@.+/= -]+",
        longest=2000,
        flaw=forms.host_key,
        reasons={
            "host": "leave out the host name in front",
            "type": "it does not begin with ssh-ed25519, ssh-rsa or ecdsa-sha2-nistp256, -384 or -521",
            "comment": "leave out the comment after the key",
            "missing": "the key after its type is missing",
            "base64": "what follows the type is not base64",
            "other": "the type in front is not that of the key itself",
            "damaged": "the key is cut short or damaged",
        },
    ),
]
_LABEL: Final = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_DNS_NAME: Final = "small letters, digits, - and ., beginning and ending with a letter or digit"
MinionName = Annotated[
    str, Rule(f"a name of {_DNS_NAME}, at most 128", "minion-1", rf"{_LABEL}(\.{_LABEL})*", longest=128)
]
NodeName = Annotated[str, Rule(f"the name of a Kubernetes node: {_DNS_NAME}", "minion-1", rf"{_LABEL}(\.{_LABEL})*")]
Generation = Annotated[
    str,
    Rule(
        "a text of at most 128 letters, digits and . _ : + -, not beginning with -, that changes when the machine is "
        "made anew",
        "2",
        "([A-Za-z0-9._:+][A-Za-z0-9._:+-]*)?",
        longest=128,
    ),
]
State = Annotated[Literal["up", "down"], Rule("up or down", "up")]
Volume = Annotated[
    str,
    Rule(
        "the name of a Gluster volume: letters, digits, _ and -, not beginning with -",
        "MyVolume",
        "[A-Za-z0-9_][A-Za-z0-9_-]*",
        slip=forms.volume_slip,
        reasons={
            "source": "that is a server and a volume; write the server into gluster.servers, only the name of the"
            " volume here",
            "server": "that is a server; write it into gluster.servers without a port, and the name of the volume here",
            "slash": "leave out the slash before the name",
            "directory": "the whole volume is mounted, not a directory of it; write only the name of the volume",
        },
    ),
]
MountPath = Annotated[
    str,
    Rule(
        "an absolute path of at most 60 letters, digits and . _ - / (a systemd unit is named after it; unit files, "
        "fstab and shells read other characters differently)",
        "/mnt/glusterfs",
        "/[A-Za-z0-9._/-]*",
        longest=60,
        flaw=forms.mount_path,
        reasons={
            "plain": "it is not in its plain form, without '//', '.', '..' and a '/' at the end",
            "system": "that directory belongs to the system",
        },
    ),
]
_OWN: Final = "the program sets it itself, from servers and volume"
MountOption = Annotated[
    str,
    Rule(
        "a mount option, NAME or NAME=VALUE, of letters, digits and . _ : / = @ + -",
        "attribute-timeout=1",
        "[A-Za-z_][A-Za-z0-9_-]*(=[A-Za-z0-9._:/=@+-]+)?",
        flaw=forms.mount_option,
        reasons={
            "auto_unmount": "it turns a dead mount into an empty directory, which pods would go on serving",
            "kernel-writeback-cache": "with a write-back cache the minions see different content",
            "fopen-keep-cache": "Gluster mounts nothing when it has a value; write it bare: fopen-keep-cache",
            "fuse-mountopts": "it hands options to FUSE past this check",
            "remount": "a FUSE mount cannot be remounted; the program mounts anew when options change",
            "noauto": "the mount must be there after a reboot",
            **dict.fromkeys(("ro", "read-only", "worm"), "any minion may have to publish, so all mount read-write"),
            **dict.fromkeys(("backup-volfile-servers", "backupvolfile-server", "volfile-server"), _OWN),
            **dict.fromkeys(("volfile-servers", "volfile", "volfile-id", "volume-id", "volume-name"), _OWN),
            **dict.fromkeys(("subdir-mount", "log-file", "pid-file", "process-name"), "the program sets it itself"),
        },
    ),
]
_FILE: Final[dict[str, Any]] = {
    "allow": r"[^\0]+",
    "longest": 1000,
    "flaw": forms.path,
    "reasons": {
        "control": "control characters are not allowed in a path",
        "spaces": "a path may not begin or end with a space",
        "home": "'~' is not replaced by a home directory; write the path out",
        "option": "it would be read as an option; write ./ in front",
    },
}
InventoryPath = Annotated[
    str,
    Rule(
        "the path of an inventory file, seen from the project's directory (`python -m ops inventory import` makes one)",
        "inventory/prod.yaml",
        **_FILE,
    ),
]
Directory = Annotated[
    str, Rule("the path of a directory to publish, seen from the project's directory", "content", **_FILE)
]
_KUBECONFIG: Final = (
    "the path of a kubeconfig, seen from the project's directory (the environment's KUBECONFIG is never used)"
)
Kubeconfig = Annotated[str, Rule(_KUBECONFIG, ".kube/prod.yaml", **_FILE)]
Context = Annotated[
    str,
    Rule(
        "the name of a context of the kubeconfig: letters, digits and . _ : / @ + -",
        "admin@prod",
        "[A-Za-z0-9][A-Za-z0-9._:/@+-]*",
    ),
]
Namespace = Annotated[
    str,
    Rule(
        "the name of a namespace: small letters, digits and inner hyphens, at most 63, and not kube-... "
        "(Kubernetes' own)",
        "glusterfarm",
        f"(?!kube-){_LABEL}",
        longest=63,
    ),
]
Site = Annotated[
    str,
    Rule(
        "the name of one directory: letters, digits and . _ -, beginning with a letter or digit, at most 63",
        "php",
        "[A-Za-z0-9][A-Za-z0-9._-]*",
        longest=63,
    ),
]
_IMAGE_PART: Final = "[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*"
_IMAGE_HOST: Final = r"[A-Za-z0-9]+(-+[A-Za-z0-9]+)*(\.[A-Za-z0-9]+(-+[A-Za-z0-9]+)*)*(:[0-9]{1,5})?"
Image = Annotated[
    str,
    Rule(
        "an image reference, [REGISTRY/]NAME[:TAG][@sha256:DIGEST], the name in small letters",
        "php:8.2-apache",
        rf"({_IMAGE_HOST}/)?{_IMAGE_PART}(/{_IMAGE_PART})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?",
        longest=500,
    ),
]
Replicas = Annotated[int, Strict(), Field(ge=0, le=10_000), Rule("a whole number of pods from 0 to 10000", 2)]
Variable = Annotated[
    str,
    Rule(
        "the name of an environment variable: letters, digits and _, not beginning with a digit",
        "APP_ENV",
        "[A-Za-z_][A-Za-z0-9_]*",
        flaw=str,
        reasons={"PHP_INI_SCAN_DIR": "the program sets it, so that PHP does not go on serving an old release"},
    ),
]
VariableValue = Annotated[
    str,
    Rule(
        "a text without NUL, at most 32768 characters long",
        "production",
        r"[^\0]*",
        longest=32768,
        hidden=True,
    ),
]
ProbePath = Annotated[
    str,
    Rule(
        "the path of a page in a URL: beginning with one /, what URLs do not allow written as %XX",
        "/index.php",
        "/(?!/)([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*",
        longest=1000,
    ),
]
ServiceType = Annotated[
    Literal["ClusterIP", "NodePort", "LoadBalancer"], Rule("ClusterIP, NodePort or LoadBalancer", "NodePort")
]
NodePort = Annotated[int, Strict(), Field(ge=30000, le=32767), Rule("a whole number from 30000 to 32767", 30080)]
Verifiers = Annotated[int, Strict(), Field(ge=1, le=10_000), Rule("a whole number of minions from 1 to 10000", 5)]
Unreachable = Annotated[int, Strict(), Field(ge=0, le=10_000), Rule("a whole number of minions from 0 to 10000", 1)]
Switch = Annotated[bool, Strict(), Rule("true or false", True)]
PrivateKey = Annotated[
    str,
    Rule(
        "a private key without a passphrase, as ssh-keygen writes it",
        "`pulumi config set --secret sshPrivateKey < FILE`",
        r"[^\0]+",
        longest=20_000,
        flaw=forms.private_key,
        reasons={
            "public": "it is a public key",
            "form": "it is not a private key, or has lost its line breaks",
            "passphrase": "it has a passphrase, which nobody can type here; put it into an ssh-agent instead",
            "base64": "what is between its first and last line is not base64",
            "damaged": "it is cut short or damaged",
        },
        hidden=True,
    ),
]

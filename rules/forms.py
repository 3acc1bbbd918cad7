"""What can be wrong with a text that has the right characters: each function names the flaw, or gives None.

The reason that a user reads for each flaw is in values.py.
"""

from __future__ import annotations

import base64
import ipaddress
import posixpath
import re
import stringprep
import unicodedata
from typing import Final

_SSH_PUBLIC_PARTS: Final = {"ssh-ed25519": 2, "ssh-rsa": 3} | {f"ecdsa-sha2-nistp{bits}": 3 for bits in (256, 384, 521)}
_ED25519_BYTES: Final = 32
_IPV6: Final = 6

_SYSTEM_DIRECTORIES: Final = re.compile("/(home|lost[+]found|media|mnt|opt|root|srv|var(/(cache|lib|log|spool|www))?)?")
_SYSTEM_TREES: Final = re.compile(
    "/(bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|run|sbin|sys|tmp|usr"
    "|var/(lock|run|tmp|lib/(containerd|docker|glusterd|kubelet)))(/.*)?"
)

#: What RFC 4013 forbids in a login name, besides what is not printable.
_NOT_IN_LOGINS: Final = (
    stringprep.in_table_a1,
    stringprep.in_table_b1,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
)

#: What an image has nothing to put in place of, were it hidden by a mount.
_VITAL: Final = re.compile(
    "/|/(boot|dev|proc|sys|etc)(/.*)?|/(bin|lib|lib32|lib64|libx32|sbin|run|tmp|var|usr)"
    "|/usr/(bin|lib|lib64|libexec|local|sbin|share)|/usr/(lib|local/(bin|lib|sbin))(/.*)?|/var/(lib|run|tmp)"
)
_OF_THE_CONTAINER: Final = {
    "program": re.compile("/(etc|srv)/glusterfarm(/.*)?"),
    "system": re.compile("/var|/(bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|sbin|sys|usr)(/.*)?"),
}

_SAME_OPTION: Final = {"auto-unmount": "auto_unmount"} | dict.fromkeys(
    ("writeback-cache", "writeback_cache", "kernel_writeback_cache"), "kernel-writeback-cache"
)


def host(value: str) -> str | None:
    """Flaws of a host name or an IP address: "port", "label", "number", "zone".

    An underscore is not in RFC 1123, but resolvers accept it and machines are named so.
    """
    if "%" in value:
        return "zone"
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        label = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
        if re.search(r"[:\[\]]", value):
            return "port"
        if not re.fullmatch(rf"{label}(\.{label})*", value):
            return "label"
        return "number" if value.rpartition(".")[2].isdigit() else None
    return "zone" if address.version == _IPV6 and address.is_link_local else None


def login(value: str) -> str | None:
    """Flaws of a login name: "control", "spaces", "colon", "option", "characters"."""
    if not value.isprintable():
        return "control"
    if value != value.strip():
        return "spaces"
    if ":" in value:
        return "colon"
    if value[0] == "-":
        return "option"
    return None if _is_prepared(value) else "characters"


def _is_prepared(text: str) -> bool:
    """Whether SASLprep (RFC 4013), which one of our SSH programs applies and the other does not, changes nothing."""
    if unicodedata.ucd_3_2_0.normalize("NFKC", text) != text:
        return False
    if any(is_in(it) for it in text for is_in in _NOT_IN_LOGINS):
        return False
    if not any(map(stringprep.in_table_d1, text)):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(map(stringprep.in_table_d2, text))


def host_slip(value: str) -> str | None:
    """What was written for a host with characters that no host has: "url", "port", "login"."""
    if "://" in value:
        return "url"
    if value.startswith("["):
        return "port"
    return "login" if "@" in value else None


def server(value: str) -> str | None:
    """Flaws of a Gluster server: those of a host, and "ipv6"."""
    return "ipv6" if value.count(":") > 1 else host(value)


def server_slip(value: str) -> str | None:
    """What was written for a server with characters that no server has: "url", "ipv6", "source"."""
    if "://" in value:
        return "url"
    if value.startswith("["):
        return "ipv6"
    return "source" if ":/" in value else None


def volume_slip(value: str) -> str | None:
    """What was written for a volume with characters that no volume has: "source", "server", "slash", "directory"."""
    if ":" in value:
        return "source" if ":/" in value else "server"
    if value.startswith("/"):
        return "slash"
    return "directory" if "/" in value else None


def path(value: str) -> str | None:
    """Flaws of a path on the deployer's machine: "control", "spaces", "home", "option"."""
    if not value.isprintable():
        return "control"
    if value != value.strip():
        return "spaces"
    return {"~": "home", "-": "option"}.get(value[0])


def mount_path(value: str) -> str | None:
    """Flaws of an absolute path to mount on: "plain" (it is not in its plain form), "system"."""
    if value != "/" and {"", ".", ".."} & set(value.split("/")[1:]):
        return "plain"
    return "system" if _SYSTEM_DIRECTORIES.fullmatch(value) or _SYSTEM_TREES.fullmatch(value) else None


def mount_option(value: str) -> str | None:
    """The option's name, in one of its spellings; None for the one that is right only when bare."""
    name = value.partition("=")[0]
    return None if value == "fopen-keep-cache" else _SAME_OPTION.get(name, name)


def host_key(value: str) -> str | None:
    """Flaws of TYPE BASE64: "host", "type", "comment", "missing", "base64", "other", "damaged"."""
    kind, *rest = value.split(" ")
    if kind not in _SSH_PUBLIC_PARTS:
        return "host" if rest and rest[0] in _SSH_PUBLIC_PARTS else "type"
    if len(rest) != 1:
        return "comment" if rest else "missing"
    try:
        blob = base64.b64decode(rest[0], validate=True)
    except ValueError:
        return "base64"
    parts: list[bytes] = []
    while blob and len(blob) >= (end := 4 + int.from_bytes(blob[:4], "big")):
        parts.append(blob[4:end])
        blob = blob[end:]
    if parts and parts[0] != kind.encode():
        return "other"
    whole = not blob and len(parts) == _SSH_PUBLIC_PARTS[kind]
    return None if whole and (kind != "ssh-ed25519" or len(parts[1]) == _ED25519_BYTES) else "damaged"


def private_key(value: str) -> str | None:
    """Flaws of an OpenSSH or PEM private key: "public", "form", "passphrase", "base64", "damaged"."""
    text = value.strip().replace("\r\n", "\n")
    form = re.fullmatch(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----\n(.+)\n-----END \1-----", text, re.DOTALL)
    if form is None:
        public = text.startswith(("ssh-", "ecdsa-", "-----BEGIN PUBLIC", "---- BEGIN SSH2 PUBLIC"))
        return "public" if public else "form"
    if "ENCRYPTED" in text:
        return "passphrase"
    try:
        blob = base64.b64decode("".join(form[2].split()), validate=True)
    except ValueError:
        return "base64"
    magic = b"openssh-key-v1\0" if form[1].startswith("OPENSSH") else b""
    if not blob.startswith(magic):
        return "damaged"
    return "passphrase" if magic and not blob.startswith(magic + b"\0\0\0\4none") else None


def writable_path(value: str) -> str | None:
    """Flaws of a directory in a container that is to be writable: "plain", "program", "system"."""
    if value != posixpath.normpath(value) or value.startswith("//"):
        return "plain"
    return next((flaw for flaw, trees in _OF_THE_CONTAINER.items() if trees.fullmatch(value)), None)


def docroot(value: str) -> str | None:
    """Flaws of a document root in a container: "plain", "top"."""
    if value != posixpath.normpath(value) or value.startswith("//"):
        return "plain"
    return "top" if _VITAL.fullmatch(posixpath.dirname(value)) else None


def cidr(value: str) -> str | None:
    """Flaws of a range of addresses: "address", "bits"."""
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return "address"
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return "bits"
    return None

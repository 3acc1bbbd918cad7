"""Secrets are masked by what Pulumi says, by their own form, and by the name that they stand under."""

from __future__ import annotations

import pytest

from ops.preview.scrub import SECRET, UNKNOWN, Scrub
from tests.support.stack import host_key, private_key

SIGNATURE = "4dabf18193072939515e22adb298388d"
KEY = private_key()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


SECRETS = [
    (f"loading {KEY} failed", KEY.splitlines()[1]),
    (f"loading {KEY} failed", KEY.splitlines()[-2]),
    (KEY.replace("\n", "\\n"), KEY.splitlines()[2]),
    ("".join(KEY.splitlines(keepends=True)[1:3]), KEY.splitlines()[2]),
    (KEY[: len(KEY) // 2], KEY.splitlines()[1]),
    ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0\n\nc2VjcmV0\n", "c2VjcmV0"),
    ("curl -H 'Authorization: Bearer hunter2' x", "hunter2"),
    ('{"Authorization": "Basic aHVudGVyMg=="}', "aHVudGVyMg=="),
    ("authorization: token hunter2", "hunter2"),
    ("sent bearer a1b2c3d4e5f6", "a1b2c3d4e5f6"),
    ("GET https://site:hunter2@example.org/", "hunter2"),
    ("pul-" + "0123456789" * 4, "0123456789"),
    ("ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2", "A1b2C3d4E5f6"),
    ("AKIA" + "ABCDEFGHIJKLMNOP", "ABCDEFGH"),
    (JWT, "eyJzdWIi"),
    ("secure: v1:6tqbxONFTXuSQPf6:HH7re3uLXAMh8qgZ5j2z9Z9GbVhgDQ==", "HH7re3uL"),
    ("mysql --password=hunter2 site", "hunter2"),
    ("DB_PASSWORD='hunter2'", "hunter2"),
    ('{"sshPrivateKey": "hunter2", "a": 1}', "hunter2"),
    ("  sshPrivateKey: hunter2\n  other: 1", "hunter2"),
    ("?access_token=hunter2&x=1", "hunter2"),
]


# A key is made anew each time, and every worker must find the same names.
@pytest.mark.parametrize(("text", "secret"), SECRETS, ids=map(str, range(len(SECRETS))))
def test_a_secret_in_a_text(text: str, secret: str) -> None:
    scrubbed = Scrub().text(text)

    assert secret in text
    assert secret not in scrubbed
    assert SECRET in scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "glusterfarm:sshPrivateKey: the value (not shown) is in plain text. It must be encrypted",
        f"hostKey: {host_key('minion-1')}",
        "Authorization is needed",
        "basic authentication failed",
        "ssh://farm@192.0.2.1/",
        "644 11 8ded55554bcb about.html",
        "no SSH key: SSH_AUTH_SOCK names no ssh-agent",
        "php@sha256:" + "0123456789abcdef" * 4,
    ],
)
def test_what_is_none_is_left(text: str) -> None:
    assert Scrub().text(text) == text


def test_what_pulumi_masks_and_what_stands_under_the_name_of_a_secret() -> None:
    value = {
        "connection": {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x:y", "plaintext": '"hunter2"'},
        "asset": {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "text": "hunter2"},
        "sshPrivateKey": "hunter2",
        "environment": {"GLUSTERFARM_SSH_PRIVATE_KEY": "hunter2", "EMPTY_PASSWORD": ""},
        "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "DB_HOST", "value": "db-1"}],
        "passwords": ["hunter2"],
        "automountServiceAccountToken": False,
        "command": "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    }

    scrubbed = Scrub().value(value)

    assert "hunter2" not in str(scrubbed)
    assert scrubbed["connection"] == scrubbed["sshPrivateKey"] == SECRET
    assert scrubbed["environment"]["EMPTY_PASSWORD"] == ""
    assert scrubbed["env"][1] == {"name": "DB_HOST", "value": "db-1"}
    assert scrubbed["automountServiceAccountToken"] is False
    assert scrubbed["command"] == UNKNOWN


def test_the_secrets_of_the_environment_wherever_they_stand() -> None:
    environment = {
        "PULUMI_CONFIG_PASSPHRASE": "correct horse battery",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
        "GLUSTERFARM_SSH_PRIVATE_KEY": KEY,
        "STAGE_TOKEN": "short",
        "HOME": "/home/somebody/in/particular",
    }
    scrub = Scrub.of(environment)
    text = f"correct horse battery wJalrXUtnFEMI/K7MDENG {KEY.splitlines()[3]} short /home/somebody/in/particular"

    assert scrub.text(text) == f"{SECRET} {SECRET} {SECRET} short /home/somebody/in/particular"
    assert scrub.file(text) == scrub.text(text)


def test_code_that_speaks_of_secrets_is_left_and_a_heading_hides_nothing() -> None:
    code = "$token = $_POST['token'];\n$header = '-----BEGIN PRIVATE KEY-----';\nsystem($_GET['x']);\n"

    assert Scrub().file(code) == code.replace("-----BEGIN PRIVATE KEY-----", SECRET)

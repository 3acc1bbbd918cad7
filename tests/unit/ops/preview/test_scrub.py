"""Secrets are masked by what Pulumi says, by their own form, and by the name that they stand under."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from ops.preview.scrub import SECRET, UNKNOWN, Scrub
from rules.secret_names import names_a_secret
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


LINES = KEY.splitlines()
BODY = LINES[2]
ENCODED_KEYS = {
    "JSON in a quoted message": json.dumps(json.dumps({"key": KEY})),
    "thrice": json.dumps(json.dumps(json.dumps(KEY))),
    "JSON with escaped characters": KEY.replace("\n", r"\u000a").replace("+", r"\u002b").replace("/", r"\/"),
    "hexadecimal escapes": KEY.replace("\n", r"\x0a"),
    "Windows line ends, escaped": KEY.replace("\n", r"\r\n"),
    "a URL": quote(KEY),
    "a URL with every character": quote(KEY, safe="").replace("-", "%2D"),
    "a form": quote_plus(KEY),
    "a URL in a URL": quote(quote(KEY)),
    "HTML": KEY.replace("\n", "&#10;"),
    "a diff": "\n".join(f"- {line}" for line in LINES) + "\n",
    "a diff, added": "\n".join(f"+    {line}" for line in LINES) + "\n",
    "a comment": "\n".join(f"# {line}" for line in LINES) + "\n",
    "texts joined": " +\n".join(f'  "{line}\\n"' for line in LINES),
    "PGP": f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 2\n\n{BODY}\n=aB3d\n-----END PGP PRIVATE KEY BLOCK-----",
    "SSH2": f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: me\n{BODY}\n",
    "PuTTY": f"Encryption: none\nPrivate-Lines: 1\n{BODY}\nPrivate-MAC: 1",
}


@pytest.mark.parametrize("text", ENCODED_KEYS.values(), ids=ENCODED_KEYS)
def test_a_private_key_is_masked_in_every_encoding(text: str) -> None:
    scrubbed = Scrub().file(f"cannot use {text} here")

    assert SECRET in scrubbed
    for line in LINES[1:-1]:
        assert line[:20] not in scrubbed


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("before", ["", "x/", "cert: "])
def test_a_private_key_in_base64_is_masked(times: int, before: str) -> None:
    encoded = f"clients:\n- key: {KEY}"
    for _ in range(times):
        encoded = base64.encodebytes(encoded.encode()).decode().replace("\n", "" if times == 1 else "\n")

    assert Scrub().file(f"{before}{encoded}") == f"{before if before == 'cert: ' else ''}{SECRET}" + "\n" * (times > 1)


def test_a_private_key_in_hexadecimal_digits_is_masked() -> None:
    assert Scrub().file(f"<{KEY.encode().hex()}>") == f"<{SECRET}>"


def test_what_only_looks_like_an_encoded_key_is_left() -> None:
    certificate = base64.b64encode(f"-----BEGIN CERTIFICATE-----\n{BODY}\n".encode()).decode()
    path = "/mnt/glusterfs/php/slots/a/wp-content/uploads/2026/11/a-very-long-name-of-a-picture-of-a-cat"

    assert Scrub().text(f"{certificate} {path} {'0123456789abcdef' * 8}") == (
        f"{certificate} {path} {'0123456789abcdef' * 8}"
    )


SECRET_NAMES = [
    *(
        "DB_PASS",
        "MYSQL_PWD",
        "APP_KEY",
        "AUTH_SALT",
        "LOGGED_IN_KEY",
        "NONCE_SALT",
        "SMTP_PASSWD",
        "DB_PW",
        "SENTRY_DSN",
    ),
    *(
        "REDIS_AUTH",
        "MYSQLPASSWORD",
        "GITHUB_TOKEN",
        "STRIPE_SK_KEY",
        "SESSION_SECRET",
        "AWS_CREDS",
        "dbPass",
        "db-pass",
    ),
]
OTHER_NAMES = [
    *(
        "APP_ENV",
        "PWD",
        "OLDPWD",
        "KEYBOARD",
        "COMPASS_URL",
        "SSH_PUBLIC_KEY",
        "DB_PASSWORD_FILE",
        "TOKEN_TTL",
        "AUTHOR",
    ),
    *(
        "CACHE_KEY",
        "AWS_ACCESS_KEY_ID",
        "PASSENGER_APP_ENV",
        "MONKEY",
        "SALTED_HASHING",
        "hostKey",
        "key",
        "DB_HOST",
        "",
    ),
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_the_name_of_a_secret(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_a_name_of_something_else(name: str) -> None:
    assert not names_a_secret(name)


def test_the_pods_environment_is_masked_by_its_names() -> None:
    """php.env in a pod template, and the same in a message."""
    names = ["DB_PASS", "MYSQL_PWD", "APP_KEY", "SECURE_AUTH_SALT"]
    env = [{"name": name, "value": "correct horse"} for name in names]
    scrubbed = Scrub().value({"env": [*env, {"name": "APP_ENV", "value": "production"}], "topologyKey": "hostname"})

    assert scrubbed == {
        "env": [*({"name": name, "value": SECRET} for name in names), {"name": "APP_ENV", "value": "production"}],
        "topologyKey": "hostname",
    }
    for form in ("%s='correct horse'", '"%s": "correct horse"', "%s=horse", "export %s=horse; x"):
        for name in names:
            assert "horse" not in Scrub().text(form % name)
            assert name in Scrub().text(form % name)
    assert Scrub().text("DB_PASS: horse\nAPP_KEY: horse") == f"DB_PASS: {SECRET}\nAPP_KEY: {SECRET}"
    message = "glusterfarm:php.env.DB_PASS: seems to be a secret"
    assert Scrub().text(message) == message
    assert Scrub().text("APP_ENV='correct horse'") == "APP_ENV='correct horse'"


@pytest.mark.parametrize(
    "text",
    [
        "mysqli.default_pw = 'horse'",
        'mysqli.default_pw="horse"',
        "session.save_path = 'tcp://redis:6379?auth=horse&weight=1'",
    ],
)
def test_the_secrets_of_a_php_ini_are_masked(text: str) -> None:
    assert "horse" not in Scrub().text(text)


def test_a_known_secret_is_masked_in_every_encoding() -> None:
    secret = 'correct "horse" & battery/staple'
    scrub = Scrub.of({"STAGE_PASS": secret, "PWD": "/home/somebody/in/particular"})
    forms = [
        *(secret, json.dumps(secret), json.dumps(json.dumps(secret)), html.escape(secret), quote(secret, safe="")),
        *(quote_plus(secret), base64.b64encode(secret.encode()).decode()),
    ]
    for form in forms:
        assert "horse" not in scrub.text(form)
        assert SECRET in scrub.text(form)
    assert scrub.text("/home/somebody/in/particular") == "/home/somebody/in/particular"


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

"""adopt.sh, with publish.sh's functions: what is served moves into a slot, whenever that is cut off."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from components.remote_script import RemoteScript
from publisher.history import Note, parse_log
from tests.scripts.publish_sh.test_log import DYING_MV
from tests.scripts.publish_sh.test_writing import HOSTILE
from tests.support.examples import examples
from tests.support.publish_script import TOKEN, Volume, archive, records, sha256
from tests.support.sshd import in_namespace

ADOPTED = Note(kind="adopted", who="me").text()


@dataclass(kw_only=True)
class Foreign(Volume):
    """A volume with a site that no publish made."""

    docroot: str = "auto"

    def start(self, verb: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a verb of adopt.sh, or one of publish.sh that it has not."""
        if verb in ("state", "live", "log", "flip", "begin", "extract", "commit"):
            return super().start(verb, *words)
        adopt, publish = RemoteScript(name="adopt").text, self.script().read_text()
        place = (self.minion, str(self.mount), self.name, self.site, self.docroot)
        return subprocess.Popen(
            in_namespace(self.mountinfo, *self.shell, "-c", adopt, "adopt", publish, verb, *place, *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | self.environment,
            umask=self.umask,
        )

    def make(self, files: dict[bytes, bytes], where: str = "html") -> str:
        """Put files there; give the manifest's text."""
        (self.path / where).mkdir(parents=True)
        stream = archive(files)
        subprocess.run(["tar", "-x", "-m", "--no-same-owner"], cwd=self.path / where, input=stream, check=True)
        return "".join(f"755 {len(body)} {sha256(body)} {name.decode()}\n" for name, body in sorted(files.items()))

    def take(self, text: str) -> list[bytes]:
        return self.run("take", TOKEN, sha256(text.encode())[:12], ADOPTED, data=text.encode()).splitlines()


@pytest.fixture
def foreign(shell: str, tmp_path: Path) -> Iterator[Foreign]:
    mount = tmp_path / "mnt gluster\\fs"
    mount.mkdir()
    made = Foreign(shell=[shell], scratch=tmp_path, mount=mount)  # noqa: S604 (which shell it is)
    yield made
    made.unlock()


@pytest.mark.every_shell
@pytest.mark.parametrize("what", ["html", "site"])
def test_what_is_served_is_moved_and_not_copied(foreign: Foreign, what: str) -> None:
    text = foreign.make({b"index.php": b"1", b"d/page": b"2"}, "html" if what == "html" else ".")
    root = foreign.path / "html" if what == "html" else foreign.path
    inodes = {name: (root / name).stat().st_ino for name in ("index.php", "d/page")}
    running_pod = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    assert json.loads(foreign.run("survey")) == {"what": what}
    foreign.lock()
    gap, line = foreign.take(text)
    assert 0 < json.loads(gap)["gap"] < 10_000
    (record,) = parse_log(line)
    assert (record.kind, record.slot, record.replaced, record.files, record.added) == ("adopted", "a", None, 2, 2)
    assert json.loads(foreign.run("live")) == {"slot": "a", "release": sha256(text.encode())[:12]}
    assert {name: (foreign.path / "html" / name).stat().st_ino for name in inodes} == inodes
    with os.fdopen(os.open("index.php", os.O_RDONLY, dir_fd=running_pod)) as page:
        assert page.read() == "1", "whoever had it open goes on"
    os.close(running_pod)
    assert (foreign.state()["live"], foreign.state()["previous"]) == ("a", None)
    foreign.unlock()
    assert [path.name for path in foreign.mount.iterdir()] == ["php"]
    assert parse_log(foreign.run("log")) == [record]
    assert "there is nothing to adopt; publish" in foreign.refusal("survey")


@pytest.mark.every_shell
def test_a_publish_after_it_keeps_what_is_the_same_with_the_modes_of_a_publish(foreign: Foreign) -> None:
    foreign.umask = 0
    text = foreign.make({b"page": b"1", b"secret": b"s"})
    html = foreign.path / "html"
    html.chmod(0o750)
    os.chown(html / "secret", 33, 33)
    (html / "secret").chmod(0o4711)
    foreign.lock()
    foreign.take(text)
    assert (foreign.path / "html" / "secret").stat().st_mode & 0o7777 == 0o4711, "nothing that is served changes"
    for slot in "bc":
        foreign.publish(slot, {b"x": slot.encode()})
    kept = (foreign.path / "slots" / "a" / "secret").stat().st_ino
    foreign.run("begin", TOKEN, "a", "delta", data=b"page\0")
    secret = (foreign.path / "slots" / "a" / "secret").stat()
    assert (secret.st_ino, secret.st_mode & 0o7777, secret.st_uid) == (kept, 0o755, os.geteuid())
    assert (foreign.path / "slots" / "a").stat().st_mode & 0o7777 == 0o755
    assert not (foreign.path / "slots" / "a.adopted").exists()


@pytest.mark.every_shell
def test_names_of_any_kind_are_listed_and_hashed(foreign: Foreign) -> None:
    files = {name: name * 2 for name in HOSTILE}
    (foreign.path / "html").mkdir(parents=True)
    subprocess.run(["tar", "-x"], cwd=foreign.path / "html", input=archive(files), check=True)
    (foreign.path / "html" / "link").symlink_to("a b")
    listed = foreign.run("list").split(b"\0")[:-1]
    stats = [stat.split(b" ", 4) for stat in listed[::2]]
    paths = {stat[4]: (stat[0], target) for stat, target in zip(stats, listed[1::2], strict=True)}
    assert paths == dict.fromkeys(HOSTILE, (b"f", b"")) | {
        b"d": (b"d", b""),
        b"d/er": (b"d", b""),
        b"link": (b"l", b"a b"),
    }
    seen = foreign.run("digests", data=b"".join(b"./" + name + b"\0" for name in HOSTILE))
    assert {path[2:]: digest for digest, path in records(seen)} == {name: sha256(body) for name, body in files.items()}


@pytest.mark.every_shell
def test_links_that_lead_out_are_told(foreign: Foreign) -> None:
    foreign.make({b"d/page": b"1"})
    html = foreign.path / "html"
    for name, target in {
        "in": "d/page",
        "d/up": "../d",
        "dangling": "nowhere/at all",
        "absolute": "/etc/passwd",
        "self": "self",
        "out\n1": "../other",
        "d/out 2": "../../x",
        "round": "../html/d",
    }.items():
        (html / name).symlink_to(target)
    assert sorted(foreign.run("leaving").split(b"\0")[:-1]) == [b"./d/out 2", b"./out\n1"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        ("true", "php does not exist"),
        ("mkdir php", "php is empty: there is nothing to adopt; publish"),
        ("mkdir -p php/html", "php/html is empty: there is nothing to adopt"),
        ("mkdir elsewhere; ln -s elsewhere php", "php is a symbolic link"),
        ("echo file >php", "php is not a directory"),
        ("mkdir php; ln -s /srv php/html", "php/html is a link; put the directory that it leads to in its place"),
        ("mkdir -p php/html; touch php/html/a php/index.php", "say which of the two is served"),
    ],
)
def test_what_cannot_be_adopted_is_said_and_left_alone(foreign: Foreign, make: str, said: str) -> None:
    subprocess.run(["sh", "-ec", make], cwd=foreign.mount, check=True)
    before = sorted(foreign.mount.rglob("*"))
    for verb in (("survey",), ("list",), ("hold", TOKEN, "me", "60")):
        assert said in foreign.refusal(*verb)
    assert sorted(foreign.mount.rglob("*")) == before


def test_which_of_two_is_served_can_be_said(foreign: Foreign) -> None:
    text = foreign.make({b"index.php": b"1", b"html/page": b"2"}, ".")
    foreign.docroot = "html"
    assert json.loads(foreign.run("survey")) == {"what": "html"}
    foreign.docroot = "site"
    assert json.loads(foreign.run("survey")) == {"what": "site"}
    foreign.lock()
    foreign.take(text)
    assert (foreign.path / "html" / "html" / "page").read_text() == "2"


@pytest.mark.parametrize("what", ["html", "site"])
def test_one_at_a_time_and_nothing_is_left_of_one_that_was_given_up(foreign: Foreign, what: str) -> None:
    text = foreign.make({b"index.php": b"1"}, "html" if what == "html" else ".")
    foreign.lock(holder="me@here")
    foreign.constants["HANDOVER_SECONDS"] = 0.2
    assert "me@here, through minion-1; wait until it has ended" in foreign.refusal("hold", "f" * 16, "them", "60")
    assert "did not arrive whole" in foreign.refusal("take", TOKEN, "0" * 12, ADOPTED, data=text.encode())
    said = foreign.refusal("take", "f" * 16, sha256(text.encode())[:12], ADOPTED, data=text.encode())
    assert "no longer holds the lock" in said
    foreign.unlock()
    assert [path.name for path in foreign.mount.iterdir()] == ["php"]
    assert "holds files that no publish put there; take them over with `python -m ops adopt`" in foreign.refusal(
        "state"
    )
    foreign.lock()
    foreign.take(text)
    assert (foreign.path / "html" / "index.php").read_text() == "1"


# The first puts the log's new text there, the second moves what is served, the third ends it, the fourth is the log's.
@pytest.mark.every_shell
@pytest.mark.parametrize(
    ("what", "fatal", "when"),
    examples(
        list(product(("html", "site"), (1, 2, 3, 4), ("before", "after"))),
        ("html", 2, "before"),
        ("html", 2, "after"),
        ("site", 2, "after"),
        ("html", 3, "after"),
    ),
)
def test_wherever_it_is_killed_it_was_not_or_can_be_finished(
    foreign: Foreign, what: str, fatal: int, when: str
) -> None:
    text = foreign.make({b"index.php": b"1"}, "html" if what == "html" else ".")
    served = foreign.path / "html" if what == "html" else foreign.path
    foreign.lock()
    stubs = foreign.scratch / "stubs"
    stubs.mkdir()
    (foreign.scratch / "count").write_text("0")
    # In here the script is no file but a word: that is what tells its shell.
    stub = DYING_MV.format(scratch=f"'{foreign.scratch}'", when=when, fatal=fatal, mv="/bin/mv")
    (stubs / "mv").write_text(stub.replace("-qF components/scripts/publish.sh", "-qF still_ours"))
    (stubs / "mv").chmod(0o755)
    foreign.environment["PATH"] = f"{stubs}:{os.environ['PATH']}"
    with foreign.start("take", TOKEN, sha256(text.encode())[:12], ADOPTED) as process:
        process.communicate(text.encode(), timeout=60)
    assert process.returncode == -9
    assert (foreign.scratch / "count").read_text().strip() == str(fatal)
    del foreign.environment["PATH"]
    foreign.unlock()

    step = fatal + (when == "after")
    if step <= 2:
        assert (served / "index.php").read_text() == "1"
        assert "ops adopt" in foreign.refusal("state")
        foreign.lock()
        foreign.take(text)
    elif step == 3:
        if what == "site":
            assert "was cut off; run `python -m ops adopt`" in foreign.refusal("state")
        assert json.loads(foreign.run("survey")) == {"what": "cut"}
        foreign.lock()
        assert parse_log(foreign.run("finish", TOKEN))[0].kind == "adopted"
    assert json.loads(foreign.run("live"))["slot"] == "a"
    assert (foreign.path / "html" / "index.php").read_text() == "1"
    foreign.unlock()
    assert [record.kind for record in parse_log(foreign.run("log"))] == ["adopted"]
    assert [path.name for path in foreign.mount.iterdir()] == ["php"]

"""The words for ssh in Ansible's variables: which machine they go through, and what is left over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.inventory.ssh_options import Jump, UnreadableOptionsError, read

GATE = Jump(host="gate.example.org", port=2200, user="jump")
JUMPS = [
    ("-o ProxyJump=jump@gate.example.org:2200", GATE),
    ("-oProxyJump=jump@gate.example.org:2200", GATE),
    ('-o "ProxyJump jump@gate.example.org:2200"', GATE),
    ("-o proxyjump=ssh://jump@gate.example.org:2200", GATE),
    ("-J jump@gate.example.org:2200", GATE),
    ("-Jjump@gate.example.org:2200 -C", GATE),
    ("-CJ jump@gate.example.org:2200", GATE),
    ("-o 'ProxyCommand=ssh -W %h:%p -p 2200 jump@gate.example.org'", GATE),
    ("-o ProxyCommand='ssh -p 2200 -q -W [%h]:%p -l jump gate.example.org'", GATE),
    ("-o ProxyCommand='/usr/bin/ssh -o Port=2200 -o User=jump gate.example.org -W %h:%p'", GATE),
    ("-o ProxyCommand='exec ssh -p2200 jump@gate.example.org nc -w 5 %h %p'", None),
    ("-o ProxyCommand='ssh -p2200 jump@gate.example.org exec nc %h %p'", GATE),
    ("-o ProxyCommand='ssh -W %h:%p \"jump\"@gate.example.org'", Jump(host="gate.example.org", user="jump")),
    ("-J gate", Jump(host="gate")),
    ("-J a@2001:db8::1", Jump(host="2001:db8::1", user="a")),
    ("-J a@[2001:db8::1]:22", Jump(host="2001:db8::1", user="a", port=22)),
    ("-J first@a -o ProxyJump=second@b", Jump(host="a", user="first")),
]


@pytest.mark.parametrize(("text", "jump"), JUMPS)
def test_the_machine_to_go_through_is_found_in_every_form(text: str, jump: Jump | None) -> None:
    if jump is None:
        with pytest.raises(UnreadableOptionsError, match="it is neither"):
            read(text)
        return
    found = read(text)
    assert (found.jump, found.direct) == (jump, False)


@pytest.mark.parametrize("text", ["-J none", "-o ProxyJump=none", "-o ProxyCommand=none -J a@b"])
def test_that_there_is_none_can_be_said(text: str) -> None:
    assert (read(text).jump, read(text).direct) == (None, True)


def test_nothing_said_is_nothing_known() -> None:
    assert (read("").jump, read("").direct, read("").others) == (None, False, [])


def test_what_is_left_over_is_all_there() -> None:
    found = read(
        "-i ~/a -F ssh.cfg -o IdentityFile=b -4 -o ControlMaster=auto -o ProxyCommand='ssh -i c -C -W %h:%p x@y' z"
    )
    assert found.key_files == ["~/a", "b", "c"]
    assert found.others == ["-F ssh.cfg", "-4", "-o ControlMaster=auto", "-C", "z"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-J a@b,c@d", "through several machines"),
        ("-o ProxyCommand='ssh -J a@b -W %h:%p c@d'", "through several machines"),
        ("-J a@b:x", "the port of the machine to go through is not a number"),
        ("-J a@b:٣", "is not a number"),
        ("-J 'a@'", "names no host"),
        ("-J", "-J has no value"),
        ("-o 'a", "its quotes do not match"),
        ("-o ProxyCommand='nc -X 5 %h %p'", "it is neither `ssh -W %h:%p USER@HOST` nor `ssh USER@HOST nc %h %p`"),
        ("-o ProxyCommand='ssh a@b'", "it is neither"),
        ("-o ProxyCommand='ssh -W other:22 a@b'", "it is neither"),
        ("-o ProxyCommand='ssh a@b reboot %h %p'", "it is neither"),
    ],
)
def test_what_an_inventory_cannot_say_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(UnreadableOptionsError) as caught:
        read(text)
    assert reason in str(caught.value)


WORDS = [
    "-J",
    "-o",
    "-W",
    "%h:%p",
    "ProxyJump=",
    "ProxyCommand=ssh ",
    "a@b",
    ":",
    "[",
    "'",
    '"',
    " ",
    "-",
    "--",
    ",",
    "\\",
    "=",
]


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=12).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text)
    except UnreadableOptionsError as error:
        assert str(error)
    else:
        assert found.jump is None or found.jump.host

"""The benchmark of publishing does what it says of each contender; its figures here mean nothing."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

from bench import contenders
from bench.contenders import OURS
from bench.proxy import Proxy, proxied
from bench.publish import PEERS, main
from connectors import KEY_VARIABLE


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "taken back at the end")


@pytest.mark.timeout(240)
def test_it_times_ours_and_each_peer_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Publishing goes to a site of the same content: every copy is compared with it before it is cleared.
    copied: dict[str, set[str]] = {}
    clear = contenders.Ground.remove

    def compared(ground: contenders.Ground, name: str) -> None:
        listing = 'cd "$1" 2>/dev/null || exit 0; find . -type f -exec sha256sum {} + | sort'
        copied.setdefault(name, set()).add(ground.there("sh", "-c", listing, "sh", ground.target(name)))
        copied.setdefault("source", set()).add(contenders.must(["sh", "-c", listing, "sh", str(ground.source)]))
        clear(ground, name)

    monkeypatch.setattr(contenders.Ground, "remove", compared)
    peers = [name for name in PEERS if name != "rsync" or shutil.which("rsync")]
    size = ["--files", "30", "--megabytes", "1", "--rounds", "1", "--latency", "1"]
    assert main(["--loopback", *size, "--peers", ",".join(peers), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {f"first_vs_{name}_1ms" for name in peers} <= told["ratios"].keys()
    least = contenders.LeastFirst.name
    assert {f"first_{name}_1ms" for name in (OURS, least, *peers)} < told["seconds"].keys()
    assert {"ten_changed_ours_1ms", "unchanged_ours_1ms", "back_ours_1ms"} < told["seconds"].keys()
    assert (told["about"]["written_of_ten_1ms"], told["about"]["connections_unchanged_1ms"]) == ([10], 0)
    for name in (least, *peers):
        assert len(copied[name] - {""}) == 1, "one copy of it was made"
        assert name == "rsync" or len((copied[name] - {""}).pop().splitlines()) == 30


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("only", "other"), [("first", "ten_changed_ours"), ("later", "first_ours")])
def test_a_slice_of_it_times_nothing_else(capsys: pytest.CaptureFixture[str], only: str, other: str) -> None:
    size = ["--files", "30", "--megabytes", "1", "--rounds", "1", "--latency", "0"]
    assert main(["--loopback", *size, "--peers", "tar", "--only", only, "--json"]) == 0
    timed = json.loads(capsys.readouterr().out)["seconds"].keys()
    assert timed
    assert other not in timed
    assert ("first_tar" in timed) is (only == "first")


def test_a_latency_or_a_peer_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in ((["--latency", "fast"], "whole numbers of milliseconds"), (["--peers", "scp"], "is none of")):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert said in capsys.readouterr().err


def test_only_the_labs_minions_mount_anew(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--loopback", "--cold"]) == 1
    assert "error: --cold mounts and unmounts on the minions, and does so in the lab only" in capsys.readouterr().err


def test_minions_without_a_volume_are_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--inventory", "none.yaml"]) == 1
    assert capsys.readouterr().err == "error: with --inventory give --mount-path and --volume too\n"


def test_an_rsync_that_is_missing_is_one_clear_line_before_anything_is_copied(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--loopback", "--files", "1", "--megabytes", "1", "--latency", "0", "--peers", "rsync"]
    assert main([*words, "--rsync", "no-rsync"]) == 1
    assert capsys.readouterr().err == "error: no-rsync cannot be run here (No such file or directory); install it\n"
    assert main([*words, "--rsync", "true", "--rsync-path", "no-rsync"]) == 1
    assert capsys.readouterr().err.startswith("error: minion minion-1 has no no-rsync: apt-get install rsync there (")


def test_the_proxy_passes_on_both_ways_to_the_end_and_counts() -> None:
    async def there() -> list[bytes]:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            whole = await reader.read()
            writer.write(whole[::-1])
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        answers = []
        with proxied("127.0.0.1", port, milliseconds=2) as proxy:
            for size in (3, 5_000_000):
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
                writer.write(bytes(range(256)) * (size // 256) + b"end")
                writer.write_eof()
                answers.append(await reader.read())
                writer.close()
            counted.append(proxy)
        server.close()
        return answers

    counted: list[Proxy] = []
    short, long = asyncio.run(there())
    assert short == b"dne"
    assert long == b"dne" + bytes(range(255, -1, -1)) * (5_000_000 // 256)
    assert counted[0].connections == 2

"""The lab's network on the host: a bridge, the machines' way out, and a route to each minion's pods.

The host is the router, as a cloud's network is: it knows which minion has which pods, so a new minion
changes nothing on the others. All rules sit in chains of our own, jumped to from the built-in ones, and can
be removed as a whole.
"""

from __future__ import annotations

import json
from pathlib import Path

from lab.errors import LabError
from lab.processes import run
from lab.topology import Machine, Topology

CHAIN = "GLUSTERFARM"
#: Without one of its own a bridge has the lowest of its ports': when a machine came or went, the others lost the host
#: until their next ARP. Locally administered.
_ADDRESS = "02:67:66:61:72:6d"
_RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))

Rule = tuple[str, ...]


def cable(name: str) -> str:
    """The host's end of a machine's network cable, as systemd-nspawn names it."""
    return f"vb-{name}"


def nat_rules(topology: Topology) -> list[Rule]:
    """What chain GLUSTERFARM of table nat holds: traffic inside the lab keeps its addresses, all else leaves
    as the host's."""
    inside = (topology.network, topology.pods)
    return [*(("-d", str(network), "-j", "RETURN") for network in inside), ("-j", "MASQUERADE")]


def jumps(topology: Topology) -> list[tuple[str, str, Rule]]:
    """Jumps into our chains: table, built-in chain, rule."""
    return [
        *(("nat", "POSTROUTING", ("-s", str(network), "-j", CHAIN)) for network in (topology.network, topology.pods)),
        ("filter", "FORWARD", ("-i", topology.bridge, "-j", CHAIN)),
        ("filter", "FORWARD", ("-o", topology.bridge, "-j", CHAIN)),
    ]


def removals(table: str, saved: str) -> list[Rule]:
    """The iptables commands that take our chain out of a table, given the table's `iptables -S`."""
    commands: list[Rule] = []
    for line in saved.splitlines():
        words = line.split()
        if words[:1] == ["-A"] and words[1] != CHAIN and words[-2:] == ["-j", CHAIN]:
            commands.append(("-t", table, "-D", *words[1:]))
    if f"-N {CHAIN}" in saved.splitlines():
        commands += [("-t", table, "-F", CHAIN), ("-t", table, "-X", CHAIN)]
    return commands


def make(topology: Topology) -> None:
    """Make the bridge and the rules, those that are missing."""
    bridge = topology.bridge
    if not Path(f"/sys/class/net/{bridge}").exists():
        run(["ip", "link", "add", "name", bridge, "address", _ADDRESS, "type", "bridge", "forward_delay", "0"])
        run(["ip", "address", "add", f"{topology.gateway}/{topology.network.prefixlen}", "dev", bridge])
    run(["ip", "link", "set", bridge, "up"])
    for table, rules in (("nat", nat_rules(topology)), ("filter", [("-j", "ACCEPT")])):
        for command in removals(table, _iptables("-t", table, "-S")):
            _iptables(*command)
        _iptables("-t", table, "-N", CHAIN)
        for rule in rules:
            _iptables("-t", table, "-A", CHAIN, *rule)
    for table, chain, rule in jumps(topology):
        # First, since a firewall's or Docker's own rules may end in a drop.
        _iptables("-t", table, "-I", chain, "1", *rule)


def route_pods(topology: Topology, minion: Machine) -> None:
    """Add the host's routes to the pods of each minion."""
    run(["ip", "route", "replace", str(topology.pod_network(minion)), "via", str(minion.address)])


def clear(topology: Topology) -> list[str]:
    """Remove bridge, cables and rules, also those of another checkout. Returns what there was."""
    found = []
    for link in _links(topology.bridge):
        run(["ip", "link", "delete", link], check=False)
        found.append(link)
    for table in ("nat", "filter"):
        commands = removals(table, _iptables("-t", table, "-S"))
        for command in commands:
            _iptables(*command)
        if commands:
            found.append(f"{table} rules")
    return found


def is_up(topology: Topology) -> bool:
    """Whether bridge and rules are all there."""
    if not Path(f"/sys/class/net/{topology.bridge}").exists():
        return False
    saved = {table: _iptables("-t", table, "-S").splitlines() for table in ("nat", "filter")}
    return all(f"-A {chain} {' '.join(rule)}" in saved[table] for table, chain, rule in jumps(topology))


def plug(name: str, *, connected: bool) -> None:
    """Cut a machine from the network or connect it again: its cable's host end goes down or up."""
    run(["ip", "link", "set", cable(name), "up" if connected else "down"], what=f"{name}: network cable")


def attach(topology: Topology, name: str) -> None:
    """Put a running machine's cable back into the bridge."""
    run(["ip", "link", "set", cable(name), "master", topology.bridge], check=False)


def connected(name: str) -> bool:
    """Whether the cable's host end is up (administratively)."""
    answer = run(["ip", "-json", "link", "show", cable(name)], check=False)
    return answer.returncode == 0 and "UP" in json.loads(answer.stdout)[0]["flags"]


def resolvers() -> list[str]:
    """Addresses of the name servers that machines can use: the host's, but none on its loopback. Raises
    LabError."""
    for path in _RESOLVERS:
        if servers := usable_resolvers(path.read_text() if path.exists() else ""):
            return servers
    raise LabError(
        "the host's name servers are on its loopback only, where the machines cannot reach them",
        "put a 'nameserver ADDRESS' line with another address into /etc/resolv.conf",
    )


def usable_resolvers(text: str) -> list[str]:
    """The name servers of a resolv.conf that are not on loopback."""
    lines = [line.split() for line in text.splitlines()]
    servers = [words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1]
    return [server for server in servers if not server.startswith("127.") and server != "::1"]


def _links(bridge: str) -> list[str]:
    answer = run(["ip", "-json", "link", "show"])
    links = json.loads(answer.stdout)
    return [link["ifname"] for link in links if link.get("master") == bridge or link["ifname"] == bridge]


def _iptables(*arguments: str) -> str:
    return run(["iptables", "--wait", *arguments], what=f"iptables {' '.join(arguments)}").stdout

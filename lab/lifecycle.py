"""`lab up` and `lab down`: a lab made from nothing, mended or grown while it lives, and taken away."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from lab import (
    agent,
    clearing,
    cluster,
    disk,
    gluster,
    inventory,
    kernel,
    kubernetes_files,
    network,
    roles,
    toolchain,
)
from lab.context import Lab, Paths, default_topology
from lab.errors import LabError
from lab.processes import side_by_side
from lab.registry import RegisteredLab, Registry, refuse_foreign
from lab.ssh_keys import SshKey
from lab.steps import Steps
from lab.toolchain import Toolchain
from lab.topology import Machine, Topology


def up(paths: Paths, registry: Registry, steps: Steps, minions: int | None = None) -> Lab:
    """Bring this checkout's lab up: make it, or leave what lives as it is and mend the rest. `minions` is
    how many there shall be (default: as many as there were, else the topology file's). Raises LabError."""
    with registry.locked():
        entry = registry.read()
        refuse_foreign(entry, paths.checkout)
        lab = Lab.recorded(paths, registry)
        if lab and entry and entry.complete and entry.lab_id == lab.lab_id and entry.alive():
            return _mend(lab, entry, steps, minions)
        topology = default_topology()
        # A dead lab is made again as it was: its stack's state still knows every minion that it had.
        wanted = minions if minions is not None or lab is None else len(lab.minions())
        return _make(paths, registry, steps, topology.with_minions(wanted) if wanted is not None else topology)


def down(paths: Paths, registry: Registry, steps: Steps) -> None:
    """Take this checkout's lab away with everything it made, .lab/ included; the toolchain's cache stays. A
    dead lab of any checkout goes too. Raises LabError when another checkout's lab is alive."""
    with registry.locked():
        entry = registry.read()
        refuse_foreign(entry, paths.checkout)
        with steps.step("lab") as step:
            found = clearing.clear_host(_topology(paths), entry)
            if paths.lab.exists():
                disk.delete(paths.lab)
                found.append(".lab")
            registry.remove()
            step.outcome(f"removed {', '.join(found)}" if found else "there was none")


def _topology(paths: Paths) -> Topology:
    lab = Lab.recorded(paths)
    return lab.topology if lab else default_topology()


def _make(paths: Paths, registry: Registry, steps: Steps, topology: Topology) -> Lab:
    tools = toolchain.ensure(steps)
    with steps.step("what a dead lab left") as step:
        found = clearing.clear_host(_topology(paths), registry.read())
        for directory in (paths.machines, paths.pki, paths.ssh):
            disk.delete(directory)
        step.outcome(f"removed {', '.join(found)}" if found else "nothing")
    lab = Lab(lab_id=secrets.token_hex(6), topology=topology, paths=paths, registry=registry)
    lab.save()
    registry.write(RegisteredLab(checkout=paths.checkout, lab_id=lab.lab_id))
    with steps.step("keys and certificates"):
        SshKey.new().save(paths.key)
        kubernetes_files.make_pki(topology, paths.pki)
        cluster.write_kubeconfig(lab)
        _link_programs(paths, tools)
    with steps.step("network"):
        before = kernel.raise_limits()
        _update(registry, lambda entry: replace(entry, kernel=before))
        network.make(topology)
    _start_agent(lab)
    _create(lab, lab.machines(), tools, steps)
    inventory.write(lab)
    _boot(lab, lab.machines())

    def volume() -> None:
        _wait_booted(lab, lab.gluster_servers(), steps, "Gluster servers")
        with steps.step(f"volume {topology.volume.name}"):
            gluster.create_volume(lab)
            gluster.wait_online(lab)

    def control_plane() -> None:
        with steps.step("control plane"):
            lab.running(lab.control()).wait_ssh()
            cluster.wait_apiserver(lab)

    def minions() -> None:
        _minions_up(lab, lab.minions(), steps)

    _together(volume, control_plane, minions)
    with steps.step("nodes") as step:
        cluster.wait_nodes(lab, lab.minions())
        step.outcome(f"{len(lab.minions())} Ready")
    _update(registry, lambda entry: replace(entry, complete=True))
    return lab


def _mend(lab: Lab, entry: RegisteredLab, steps: Steps, minions: int | None) -> Lab:
    """Leave what lives as it is, switch on what is off, and add minions."""
    now = len(lab.minions())
    if minions is not None and minions < now:
        raise LabError(f"--minions {minions}: the living lab has {now} minions", "make down first, then up with fewer")
    since = datetime.now(UTC)
    done = []
    if minions is not None and minions > now:
        lab = _grow(lab, minions, steps)
        done.append(f"added {', '.join(minion.name for minion in lab.minions()[now:])}")
    with steps.step("lab") as step:
        done += _repair_network(lab) + _switch_on(lab)
        if entry.agent is None or not entry.agent.alive():
            _start_agent(lab)
            done.append("started the ssh-agent")
        started = {phrase.split()[-1] for phrase in done}
        _together(
            lambda: gluster.wait_online(lab),
            lambda: cluster.wait_nodes(lab, lab.minions()),
            lambda: cluster.wait_nodes(lab, [m for m in lab.minions() if m.name in started], since=since),
        )
        step.outcome(", ".join(done) or "unchanged")
    return lab


def _repair_network(lab: Lab) -> list[str]:
    if before := kernel.raise_limits():
        _update(lab.registry, lambda entry: replace(entry, kernel={**before, **entry.kernel}))
    if network.is_up(lab.topology):
        return []
    network.make(lab.topology)
    for machine in lab.machines():
        network.attach(lab.topology, machine.name)
    for minion in lab.minions():
        network.route_pods(lab.topology, minion)
    return ["made the network again"]


def _switch_on(lab: Lab) -> list[str]:
    """Boot machines that are stopped or dead from their own disks, connect paused ones; a phrase each."""
    done = []
    boot = []
    for machine in lab.machines():
        state = lab.state(machine.name)
        if state == "paused":
            network.plug(machine.name, connected=True)
            done.append(f"resumed {machine.name}")
        elif state in ("stopped", "dead"):
            boot.append(machine)
            done.append(f"started {machine.name}")
    start(lab, boot)
    return done


def start(lab: Lab, machines: Sequence[Machine]) -> None:
    """Boot machines from the disks they have, and wait until they answer."""
    for machine in machines:
        lab.running(machine).kill()
    _boot(lab, machines)
    side_by_side(lambda machine: lab.running(machine).wait_ssh(), machines)


def _grow(lab: Lab, minions: int, steps: Steps) -> Lab:
    tools = toolchain.ensure(steps)
    grown = replace(lab, topology=lab.topology.with_minions(minions))
    new = [machine for machine in grown.minions() if machine not in lab.minions()]
    # Remains of an attempt that was interrupted.
    for machine in new:
        directory = grown.paths.machines / machine.name
        grown.running(machine).kill()
        if (directory / "root").is_mount():
            disk.unmount(directory / "root")
        disk.delete(directory)
    _create(grown, new, tools, steps)
    _boot(grown, new)
    _minions_up(grown, new, steps)
    for machine in lab.machines():
        disk.write(grown.running(machine).root, roles.hosts_file(grown.topology))
    inventory.write(grown)
    # Last: from now on they are the lab's, and a later `up` mends them.
    grown.save()
    return grown


def _create(lab: Lab, machines: Sequence[Machine], tools: Toolchain, steps: Steps) -> None:
    keys = roles.Keys(user=SshKey.load(lab.paths.key), pki=lab.paths.pki)
    parts = roles.Parts(kubernetes=tools.kubernetes, php_image=tools.php_image, pause_image=tools.pause_image)

    def create(machine: Machine) -> None:
        handle = lab.running(machine)
        handle.directory.mkdir(parents=True)
        host_key = SshKey.new()
        host_key.save(handle.directory / "host_key")
        setup = roles.setup(machine, lab.topology, host_key=host_key, keys=keys, root=tools.machine_root)
        disk.create(handle.directory, roles.layers(machine, tools), setup)
        handle.describe(
            bridge=lab.topology.bridge,
            shares=roles.shares(machine, handle.directory, parts),
            environment=roles.environment(machine),
        )

    with steps.step(f"disks of {len(machines)} machines"):
        side_by_side(create, machines)
        for machine in machines:
            if machine.role == "minion":
                network.route_pods(lab.topology, machine)


def _boot(lab: Lab, machines: Sequence[Machine]) -> None:
    for machine in machines:
        process = lab.running(machine).boot(lab.paths.checkout)
        _update(lab.registry, partial(RegisteredLab.with_machine, name=machine.name, process=process))


def _wait_booted(lab: Lab, machines: Sequence[Machine], steps: Steps, what: str) -> None:
    with steps.step(what) as step:
        side_by_side(lambda machine: lab.running(machine).wait_ssh(), machines)
        step.outcome(f"{len(machines)} booted")


def _minions_up(lab: Lab, minions: Sequence[Machine], steps: Steps) -> None:
    _wait_booted(lab, minions, steps, "minions")
    with steps.step("images") as step:
        side_by_side(lambda minion: cluster.import_images(lab, minion), minions)
        step.outcome(f"on {len(minions)} minions")


def _start_agent(lab: Lab) -> None:
    process = agent.start(
        lab.registry.agent_socket,
        lab.paths.key,
        log=lab.paths.lab / "ssh-agent.log",
        checkout=lab.paths.checkout,
    )
    _update(lab.registry, lambda entry: replace(entry, agent=process))


def _link_programs(paths: Paths, tools: Toolchain) -> None:
    paths.bin.mkdir(parents=True, exist_ok=True)
    for program in (tools.pulumi / "pulumi", tools.kubernetes / "kubectl"):
        link = paths.bin / program.name
        link.unlink(missing_ok=True)
        link.symlink_to(program)


def _update(registry: Registry, change: Callable[[RegisteredLab], RegisteredLab]) -> None:
    entry = registry.read()
    if entry is None:
        raise LabError(f"{registry.file} has vanished", "make up again")
    registry.write(change(entry))


def _together(*work: Callable[[], None]) -> None:
    """Do all of it side by side; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(max_workers=len(work)) as pool:
        for future in [pool.submit(one) for one in work]:
            future.result()

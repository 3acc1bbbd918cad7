"""Directories on the volume that every pod may write to: uploads, sessions, an application's data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.gluster_mount import MountedVolume
from components.pod_site import Directory, directory
from rules.serving import Shared


@dataclass(frozen=True, kw_only=True)
class SharedDirectory:
    """A directory that is there on the volume, with its owner and mode; ``seen`` is what the pods mount of it."""

    mounted: MountedVolume
    seen: Directory
    after: tuple[pulumi.Resource, ...]


class SharedDirectories(pulumi.ComponentResource):
    """Makes each directory with one deployer's command, through whichever minion answers first.

    Like the site, a directory outlives the stack unless it was asked to go: removing it is the delete of a resource of
    its own, which does nothing else, so that neither a replacement nor a second thought takes data away.
    """

    directories: tuple[SharedDirectory, ...]

    def __init__(
        self,
        name: str,
        *,
        mounted: MountedVolume,
        shared: Sequence[Shared],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("glusterfarm:index:SharedDirectories", name, None, opts)
        self.directories = tuple(self._directory(name, mounted, it) for it in shared)
        self.register_outputs({"directories": [it.seen.host_path for it in self.directories]})

    def _directory(self, name: str, mounted: MountedVolume, shared: Shared) -> SharedDirectory:
        farm = mounted.farm
        where = (*farm.minion_words(), "--mount-path", mounted.path, "--volume", mounted.volume, "--name", shared.name)
        removal = farm.at_removal(
            f"{name}-{shared.name}-removal",
            *(("shared", "remove", *where) if shared.delete_on_destroy else ()),
            over_ssh=True,
            parent=self,
            after=mounted.after,
            protect=farm.protected and shared.delete_on_destroy,
        )
        group = shared.owner if shared.group is None else shared.group
        made = farm.deployer_command(
            f"{name}-{shared.name}",
            *("shared", "make", *where),
            *("--owner", str(shared.owner), "--group", str(group), "--mode", shared.mode),
            parent=self,
            after=(*mounted.after, removal),
        )
        return SharedDirectory(mounted=mounted, seen=directory(shared, mounted.path), after=(made,))

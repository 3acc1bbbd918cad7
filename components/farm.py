"""What every step of one stack's farm shares: its minions, how to reach them, and its cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local, remote
from pulumi_kubernetes import Provider

from components import labels
from components.commands import cluster_words, module
from components.failures import dependable, despite_failure
from components.survey import Survey
from connectors import KEY_VARIABLE
from settings import Bastion, Minion, Settings

#: If a machine falls silent after the check before a mount (15 s), these bounds allow 2 tries of 10 s. Pulumi's own
#: bounds would allow 11 tries of 15 s.
DIAL_TIMEOUT_SECONDS = 10
DIAL_RETRIES = 1


@dataclass(frozen=True, kw_only=True)
class Farm:
    """One stack's ground.

    ``stack`` names the owner of mounts and labels; ``inventory`` and ``kubeconfig`` are paths as the stack's
    configuration writes them, relative to the project; ``private_key`` is secret, None means ssh-agent. ``protected``:
    what cannot be had back (the namespace with all in it, the Service's address, the content) Pulumi is not to delete
    nor replace, whatever the program says, until somebody has taken the protection off. ``survey`` is what the cluster
    said before anything was declared.
    """

    stack: str
    minions: tuple[Minion, ...]
    inventory: str
    private_key: pulumi.Output[str] | None
    kubeconfig: str
    context: str | None
    namespace: str
    cluster: Provider
    protected: bool
    survey: Survey

    @classmethod
    def of(cls, settings: Settings, survey: Survey) -> Farm:
        """The farm that ``settings`` describe, with an explicit provider: the ambient kubeconfig is never used.

        ``cluster_identifier`` keeps a renewed kubeconfig from replacing the provider and everything in it.
        """
        kubernetes = settings.kubernetes
        return cls(
            stack=settings.stack,
            minions=settings.minions,
            inventory=settings.inventory,
            private_key=settings.ssh_private_key,
            kubeconfig=kubernetes.kubeconfig,
            context=kubernetes.context,
            namespace=kubernetes.namespace,
            cluster=Provider(
                "cluster",
                kubeconfig=kubernetes.kubeconfig,
                context=kubernetes.context,
                cluster_identifier=f"{settings.project}/{settings.stack}",
                enable_server_side_apply=True,
            ),
            protected=settings.environment == "prod",
            survey=survey,
        )

    def owner(self, minion: Minion) -> str:
        """Who owns a mount on ``minion``: ``stack/minion``."""
        return f"{self.stack}/{minion.name}"

    def marks(self) -> Mapping[str, str] | None:
        """The annotations by which the next run knows a namespace that the stack did not make; None for its own."""
        return {labels.FOREIGN_ANNOTATION: labels.FOREIGN} if self.survey.is_foreign else None

    def connection(self, minion: Minion) -> remote.ConnectionArgs:
        """How to reach ``minion``: bounded, its host key pinned, through its bastion where it has one."""
        return remote.ConnectionArgs(
            host=minion.host,
            port=minion.port,
            user=minion.user,
            host_key=minion.host_key,
            private_key=self.private_key,
            per_dial_timeout=DIAL_TIMEOUT_SECONDS,
            dial_error_limit=DIAL_RETRIES,
            proxy=None if minion.bastion is None else self._proxy(minion.bastion),
        )

    def _proxy(self, bastion: Bastion) -> remote.ProxyConnectionArgs:
        return remote.ProxyConnectionArgs(
            host=bastion.host,
            port=bastion.port,
            user=bastion.user,
            host_key=bastion.host_key,
            private_key=self.private_key,
            per_dial_timeout=DIAL_TIMEOUT_SECONDS,
            dial_error_limit=DIAL_RETRIES,
        )

    def minion_words(self) -> tuple[str, ...]:
        """Arguments that name the minions for a deployer's command.

        Sorted, so that reordering the inventory changes nothing; with generations, so that a recreated machine is
        published to and checked again.
        """
        names = sorted(f"{minion.name}@{minion.generation}" for minion in self.minions)
        return ("--inventory", self.inventory, "--minions", ",".join(names))

    def cluster_words(self) -> tuple[str, ...]:
        """Arguments that name the cluster and the namespace for a deployer's command."""
        return cluster_words(self)

    def deployer_command(
        self,
        name: str,
        *words: pulumi.Input[str],
        stdin: str | None = None,
        environment: Mapping[str, pulumi.Output[str]] | None = None,
        over_ssh: bool = True,
        ignore_changes: Sequence[str] = (),
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource] = (),
    ) -> local.Command:
        """A module of this repository run on the deployer's side: ``python -m WORDS``, the same for create and update.

        A word may be an output (the name of a controller, a cluster IP): another value runs the command again, and so
        does another value in ``environment``. It gets the private key only where it is to go ``over_ssh``. Without
        words nothing is run.
        """
        command = None
        if words:
            line = pulumi.Output.all(*words).apply(lambda known: module(*known))
            command = despite_failure(line, "")
        return dependable(
            local.Command(
                name,
                create=command,
                update=command,
                stdin=stdin,
                environment=self._environment(environment or {}, over_ssh=over_ssh and bool(words)),
                add_previous_output_in_env=False,
                opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after), ignore_changes=list(ignore_changes)),
            ),
            parent,
        )

    def at_removal(
        self,
        name: str,
        *words: str,
        over_ssh: bool = False,
        protect: bool = False,
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource],
    ) -> local.Command:
        """A module of this repository run when the resource is deleted, and nothing before: ``python -m WORDS``.

        What depends on it goes before, what it depends on stays until it is done. Without words nothing is run then
        either. It gets the private key only where it is to go ``over_ssh``.
        """
        return dependable(
            local.Command(
                name,
                delete=module(*words) if words else None,
                environment=self._environment({}, over_ssh=over_ssh and bool(words)),
                add_previous_output_in_env=False,
                opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after), protect=protect),
            ),
            parent,
        )

    def _environment(
        self, also: Mapping[str, pulumi.Output[str]], *, over_ssh: bool
    ) -> dict[str, pulumi.Input[str]] | None:
        environment: dict[str, pulumi.Input[str]] = {name: despite_failure(it, "") for name, it in also.items()}
        if over_ssh and self.private_key is not None:
            environment[KEY_VARIABLE] = self.private_key
        return environment or None

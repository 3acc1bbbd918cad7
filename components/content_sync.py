"""Step 4 of the how-to: the site published to the volume through one minion, and verified on the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pulumi

from components.gluster_mount import MountedVolume
from components.local_content import LocalContent
from components.pod_site import PodSite
from publisher.clashes import case_clashes
from publisher.manifest import Manifest, escape
from publisher.plan import plan
from settings import Content

#: Where the publish finds the mark of what it is to do; for nothing but to run again when that is another one.
INTENT_VARIABLE = "GLUSTERFARM_PUBLISH_INTENT"
#: A warning lists at most this many groups of names that clash.
_CLASHES = 10


@dataclass(frozen=True, kw_only=True)
class PublishedContent:
    """A release of the site that is live on the volume.

    ``site`` is what pods mount of it; ``release`` is the first 12 hex digits of its manifest's digest, known at
    preview.
    """

    mounted: MountedVolume
    site: PodSite
    release: str
    after: tuple[pulumi.Resource, ...]


class ContentSync(pulumi.ComponentResource):
    """Publishes the content with one deployer's command, whose input is the manifest: a preview shows changed files.

    Of a site of more than 2,000 it shows changed directories. Names that differ only in case are a warning.

    Before it goes one that notes in the state which release is set out to be published, and changes with that only:
    its mark is an input of the publish. So once a publish failed or was cut off, wherever, the next `up` publishes,
    be it what was live before.

    Another one does nothing but remove the site when the stack is destroyed, where that was asked for. It is there
    always, so that asking for it no longer is a change of it and no removal.
    """

    published: PublishedContent

    def __init__(
        self,
        name: str,
        *,
        mounted: MountedVolume,
        content: LocalContent,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("glusterfarm:index:ContentSync", name, None, opts)
        farm = mounted.farm
        manifest, options = content.manifest, content.content
        if clashes := _clashes(manifest):
            pulumi.log.warn(clashes, self)
        place = ("--mount-path", mounted.path, "--volume", mounted.volume, "--site", options.site)
        where = (*farm.minion_words(), *place)
        removal = farm.at_removal(
            f"{name}-removal",
            *(("publisher", "remove", *where, "--release", manifest.release) if options.delete_on_destroy else ()),
            over_ssh=True,
            protect=farm.protected,
            parent=self,
            after=mounted.after,
        )
        # Of a publish that fails after its flip the engine keeps the old inputs, and would call them unchanged.
        intent = farm.deployer_command(
            f"{name}-intent",
            *("publisher.intent", "--release", manifest.release),
            over_ssh=False,
            parent=self,
            after=(*mounted.after, removal),
        )
        # It has no delete of its own: a replaced one's old delete would follow the new publish.
        publish = farm.deployer_command(
            f"{name}-publish",
            *(
                "publisher",
                "publish",
                *where,
                *farm.cluster_words(),
                *_confirmation_words(options),
                "--source",
                options.source,
            ),
            *_linked_words(content),
            stdin=plan(manifest),
            environment={INTENT_VARIABLE: intent.stdout},
            parent=self,
            after=(*mounted.after, removal, intent),
        )
        self.published = PublishedContent(
            mounted=mounted,
            site=PodSite(
                stack=farm.stack,
                placement=mounted.placement,
                volume=mounted.volume,
                mount_path=mounted.path,
                path=f"{mounted.path}/{options.site}",
                scripts=content.scripts,
            ),
            release=manifest.release,
            after=(publish,),
        )
        self.register_outputs({"release": manifest.release})


def _confirmation_words(content: Content) -> Iterator[str]:
    """Which of the minions must confirm what is published."""
    if content.verify_sample is not None:
        yield from ("--verify-sample", str(content.verify_sample))
    if content.max_unreachable:
        yield from ("--max-unreachable", str(content.max_unreachable))


def _linked_words(content: LocalContent) -> Iterator[str]:
    """Where pods have the directories that links of the content may lead to."""
    for path in content.linked:
        yield from ("--shared", path)


def _clashes(manifest: Manifest) -> str:
    """The warning about names that differ only in case; '' for none."""
    clashes = case_clashes(manifest)
    if not clashes:
        return ""
    groups = [" and ".join(escape(path) for path in group) for group in clashes[:_CLASHES]]
    more = f", and {len(clashes) - _CLASHES} more" if len(clashes) > _CLASHES else ""
    return (
        f"{pulumi.get_project()}:content.source: names differ only in case: {', '.join(groups)}{more}. They are"
        " published, but a checkout on macOS or Windows has room for one of them; rename the others"
    )

"""The farm of one stack: each step takes what the one before it proved."""

# ruff: noqa: E402 - an interrupt may come while the rest is imported
from components.failures import end_quietly_when_interrupted

end_quietly_when_interrupted()

import pulumi

from components.content_sync import ContentSync
from components.farm import Farm
from components.gluster_mount import GlusterMount
from components.local_content import LocalContent
from components.php_controller import PhpController
from components.shared_directory import SharedDirectories
from components.survey import survey
from components.web_service import WebService
from settings import load

settings = load()
local = LocalContent.read(settings.content, settings.shared)
farm = Farm.of(settings, survey(settings, local, pods="php", service="web"))

mount = GlusterMount("mount", farm=farm, volume=settings.gluster)
shared = SharedDirectories("shared", mounted=mount.mounted, shared=settings.shared)
content = ContentSync("content", mounted=mount.mounted, content=local)
php = PhpController(
    "php", content=content.published, shared=shared.directories, php=settings.php, secrets=settings.secret_env
)
web = WebService("web", pods=php.serving, service=settings.service)

pulumi.export("url", web.endpoint.url)
pulumi.export("clusterIp", web.endpoint.cluster_ip)
pulumi.export("release", content.published.release)
pulumi.export("minions", [minion.name for minion in settings.minions])
pulumi.export("servedBy", web.endpoint.served_by)

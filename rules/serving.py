"""The settings of the pods and of their Service, and what the values inside them must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, PlainSerializer, Strict

from rules import forms, quantities
from rules import values as v
from rules.frozen import FrozenMapping
from rules.model import Model
from rules.rule import Rule

_AMOUNT: Final[dict[str, Any]] = {"allow": quantities.FORM, "longest": 60, "numbers": True}
_ZERO: Final = "it must be greater than zero"
_LARGE: Final = "Kubernetes cannot count so far"
Cpu = Annotated[
    str,
    Rule(
        "processor time as Kubernetes writes it: cores, or thousandths of one with m",
        "250m",
        flaw=quantities.processor_flaw,
        reasons={"zero": _ZERO, "large": _LARGE},
        settled=quantities.processor,
        **_AMOUNT,
    ),
]
Bytes = Annotated[
    str,
    Rule(
        "a size as Kubernetes writes it: a number with Ki, Mi, Gi or Ti (k, M, G, T are decimal)",
        "256Mi",
        flaw=quantities.size_flaw,
        reasons={
            "zero": _ZERO,
            "large": _LARGE,
            "small": "m, u and n stand for parts of a byte; mebibytes have Mi, megabytes M",
        },
        settled=quantities.size,
        **_AMOUNT,
    ),
]
WritablePath = Annotated[
    str,
    Rule(
        "the absolute path of a directory in the container, of letters, digits and . _ - /",
        "/var/lib/php/sessions",
        "/[A-Za-z0-9._/-]+",
        longest=200,
        flaw=forms.writable_path,
        reasons={
            "plain": "it is not in its plain form, without '//', '.', '..' and a '/' at the end",
            "program": "the program's own files are there",
            "system": "the image's programs or the kernel's files are there",
        },
    ),
]


Docroot = Annotated[
    str,
    Rule(
        "the absolute path of a directory in the container, below another one, of letters, digits and . _ - /",
        "/var/www/html",
        "/[A-Za-z0-9._/-]+",
        longest=200,
        flaw=forms.docroot,
        reasons={
            "plain": "it is not in its plain form, without '//', '.', '..' and a '/' at the end",
            "top": "all of the directory above it is taken from the image, which cannot do without that one",
        },
    ),
]
User = Annotated[int, Strict(), Field(ge=1, le=2**31 - 1), Rule("a user's number from 1 to 2147483647 (not root)", 33)]
Seconds = Annotated[int, Strict(), Field(ge=10, le=3600), Rule("a whole number of seconds from 10 to 3600", 300)]
_FLIP: Final = "the program sets it, so that a new release is seen within seconds"
IniName = Annotated[
    str,
    Rule(
        "the name of a PHP setting: letters, digits, _ and ., beginning with a letter",
        "memory_limit",
        "[A-Za-z][A-Za-z0-9_.]*",
        longest=100,
        flaw=str.lower,
        reasons=dict.fromkeys(("realpath_cache_ttl", "opcache.validate_timestamps", "opcache.revalidate_freq"), _FLIP),
    ),
]
IniValue = Annotated[
    str,
    Rule(
        "what stands after the = in a php.ini, on one line and without the characters ' and \\",
        "256M",
        r"[^\x00-\x1f\x7f'\\]*",
        longest=1000,
    ),
]
Cidr = Annotated[
    str,
    Rule(
        "a range of IP addresses, ADDRESS/BITS (one machine: /32, or /128 for IPv6)",
        "10.0.5.10/32",
        "[0-9A-Fa-f.:]+/[0-9]{1,3}",
        flaw=forms.cidr,
        reasons={
            "address": "it is not a range of IPv4 or IPv6 addresses",
            "bits": "the address has bits beyond its BITS; write the range's first address",
        },
    ),
]
Protocol = Annotated[Literal["TCP", "UDP"], Rule("TCP or UDP", "TCP")]


Affinity = Annotated[Literal["None", "ClientIP"], Rule("None or ClientIP", "ClientIP")]
TrafficPolicy = Annotated[Literal["Cluster", "Local"], Rule("Cluster or Local", "Local")]


Stage = Annotated[Literal["dev", "staging", "prod"], Rule("dev, staging or prod", "prod")]


class Amounts(Model):
    """Processor time and memory of one pod."""

    cpu: Cpu | None = Field(default=None, description="Processor time.")
    memory: Bytes | None = Field(default=None, description="Memory.")


class Resources(Model):
    """What each pod requests, and its limits."""

    requests: Annotated[Amounts, Rule("a mapping", {"cpu": "50m", "memory": "64Mi"})] = Field(
        default=Amounts(cpu="50m", memory="64Mi"), description="What the node reserves for each pod."
    )
    limits: Annotated[Amounts, Rule("a mapping", {"memory": "1Gi"})] = Field(
        default=Amounts(memory="1Gi"),
        description="What a pod may use. For more processor time it waits; with more memory it is killed.",
    )
    scratch: Bytes = Field(
        default="256Mi", description="The size of each writable directory. A pod that writes more is evicted."
    )


class Egress(Model):
    """A destination that pods may connect to."""

    cidr: Cidr = Field(description="The range of addresses.")
    port: v.HttpPort = Field(description="The port.")
    protocol: Protocol = Field(default="TCP", description="The protocol.")


_EGRESS: Final = {"cidr": "10.0.5.10/32", "port": 3306}
_RESOURCES: Final = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}


#: Environment variables by name.
Environment = Annotated[Mapping[v.Variable, v.VariableValue], AfterValidator(FrozenMapping), PlainSerializer(dict)]


class Php(Model):
    """The pods, and the page that shows whether they work."""

    image: v.Image = Field(description="A web server with PHP. It serves docroot at port.")
    replicas: v.Replicas = Field(default=2, description="The number of pods.")
    env: Annotated[Environment, Rule("a mapping of names to texts", {"APP_ENV": "production"})] = Field(
        default_factory=FrozenMapping,
        description="Environment variables of the pods. Secrets belong in secretEnv.",
        json_schema_extra={"additionalProperties": False},
    )
    probe_path: v.ProbePath = Field(default="/", description="The page that must answer before `pulumi up` succeeds.")
    port: v.HttpPort = Field(default=80, description="The port of the image's web server.")
    host_port: v.HttpPort | None = Field(
        default=None, description="A port of the minion that each pod takes as well. Without it, none."
    )
    docroot: Docroot = Field(
        default="/var/www/html", description="The directory that the web server serves. The published files are there."
    )
    user: User | None = Field(
        default=None,
        description="The number of the container's user. Without it the image decides, and that may be root.",
    )
    rollout_timeout: Seconds = Field(
        default=300,
        description="Seconds until all new pods must be ready. Then `pulumi up` fails, and the old pods go on.",
    )
    stuck_timeout: Seconds = Field(
        default=60,
        description="If no new pod can start for this many seconds, `pulumi up` fails. ErrImagePull is an example.",
    )
    ini: Annotated[
        Mapping[IniName, IniValue],
        AfterValidator(FrozenMapping),
        PlainSerializer(dict),
        Rule("a mapping of names to texts", {"memory_limit": "256M", "upload_max_filesize": "32M"}),
    ] = Field(
        default_factory=FrozenMapping,
        description="Settings of PHP. They override those of the image.",
        json_schema_extra={"additionalProperties": False},
    )
    static_cache: v.Switch = Field(
        default=False,
        description="Whether static files are kept in the pod's memory for up to 2 seconds, at most 64 MiB. "
        "The image must have Debian's Apache.",
    )
    resources: Annotated[Resources, Rule("a mapping", _RESOURCES)] = Field(
        default=Resources(), description=Resources.__doc__
    )
    writable: Annotated[tuple[WritablePath, ...], Rule("a list of directories", ["/run", "/tmp"])] = Field(  # noqa: S108
        default=("/run", "/tmp"),  # noqa: S108 (the pod's)
        description="Directories of the container that pods may write to. Each is empty when a pod starts. "
        "All else is read-only.",
    )
    egress: Annotated[
        tuple[Annotated[Egress, Rule("a mapping", _EGRESS)], ...],
        Rule("a list of what pods may connect to", [_EGRESS]),
    ] = Field(
        default=(),
        description="What pods may connect to, besides the cluster's DNS. Without it, they may connect to nothing.",
    )


Owner = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1), Rule("the number of a user or group, up to 2147483647", 33)]
Mode = Annotated[str, Rule("a directory's mode in octal, in quotes", "0770", "0?[0-7]{3}|[1-7][0-7]{3}", longest=4)]


class Shared(Model):
    """A directory on the volume that every pod may write to."""

    name: v.Site = Field(description="Its name on the volume, beside the site.")
    path: WritablePath = Field(description="Its path in the container.")
    owner: Owner = Field(default=33, description="The number of its owner. 33 is www-data in Debian.")
    group: Owner | None = Field(default=None, description="The number of its group. Without it, the owner's number.")
    mode: Mode = Field(default="0770", description="Its mode, in octal.")
    delete_on_destroy: v.Switch = Field(
        default=False, description="Whether `pulumi destroy` deletes it and all that is in it."
    )


class Service(Model):
    """The Service in front of the pods."""

    type: v.ServiceType = Field(default="ClusterIP", description="Its type, which decides who can reach it.")
    port: v.HttpPort = Field(default=80, description="Its port.")
    node_port: v.NodePort | None = Field(
        default=None, description="The port on every node, if the type has one. Without it, the cluster chooses."
    )
    session_affinity: Affinity = Field(
        default="None", description="With ClientIP, visitors from one address reach the same pod each time."
    )
    external_traffic_policy: TrafficPolicy = Field(
        default="Cluster",
        description="With Local, a node sends visitors only to its own pods, which then see the visitor's address. "
        "With Cluster, it sends them to pods of any node, which see the node's address.",
    )
    source_ranges: Annotated[tuple[Cidr, ...], Rule("a list of ranges of IP addresses", ["203.0.113.0/24"])] = Field(
        default=(), description="The address ranges that a load balancer lets in. Without it, it lets everybody in."
    )

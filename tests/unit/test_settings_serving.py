"""What a user sees for mistakes in the settings of pods and Service, those of several values together included."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from settings import SettingsError, check
from tests.support.stack import StackFiles, minion
from tests.unit.test_settings import assert_one, mistakes, put

EGRESS = {"cidr": "10.0.5.10/32", "port": 3306}
ROOT = Path(__file__).parents[2]
SHARED = {"name": "uploads", "path": "/srv/up"}
MISTAKES: list[tuple[str, object, str, tuple[str, ...]]] = [
    # place, value, key as shown without the project, what must be in the line
    ("php.resources.limits.memory", "1GB", "php.resources.limits.memory", ("'1GB'", "a size as Kubernetes", "256Mi")),
    ("php.resources.limits.memory", "0", "php.resources.limits.memory", ("'0'", "greater than zero")),
    ("php.resources.limits.memory", "400m", "php.resources.limits.memory", ("'400m'", "mebibytes have Mi")),
    ("php.resources.limits.memory", "10E", "php.resources.limits.memory", ("'10E'", "cannot count so far")),
    ("php.resources.requests.cpu", -0.5, "php.resources.requests.cpu", ("-0.5", "thousandths of one with m", "250m")),
    ("php.resources.requests.cpu", True, "php.resources.requests.cpu", ("is a boolean", "250m")),
    ("php.resources.limits.cpus", "1", "php.resources.limits.cpus", ("unknown setting", "did you mean cpu?")),
    ("php.resources.scratch", "lots", "php.resources.scratch", ("'lots'", "a size as Kubernetes writes it")),
    (
        "php.resources",
        {"requests": {"memory": "2G"}, "limits": {"memory": "1Gi"}},
        "php.resources.requests.memory",
        ("'2G' is more than 1Gi", "php.resources.limits.memory", "Ask for less or allow more"),
    ),
    (
        "php.resources",
        {"requests": {"cpu": "1"}, "limits": {"cpu": "999m"}},
        "php.resources.requests.cpu",
        ("'1' is more than 999m", "php.resources.limits.cpu"),
    ),
    (
        "php.resources.requests.memory",
        "2Gi",
        "php.resources.requests.memory",
        ("'2Gi' is more than 1Gi", "no pod would ever start"),
    ),
    ("php.writable", "/tmp", "php.writable", ("'/tmp' is text", "a list of directories", "[/run, /tmp]")),
    ("php.writable", ["/tmp", "tmp"], "php.writable[1]", ("'tmp'", "the absolute path of a directory in the cont")),
    ("php.writable", ["/tmp/"], "php.writable[0]", ("'/tmp/' is refused", "plain form")),
    ("php.writable", ["/var/www/html/up"], "php.writable[0]", ("refused: the release is", "read-only")),
    ("php.writable", ["/var/www"], "php.writable[0]", ("above /var/www/html", "Choose a directory elsewhere")),
    ("php.writable", ["/etc/glusterfarm/x"], "php.writable[0]", ("refused: the program's own files",)),
    ("php.writable", ["/usr/share"], "php.writable[0]", ("refused: the image's programs",)),
    ("php.writable", ["/tmp", "/run", "/tmp"], "php.writable[2]", ("'/tmp' is here twice", "php.writable[0]")),
    ("php.port", 0, "php.port", ("0 is too small", "from 1 to 65535")),
    ("php.docroot", "html", "php.docroot", ("'html'", "the absolute path", "/var/www/html")),
    ("php.docroot", "/app/../etc/x", "php.docroot", ("refused", "plain form")),
    *[
        ("php.docroot", path, "php.docroot", (f"'{path}' is refused", "which cannot do without"))
        for path in ("/app", "/etc/x", "/usr/html", "/usr/share/html", "/var/html", "/dev/shm/html", "/tmp/html")
    ],
    ("php.user", 0, "php.user", ("0 is too small", "not root", "for example 33")),
    ("php.user", "www-data", "php.user", ("'www-data' is text", "a user's number", "for example 33")),
    ("php.user", 33, "php.port", ("80 is refused", "no right to a port below 1024", "{port: 8080, user: 33}")),
    ("php.rolloutTimeout", "5m", "php.rolloutTimeout", ("'5m' is text", "a whole number of seconds", "300")),
    ("php.rolloutTimeout", 5, "php.rolloutTimeout", ("5 is too small", "from 10 to 3600")),
    (
        "php.hostPort",
        80,
        "php.hostPort",
        ("80 is refused: 2 pods", "need 4 minions, twice as many", "the inventory has 3", "Lower php.replicas"),
    ),
    ("php.hostPort", 0, "php.hostPort", ("0 is too small", "from 1 to 65535")),
    ("service.sessionAffinity", "client", "service.sessionAffinity", ("'client' is none of", "None or ClientIP")),
    ("service.sessionAffinity", None, "service.sessionAffinity", ("nothing (null)", "None or ClientIP")),
    ("service.externalTrafficPolicy", "local", "service.externalTrafficPolicy", ("'local'", "Cluster or Local")),
    (
        "service",
        {"externalTrafficPolicy": "Local"},
        "service.externalTrafficPolicy",
        ("'Local' is refused", "ClusterIP has no visitors from outside", "type: NodePort"),
    ),
    (
        "service",
        {"type": "LoadBalancer", "sourceRanges": ["203.0.113.1/24"]},
        "service.sourceRanges[0]",
        ("refused", "the range's first address"),
    ),
    (
        "service.sourceRanges",
        ["203.0.113.0/24"],
        "service.sourceRanges",
        ("is refused", "the type is NodePort", "set type: LoadBalancer"),
    ),
    ("php.ini", {"memory limit": "1"}, "php.ini['memory limit']", ("the name of a PHP setting", "memory_limit")),
    ("php.ini", {"memory_limit": 256}, "php.ini.memory_limit", ("256 is a number", '"256", in quotes')),
    ("php.ini", {"a": "x\ny = z"}, "php.ini.a", ("'x\\ny = z'", "on one line")),
    ("php.ini", {"a": "it's"}, "php.ini.a", ("it's", "without the characters '")),
    *[
        ("php.ini", {name: "1"}, f"php.ini.{name}", ("refused: the program sets it", "within seconds"))
        for name in ("realpath_cache_ttl", "opcache.validate_timestamps", "OPcache.revalidate_freq")
    ],
    ("shared", {"uploads": "/srv/up"}, "shared", ("this is a mapping", "a list of directories", "[{name: uploads")),
    ("shared", [{"name": "uploads"}], "shared[0].path", ("is missing", "the absolute path of a directory")),
    ("shared", [SHARED | {"name": "../x"}], "shared[0].name", ("'../x'", "the name of one directory")),
    ("shared", [SHARED | {"name": "php"}], "shared[0].name", ("'php' is refused: the site itself", "another name")),
    ("shared", [SHARED | {"path": "srv/up"}], "shared[0].path", ("'srv/up'", "the absolute path")),
    ("shared", [SHARED | {"path": "/etc/up"}], "shared[0].path", ("refused: the image's programs",)),
    ("shared", [SHARED | {"path": "/var/www/up"}], "shared[0].path", ("mounted above /var/www/html", "elsewhere")),
    ("shared", [SHARED | {"path": "/tmp"}], "shared[0].path", ("'/tmp' is here twice, first as php.writable[1]",)),
    ("shared", [SHARED, SHARED | {"path": "/x"}], "shared[1].name", ("here twice", "shared[0].name")),
    ("shared", [SHARED, SHARED | {"name": "x"}], "shared[1].path", ("here twice", "shared[0].path")),
    ("shared", [SHARED | {"owner": "www-data"}], "shared[0].owner", ("'www-data' is text", "the number of a user")),
    ("shared", [SHARED | {"mode": "0999"}], "shared[0].mode", ("'0999'", "mode in octal", "0770")),
    ("shared", [SHARED | {"mode": 770}], "shared[0].mode", ("770 is a number", '"770", in quotes')),
    ("php.egress", {"cidr": "10.0.0.1/32"}, "php.egress", ("this is a mapping", "a list of what pods may connect to")),
    ("php.egress", [{"cidr": "10.0.0.1/32"}], "php.egress[0].port", ("is missing", "from 1 to 65535")),
    ("php.egress", [EGRESS | {"cidr": "db"}], "php.egress[0].cidr", ("'db'", "ADDRESS/BITS", "10.0.5.10/32")),
    ("php.egress", [EGRESS | {"cidr": "10.0.0.1"}], "php.egress[0].cidr", ("'10.0.0.1'", "one machine: /32")),
    ("php.egress", [EGRESS | {"cidr": "10.0.0.1/33"}], "php.egress[0].cidr", ("refused: it is not a range",)),
    ("php.egress", [EGRESS | {"cidr": "10.0.0.1/24"}], "php.egress[0].cidr", ("refused", "the range's first address")),
    ("php.egress", [EGRESS | {"protocol": "tcp"}], "php.egress[0].protocol", ("'tcp' is none of", "TCP or UDP")),
]


@pytest.mark.parametrize(("place", "value", "key", "fragments"), MISTAKES)
def test_a_mistake_names_key_value_rule_and_remedy(
    stack: StackFiles, place: str, value: object, key: str, fragments: tuple[str, ...]
) -> None:
    put(stack.values, place, value)
    assert_one(mistakes(stack), f"glusterfarm:{key}", *fragments)


@pytest.mark.parametrize(
    "docroot", ["/app/public", "/srv/www/htdocs", "/usr/share/nginx/html", "/usr/local/apache2/htdocs", "/var/www/site"]
)
def test_usual_document_roots_are_taken(stack: StackFiles, docroot: str) -> None:
    stack.values["php"]["docroot"] = docroot
    assert mistakes(stack) == ()


@pytest.mark.parametrize(("replicas", "minions", "fits"), [(1, 2, True), (2, 4, True), (2, 3, False), (0, 1, True)])
def test_a_port_of_the_minions_needs_twice_as_many(stack: StackFiles, replicas: int, minions: int, fits: bool) -> None:
    stack.values["php"] |= {"hostPort": 80, "replicas": replicas}
    stack.inventory([minion(f"minion-{number}", 30 + number) for number in range(minions)])
    assert (mistakes(stack) == ()) is fits


def test_what_is_writable_follows_the_document_root(stack: StackFiles) -> None:
    stack.values["php"] |= {"docroot": "/app/public", "writable": ["/run", "/var/www/cache"]}
    assert mistakes(stack) == ()
    stack.values["php"]["writable"] = ["/app/cache"]
    assert_one(mistakes(stack), "glusterfarm:php.writable[0]", "mounted above /app/public")


def test_what_does_not_go_together_is_told_beside_other_mistakes(stack: StackFiles) -> None:
    stack.values["php"]["writable"] = ["/tmp", "/tmp"]
    stack.values["gluster"]["volume"] = "My Volume"
    stack.values["service"]["port"] = 0

    assert [line.partition(": ")[0] for line in mistakes(stack)] == [
        "glusterfarm:gluster.volume",
        "glusterfarm:php.writable[1]",
        "glusterfarm:service.port",
    ]


@pytest.mark.parametrize("amount", ["1", "250m", "16"])
def test_usual_amounts_of_processor_time_are_taken(stack: StackFiles, amount: str) -> None:
    stack.values["php"]["resources"] = {"requests": {"cpu": amount}, "limits": {"cpu": amount}}
    assert mistakes(stack) == ()


@pytest.mark.parametrize("size", ["134217728", "64Mi", "1Gi", "500M", "2Ti", "100k"])
def test_usual_sizes_are_taken(stack: StackFiles, size: str) -> None:
    stack.values["php"]["resources"] = {"requests": {"memory": size}, "limits": {"memory": size}, "scratch": size}
    assert mistakes(stack) == ()


SECRET_ENV = "glusterfarm:secretEnv"


def refused(stack: StackFiles, *secret: str) -> tuple[str, ...]:
    """What is said with these full keys encrypted."""
    with pytest.raises(SettingsError) as caught:
        check(stack.config(), secret=secret, stack="dev")
    return caught.value.mistakes


def test_the_sites_secrets_must_be_encrypted(stack: StackFiles) -> None:
    stack.values["secretEnv"] = {"DB_PASSWORD": "correct horse"}

    assert_one(refused(stack), SECRET_ENV, "in plain text", f"--secret --path '{SECRET_ENV}.NAME'")
    assert "correct horse" not in refused(stack)[0]
    config, _ = check(stack.config(), secret=[SECRET_ENV], stack="dev")
    assert dict(config.secret_env) == {"DB_PASSWORD": "correct horse"}


@pytest.mark.parametrize(
    ("value", "key", "fragments"),
    [
        ("correct horse", SECRET_ENV, ("a mapping of names to encrypted texts", "secretEnv.DB_PASSWORD")),
        ({"DB-PASSWORD": "correct horse"}, f"{SECRET_ENV}.DB-PASSWORD", ("name of an environment variable",)),
        ({"PHP_INI_SCAN_DIR": "correct horse"}, f"{SECRET_ENV}.PHP_INI_SCAN_DIR", ("refused: the program sets it",)),
        ({"DB_PASSWORD": 123456}, f"{SECRET_ENV}.DB_PASSWORD", ("is a number", "the same in quotes")),
    ],
)
def test_a_mistake_in_a_secret_shows_nothing_of_it(
    stack: StackFiles, value: object, key: str, fragments: tuple[str, ...]
) -> None:
    stack.values["secretEnv"] = value
    lines = refused(stack, SECRET_ENV)

    assert_one(lines, key, *fragments)
    assert "correct horse" not in lines[0]
    assert "123456" not in lines[0]


def test_a_name_is_a_secret_or_it_is_not(stack: StackFiles) -> None:
    stack.values["php"]["env"] = {"DB_PASSWORD": "correct horse"}
    stack.values["secretEnv"] = {"DB_PASSWORD": "battery staple"}
    lines = refused(stack, SECRET_ENV)

    assert_one(lines, "glusterfarm:php.env.DB_PASSWORD", "is here twice, first as secretEnv.DB_PASSWORD")
    assert "correct" not in lines[0]


def test_nothing_else_may_be_encrypted(stack: StackFiles) -> None:
    assert_one(refused(stack, "glusterfarm:php"), "glusterfarm:php", "only sshPrivateKey and what is in secretEnv")


def test_production_refuses_what_would_endanger_it_with_the_reason(stack: StackFiles) -> None:
    stack.values["php"]["replicas"] = 1
    assert mistakes(stack) == ()
    stack.values["environment"] = "prod"
    image, replicas = mistakes(stack)

    assert image.startswith("glusterfarm:php.image: 'glusterfarm.local/php:8.2' is refused where environment is prod: ")
    assert "a tag names another image" in image
    assert "NAME[:TAG]@sha256:DIGEST" in image
    assert replicas.startswith("glusterfarm:php.replicas: 1 is refused where environment is prod: ")
    assert "Set 2 or more" in replicas


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_what_production_takes_all_take(stack: StackFiles, environment: str) -> None:
    stack.values["environment"] = environment
    stack.values["php"]["image"] = f"glusterfarm.local/php:8.2@sha256:{'0a' * 32}"
    assert mistakes(stack) == ()


def test_production_needs_a_host_key_of_every_machine_as_all_others(stack: StackFiles) -> None:
    stack.values["environment"] = "prod"
    stack.values["php"]["image"] = f"glusterfarm.local/php:8.2@sha256:{'0a' * 32}"
    machine = minion("minion-1", 31)
    del machine["hostKey"]
    stack.inventory([machine])
    assert_one(mistakes(stack), "inventory.yaml: minions[0].hostKey", "is missing", "nothing is trusted on first use")


def test_the_production_stack_of_this_repository_is_production(stack: StackFiles) -> None:
    committed = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]
    assert committed["glusterfarm:environment"] == "prod"
    stack.values["environment"] = "production"
    assert_one(
        mistakes(stack), "glusterfarm:environment", "'production' is none of the choices", "dev, staging or prod"
    )


@pytest.mark.parametrize(
    ("written", "deployed"),
    [
        *((0.5, "500m"), (1, "1"), (2.0, "2"), ("0.25", "250m"), ("1e-1", "100m"), ("100u", "1m"), (1e-05, "1m")),
        *(("1.5", "1500m"), ("2.", "2"), (".5", "500m"), ("250m", "250m"), ("1000m", "1000m")),
    ],
)
def test_processor_time_is_taken_as_kubernetes_takes_it(stack: StackFiles, written: object, deployed: str) -> None:
    """And written as Kubernetes writes it, unless it was taken before: then nothing changes."""
    stack.values["php"]["resources"] = {"requests": {"cpu": written}}
    assert check(stack.config(), stack="dev")[0].php.resources.requests.cpu == deployed


@pytest.mark.parametrize(
    ("written", "deployed"),
    [
        *((536870912, "536870912"), ("0.5Gi", "512Mi"), ("1.5Gi", "1536Mi"), ("1e9", "1G"), ("1.5G", "1500M")),
        *(("0.1Gi", "107374183"), ("512Mi", "512Mi"), ("1024Mi", "1024Mi"), ("2E", "2E"), ("1Pi", "1Pi")),
    ],
)
def test_sizes_are_taken_as_kubernetes_takes_them(stack: StackFiles, written: object, deployed: str) -> None:
    stack.values["php"]["resources"] = {"limits": {"memory": written}, "scratch": written}
    resources = check(stack.config(), stack="dev")[0].php.resources
    assert (resources.limits.memory, resources.scratch) == (deployed, deployed)


#: A section with a mistake and a contradiction: both are told.
BOTH = [
    ("service", {"type": "ClusterIP", "externalTrafficPolicy": "Local", "port": 0}, {"externalTrafficPolicy", "port"}),
    ("service", {"type": "NodePort", "sourceRanges": ["203.0.113.0/24", "x"]}, {"sourceRanges", "sourceRanges[1]"}),
    ("php", {"image": "php:8", "user": 33, "replicas": -1}, {"port", "replicas"}),
    ("php", {"user": 33}, {"image", "port"}),
    ("php", {"image": "php:8", "hostPort": 80, "replicas": 9, "nope": 1}, {"hostPort", "nope"}),
    (
        "php",
        {"image": "php:8", "resources": {"requests": {"cpu": "2", "memory": "x"}, "limits": {"cpu": 1}}},
        {"resources.requests.cpu", "resources.requests.memory"},
    ),
    ("php", {"image": "php:8", "writable": ["/a", "x y", "/a", "/var/www/x"]}, {f"writable[{it}]" for it in (1, 2, 3)}),
    ("php", {"image": "php:8", "env": {"A B": "1", "SHARED": "2"}}, {"env['A B']", "env.SHARED"}),
    (
        "shared",
        [{"name": "php", "path": "/a", "mode": "x"}, {"name": "b", "path": "/a"}],
        {"[0].name", "[0].mode", "[1].path"},
    ),
]


@pytest.mark.parametrize(("section", "value", "places"), BOTH)
def test_contradictions_beside_other_mistakes_of_a_section_are_told(
    stack: StackFiles, section: str, value: object, places: set[str]
) -> None:
    stack.values[section] = value
    if "SHARED" in str(value):
        stack.values["secretEnv"] = {"SHARED": "x"}
    told = {line.split(": ")[0] for line in mistakes(stack)} - {"glusterfarm:secretEnv"}
    assert told == {f"glusterfarm:{section}{'' if it.startswith('[') else '.'}{it}" for it in places}


#: What a contradiction would be about is wrong itself, so nothing is known of it.
ONE = [
    ("service", {"type": "nodeport", "externalTrafficPolicy": "Local", "sourceRanges": ["203.0.113.0/24"]}, "type"),
    ("php", {"image": "php:8", "user": 0}, "user"),
    ("php", {"image": "php:8", "hostPort": 80, "replicas": "9"}, "replicas"),
    ("php", {"image": "php:8", "docroot": "/", "writable": ["/var/www/x"]}, "docroot"),
    ("php", {"image": "php:8", "resources": {"requests": {"memory": "2Gi"}, "limits": 7}}, "resources.limits"),
    (
        "php",
        {"image": "php:8", "resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "x"}}},
        "resources.limits.memory",
    ),
]


@pytest.mark.parametrize(("section", "value", "place"), ONE)
def test_a_mistake_makes_no_contradiction(stack: StackFiles, section: str, value: object, place: str) -> None:
    stack.values[section] = value
    assert_one(mistakes(stack), f"glusterfarm:{section}.{place}")


def test_a_port_of_the_minions_is_compared_with_an_inventory_that_has_mistakes(stack: StackFiles) -> None:
    stack.values["php"] |= {"hostPort": 80, "replicas": 2}
    stack.inventory([minion("minion-1", 31, port=0)])
    told = mistakes(stack)
    assert told[0].startswith("glusterfarm:php.hostPort: ")
    assert told[1].startswith("inventory.yaml: minions[0].port: 0 is too small")
    assert told[1].endswith(" (inventory.yaml:7)")

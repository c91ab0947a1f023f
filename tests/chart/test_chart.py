"""What the chart renders, and which values it refuses."""

import json
import math
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import kubernetes_validate
import pytest
import yaml

from barestream.settings.settings import Settings
from rendering import CHART, ROOT, containers, helm, one, pod_specs, refusal, rendered
from support.manual.pages import DOCS, steps

SETS = sorted((Path(__file__).parent / "values").glob("*.yaml"))

# The oldest that the chart allows, and the newest whose schemas there are.
KUBERNETES = ("1.30", "1.37")

# Not Kubernetes' own; they come with the Gateway API and with the Prometheus operator.
OF_OTHERS = {"HTTPRoute", "ServiceMonitor"}

SENTINEL, INGRESS, EVERYTHING = (
    str(Path(__file__).parent / f"values/{name}.yaml")
    for name in ("sentinel", "ingress_with_tls", "gateway_and_everything")
)

# Values that are refused, and what the error names.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown value": ({"replicas": 3}, "additional properties 'replicas' not allowed"),
    "no number": ({"replicaCount": "three"}, "at '/replicaCount': got string, want integer"),
    "no pod": ({"replicaCount": 0}, "at '/replicaCount': minimum: got 0, want 1"),
    "a misspelt setting": (
        {"settings.BARESTREAM_WORKER": 2},
        "at '/settings': additional properties 'BARESTREAM_WORKER' not allowed",
    ),
    "a setting out of bounds": (
        {"settings.BARESTREAM_WORKERS": 65},
        "at '/settings/BARESTREAM_WORKERS': maximum: got 65, want 64",
    ),
    "a setting of another type": (
        {"settings.BARESTREAM_ANONYMOUS": "no"},
        "at '/settings/BARESTREAM_ANONYMOUS': got string, want boolean",
    ),
    "a setting that the chart sets": (
        {"settings.BARESTREAM_DRAIN_SECONDS": 3},
        "additional properties 'BARESTREAM_DRAIN_SECONDS' not allowed",
    ),
    "a secret among the settings": (
        {"settings.BARESTREAM_TOKEN_KEY": "a key"},
        "additional properties 'BARESTREAM_TOKEN_KEY' not allowed",
    ),
    "a password in the URL": (
        {"broker.url": "rediss://user:word@valkey.example"},
        "at '/broker/url'",
    ),
    "a URL of another kind": ({"broker.url": "http://valkey.example"}, "at '/broker/url'"),
    "two URLs": (
        {
            "broker.url": "redis://valkey.example",
            "broker.existingSecret": "valkey",
            "broker.urlSecretKey": "url",
        },
        "at '/broker/url': maxLength: got 22, want 0",
    ),
    "a key without its Secret": (
        {"broker.url": "redis://valkey.example", "broker.passwordSecretKey": "password"},
        "at '/broker/existingSecret'",
    ),
    "a Secret without a key": (
        {"broker.url": "redis://valkey.example", "broker.existingSecret": "valkey"},
        "at '/broker'",
    ),
    "replicas of the chart's Valkey": ({"broker.replicas": 1}, "at '/broker/replicas'"),
    "a key of subscribers without its Secret": (
        {"token.subscriberSecretKey": "subscribers"},
        "at '/token/existingSecret'",
    ),
    "an Ingress whose controller is not trusted": (
        {"ingress.enabled": True, "ingress.hosts": ["events.example.com"]},
        "at '/settings': missing property 'BARESTREAM_TRUSTED_PROXIES'",
    ),
    "an Ingress without a host": (
        {"ingress.enabled": True, "settings.BARESTREAM_TRUSTED_PROXIES": "10.0.0.0/8"},
        "at '/ingress/hosts': minItems: got 0, want 1",
    ),
    "a route without a Gateway": (
        {"httpRoute.enabled": True, "settings.BARESTREAM_TRUSTED_PROXIES": "10.0.0.0/8"},
        "at '/httpRoute/parentRefs': minItems: got 0, want 1",
    ),
    "a host with a path": ({"ingress.hosts": ["events.example.com/"]}, "at '/ingress/hosts/0'"),
    "a wait after which nginx would cut streams": (
        {"termination.idleSeconds": 21},
        "at '/termination/idleSeconds': maximum: got 21, want 20",
    ),
    "memory without a limit for Valkey": (
        {"valkey.resources": {"limits": None}},
        "at '/valkey/resources'",
    ),
    "a budget that allows nothing": (
        {"podDisruptionBudget.maxUnavailable": 0},
        "at '/podDisruptionBudget/maxUnavailable'",
    ),
    "an amount without a form": (
        {"app.resources.limits.memory": "1 GB"},
        "/resources/limits/memory'",
    ),
}


def test_helm_finds_nothing_wrong() -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_each_set_of_values_renders_what_kubernetes_takes(values: Path, version: str) -> None:
    objects = rendered("--values", str(values), "--kube-version", version)
    assert {"Deployment", "Service", "ConfigMap"} <= {each["kind"] for each in objects}
    for each in objects:
        if each["kind"] not in OF_OTHERS:
            kubernetes_validate.validate(each, version, strict=True)
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len({*names}) == len(names)


def test_the_set_of_everything_renders_each_template() -> None:
    kinds = {each["kind"] for each in rendered("--values", EVERYTHING)}
    with_ingress = {each["kind"] for each in rendered("--values", INGRESS)}
    assert kinds | with_ingress == {
        *("ConfigMap", "Deployment", "HorizontalPodAutoscaler", "HTTPRoute", "Ingress"),
        *("NetworkPolicy", "Pod", "PodDisruptionBudget", "Secret", "Service", "ServiceMonitor"),
        "StatefulSet",
    }


def test_prometheus_has_the_pods_as_the_job_that_the_alerts_go_by() -> None:
    objects = rendered("--values", EVERYTHING)
    spec = one(objects, "ServiceMonitor", "barestream-hub")["spec"]
    labels = one(objects, "Service", "barestream-hub-metrics")["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    job = labels[spec["jobLabel"]]
    rules = (ROOT / "deploy/observability/rules.yml").read_text()
    assert set(re.findall(r'job="([^"]*)"', rules)) == {job}


def test_a_package_of_the_chart_has_the_files_to_which_it_links(tmp_path: Path) -> None:
    done = helm("package", str(CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    [package] = tmp_path.iterdir()
    packaged = helm("template", "barestream", str(package))
    [held] = [
        each
        for each in yaml.safe_load_all(packaged.stdout)
        if each and each["metadata"]["name"] == "barestream-nginx"
    ]
    assert held == one(rendered(), "ConfigMap", "barestream-nginx")


def test_the_values_of_the_manual_render(tmp_path: Path) -> None:
    printed = steps(DOCS / "kubernetes.md")
    samples = [step for step in printed if step.title.startswith("values-")]
    for sample in samples:
        (tmp_path / sample.title).write_text(sample.text)
        assert one(rendered("--values", str(tmp_path / sample.title)), "Deployment")
    assert len(samples) >= 5
    [install] = re.findall(
        r"(?m)^helm install barestream deploy/helm (.+) --wait$", printed[0].text
    )
    app = _pod(rendered(*install.split()))["containers"][0]
    assert app["image"] == "registry.example.com/barestream:v1"


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_value_is_refused_by_its_name(wrong: str) -> None:
    values, named = WRONG[wrong]
    options = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    assert named in refusal(*options)


def test_the_schema_covers_every_value_and_allows_no_other() -> None:
    def check(schema: dict[str, Any], value: object, where: str) -> None:
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rpartition("/")[2]]
        assert "type" in schema or "enum" in schema or "allOf" in schema, where
        if "properties" not in schema or "allOf" in schema:
            return
        assert schema["additionalProperties"] is False, where
        assert isinstance(value, dict)
        if where in ("/settings", "/app/resources", "/nginx/resources"):
            # What stands there is chosen by the user.
            return
        left_out = {"global"} if where == "" else set()
        assert {*schema["properties"]} - left_out == {*value}, where
        for name, inner in value.items():
            check(schema["properties"][name], inner, f"{where}/{name}")

    schema = json.loads((CHART / "values.schema.json").read_text())
    definitions = schema["definitions"]
    check(schema, yaml.safe_load((CHART / "values.yaml").read_text()), "")


def test_the_schema_has_the_settings_of_the_hub() -> None:
    """Write them with scripts/chart_schema.py."""
    script = runpy.run_path(str(ROOT / "scripts/chart_schema.py"))
    text = (CHART / "values.schema.json").read_text()
    assert text == script["text_of"](script["with_settings"](json.loads(text)))
    assert "BARESTREAM_HISTORY_SECONDS" in text
    assert {*script["OF_CHART"]} - {*Settings.model_fields} <= {"broker_replicas"}


def test_a_setting_reaches_the_app_as_its_variable() -> None:
    pod = _pod(rendered("--values", INGRESS))
    found = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    # 5.36870912e+08 would be a number too, for Go.
    assert found["BARESTREAM_HISTORY_BYTES"] == "536870912"
    assert found["BARESTREAM_HEARTBEAT_SECONDS"] == "10.5"
    assert found["BARESTREAM_ANONYMOUS"] == "false"
    assert found["BARESTREAM_TRUSTED_PROXIES"] == "10.244.0.0/16"


def test_sentinels_and_replicas_reach_the_app_and_no_valkey_is_made() -> None:
    objects = rendered("--values", SENTINEL)
    found = {each["name"]: each["value"] for each in _pod(objects)["containers"][0]["env"]}
    assert found["BARESTREAM_BROKER_URL"].startswith("rediss+sentinel://barestream@s1.example")
    assert found["BARESTREAM_BROKER_REPLICAS"] == "1"
    assert found["BARESTREAM_BROKER_PASSWORD_FILE"] == "/run/secrets/barestream/broker-password"
    sentinel_password = found["BARESTREAM_BROKER_SENTINEL_PASSWORD_FILE"]
    assert sentinel_password == "/run/secrets/barestream/sentinel-password"
    assert "StatefulSet" not in {each["kind"] for each in objects}


# A barestream whose smoke test prints its tokens.
_BARESTREAM = f"""#!/bin/sh
[ "$1" != smoke ] || exec printf '%s\\n' "$BARESTREAM_TOKEN" "${{BARESTREAM_SUBSCRIBER_TOKEN-}}"
exec {sys.executable} -m barestream "$@"
"""


@pytest.mark.parametrize(
    ("options", "algorithms"),
    [
        ((), ["HS256"]),
        (("token.subscriberSecretKey=other",), ["HS256", "HS256"]),
        (
            (
                "token.subscriberSecretKey=other",
                "settings.BARESTREAM_TOKEN_ALGORITHM=HS512",
                "settings.BARESTREAM_SUBSCRIBER_TOKEN_ALGORITHM=HS384",
            ),
            ["HS512", "HS384"],
        ),
        (
            (
                "settings.BARESTREAM_PROTOCOLS=1.0",
                "settings.BARESTREAM_ISSUER=https://issuer.example",
                "settings.BARESTREAM_RESOURCE_IDENTIFIER=https://hub.example",
            ),
            ["HS256"],
        ),
    ],
)
def test_the_smoke_test_has_tokens_that_the_hub_takes(
    options: tuple[str, ...], algorithms: list[str], tmp_path: Path
) -> None:
    sets = [f"--set-string={each}" for each in ("token.existingSecret=any", *options)]
    [container] = one(rendered(*sets), "Pod", "barestream-smoke")["spec"]["containers"]
    keys = {"token-key": b"t" * 64, "subscriber-token-key": b"s" * 64}
    for name, key in keys.items():
        (tmp_path / name).write_bytes(key)
    (tmp_path / "barestream").write_text(_BARESTREAM)
    (tmp_path / "barestream").chmod(0o755)
    env = {each["name"]: each["value"] for each in container["env"]}
    folder = "/run/secrets/barestream"
    done = subprocess.run(
        [each.replace(folder, str(tmp_path)) for each in container["command"]],
        env={name: value.replace(folder, str(tmp_path)) for name, value in env.items()}
        | {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    signed = zip(done.stdout.split(), keys.values(), strict=False)
    tokens = [
        jwt.decode_complete(token, key, algorithms=algorithms, options={"verify_aud": False})
        for token, key in signed
    ]
    assert [token["header"]["alg"] for token in tokens] == algorithms
    is_of_1_0 = any("1.0" in each for each in options)
    assert all(("authorization_details" in token["payload"]) is is_of_1_0 for token in tokens)


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_no_container_has_more_rights_than_it_needs(values: Path) -> None:
    for pod in pod_specs(rendered("--values", str(values))):
        assert pod["automountServiceAccountToken"] is False
        # Kubernetes would set BARESTREAM_PORT, which is a setting.
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            security = pod["securityContext"] | container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["runAsUser"] > 0


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_a_pod_has_the_time_to_end_its_streams(values: Path) -> None:
    pod = _pod(rendered("--values", str(values)))
    [nginx], [app] = pod["initContainers"], pod["containers"]
    env = {each["name"]: each.get("value") for each in app["env"]}
    wait_seconds = app["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain_seconds = float(env["BARESTREAM_DRAIN_SECONDS"])
    # A sidecar gets its signal after the app has ended.
    assert nginx["restartPolicy"] == "Always"
    # What Gunicorn allows for the end (src/barestream/server/config.py), and 2 s for nginx.
    needed = wait_seconds + math.ceil(drain_seconds) + 6 + 2
    assert pod["terminationGracePeriodSeconds"] > needed
    # nginx leaves before the app ends its streams, and cuts them 30 s after the drain's time.
    slept_seconds = int(nginx["lifecycle"]["preStop"]["exec"]["command"][2].split()[1])
    assert 0 <= wait_seconds - slept_seconds <= 20


def test_only_the_start_asks_whether_valkey_answers() -> None:
    [nginx], [app] = (_pod(rendered())[kind] for kind in ("initContainers", "containers"))
    assert app["startupProbe"]["exec"]["command"] == ["barestream", "health"]
    assert app["livenessProbe"]["exec"]["command"] == ["barestream", "health", "--alive"]
    assert app["readinessProbe"]["httpGet"]["path"] == "/healthz"
    assert nginx["livenessProbe"]["httpGet"]["path"] == "/_nginx"


def test_the_pods_have_nginx_configuration_as_it_is_in_the_repository() -> None:
    objects = rendered()
    held = one(objects, "ConfigMap", "barestream-nginx")["data"]
    tracked = subprocess.run(
        ["git", "ls-files", "nginx"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    files = {name.removeprefix("nginx/") for name in tracked}
    files -= {"render", "conf.d/.gitignore"}
    [volume] = [each for each in _pod(objects)["volumes"] if each["name"] == "nginx"]
    paths = {item["path"]: held[item["key"]] for item in volume["configMap"]["items"]}
    assert paths == {name: (ROOT / "nginx" / name).read_text() for name in files}
    assert held["nginx-start"] == (ROOT / "deploy/nginx-start").read_text()


def test_the_containers_find_the_files_of_deploy_where_compose_mounts_them() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    [valkey] = one(rendered(), "StatefulSet", "barestream-valkey")["spec"]["template"]["spec"][
        "containers"
    ]
    [nginx] = _pod(rendered())["initContainers"]
    for name, container in (("nginx", nginx), ("valkey", valkey)):
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        wanted = {
            volume.split(":")[1]
            for volume in services[name]["volumes"]
            if isinstance(volume, str) and volume.startswith("./")
        }
        assert wanted <= mounted
        assert wanted


def test_another_configuration_replaces_the_pods_and_a_secret_of_the_chart_does_not() -> None:
    def annotations(*options: str) -> dict[str, str]:
        template = one(rendered(*options), "Deployment")["spec"]["template"]
        found: dict[str, str] = template["metadata"]["annotations"]
        return found

    # Each rendering makes another random key.
    assert annotations() == annotations("--set=replicaCount=3")
    assert annotations() == annotations("--set=image.tag=another")
    assert annotations() != annotations("--set=issuers=[[issuers]]")


def test_no_secret_is_in_a_variable() -> None:
    objects = rendered()
    [password] = one(objects, "Secret", "barestream-valkey")["data"].values()
    [key] = one(objects, "Secret", "barestream-token")["data"].values()
    assert len({password, key}) == 2
    pods = json.dumps(pod_specs(objects))
    assert password not in pods
    assert key not in pods


def _pod(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the hub's pods are made of."""
    [deployment] = [each for each in objects if each["kind"] == "Deployment"]
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found

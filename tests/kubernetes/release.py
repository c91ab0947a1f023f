"""The chart, installed on a real cluster in a namespace of its own."""

import json
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.clients.publisher import KEY, PATH, token
from support.servers.service import wait_for
from support.viewers.viewers import Viewers

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm"

TOPIC, DATA = "https://viewers.example/other", "one"

STREAMS, EVENTS_PER_SECOND = 200, 50

# The cluster learns of a pod's end within endpoints_seconds, a publisher sends its next request
# within idle_seconds, and then the streams end.
ENDPOINTS_SECONDS, IDLE_SECONDS, DRAIN_SECONDS = 3, 5, 5

# A cluster that shares two cores with 200 clients needs some time for a new pod.
CLUSTER_SECONDS = 180


def run(*command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command; its exit code is the caller's to judge."""
    return subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=CLUSTER_SECONDS, check=False
    )


def must(*command: str, given: str | None = None) -> str:
    """Run a command, which must succeed, and return what it writes."""
    done = run(*command, given=given)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


class Release:
    """The hub on a cluster; a context.

    Attributes:
        namespace: Where it is, and nothing else.
    """

    def __init__(self) -> None:
        self.namespace = f"barestream-test-{secrets.token_hex(4)}"
        self._helm = must(str(ROOT / "scripts/helm-binary")).strip()

    def __enter__(self) -> "Release":
        must("kubectl", "create", "namespace", self.namespace)
        # The cluster itself refuses pods that have more rights than they need.
        level = "pod-security.kubernetes.io/enforce=restricted"
        must("kubectl", "label", "namespace", self.namespace, level)
        try:
            self._install()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _install(self) -> None:
        self.kubectl("create", "secret", "generic", "tokens", f"--from-literal=key={KEY}")
        self.helm("install", "barestream", str(CHART), *self._values(), "--wait")

    def _values(self) -> list[str]:
        repository, _, tag = image().rpartition(":")
        values = {
            "image.repository": repository,
            "image.tag": tag,
            "service.type": "NodePort",
            "token.existingSecret": "tokens",
            "token.secretKey": "key",
            # A cluster for tests may have no storage.
            "valkey.persistence.enabled": False,
            # All viewers have one address.
            "settings.BARESTREAM_STREAMS_PER_ADDRESS": 2 * STREAMS,
            "termination.endpointsSeconds": ENDPOINTS_SECONDS,
            "termination.idleSeconds": IDLE_SECONDS,
            "termination.drainSeconds": DRAIN_SECONDS,
        }
        return [
            part
            for name, value in values.items()
            for part in ("--set-json", f"{name}={json.dumps(value)}")
        ]

    def _remove(self) -> None:
        must("kubectl", "delete", "namespace", self.namespace, "--wait=false")

    def helm(self, *arguments: str) -> str:
        """Run helm, which must succeed, and return what it writes."""
        return must(self._helm, "--namespace", self.namespace, "--timeout", "150s", *arguments)

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl, which must succeed, and return what it writes."""
        return must("kubectl", "--namespace", self.namespace, *arguments, given=given)

    def upgrade(self, **annotations: str) -> None:
        """Replace all pods, as another image does."""
        changed = [f"--set=podAnnotations.{name}={value}" for name, value in annotations.items()]
        self.helm("upgrade", "barestream", str(CHART), "--reuse-values", *changed, "--wait")

    @property
    def url(self) -> str:
        """The Service, at the address of a node."""
        service = json.loads(self.kubectl("get", "service", "barestream", "--output=json"))
        nodes = json.loads(must("kubectl", "get", "nodes", "--output=json"))["items"]
        addresses = {each["type"]: each["address"] for each in nodes[0]["status"]["addresses"]}
        return f"http://{addresses['InternalIP']}:{service['spec']['ports'][0]['nodePort']}"

    def pods(self) -> list[dict[str, Any]]:
        """Return the hub's pods, also those that end."""
        selector = "app.kubernetes.io/component=hub"
        found = json.loads(self.kubectl("get", "pods", f"--selector={selector}", "--output=json"))
        items: list[dict[str, Any]] = found["items"]
        return items

    def ready_pods(self) -> list[str]:
        """Return the names of the pods to which the Service leads."""

        def is_ready(pod: dict[str, Any]) -> bool:
            states = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
            return "deletionTimestamp" not in pod["metadata"] and states.get("Ready") == "True"

        return [pod["metadata"]["name"] for pod in self.pods() if is_ready(pod)]

    def logs_of_others(self, known: list[str]) -> str:
        """Return what the apps of all pods but some have written."""
        names = [pod["metadata"]["name"] for pod in self.pods()]
        return "".join(
            run("kubectl", "--namespace", self.namespace, "logs", name, "--container=app").stdout
            for name in names
            if name not in known
        )

    def restarts(self) -> int:
        """Return how often a container of the hub was started again."""
        statuses = [
            status
            for pod in self.pods()
            for kind in ("initContainerStatuses", "containerStatuses")
            for status in pod["status"].get(kind, [])
        ]
        return sum(status["restartCount"] for status in statuses)

    def wait_until_gone(self, *names: str) -> None:
        """Wait until pods have ended."""
        wait_for(
            f"the end of {names}",
            lambda: not {pod["metadata"]["name"] for pod in self.pods()} & {*names},
            CLUSTER_SECONDS,
        )

    def wait_until_ready(self, count: int) -> list[str]:
        """Wait until so many pods are ready, and return their names."""

        def ready() -> list[str] | None:
            return found if len(found := self.ready_pods()) == count else None

        names: list[str] = wait_for(f"{count} ready pods", ready, CLUSTER_SECONDS)
        return names

    def evict(self, pod: str) -> subprocess.CompletedProcess[str]:
        """Ask for an eviction, as kubectl drain does; a budget may refuse it."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.namespace},
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        return run("kubectl", "create", "--raw", path, "-f", "-", given=json.dumps(eviction))

    def viewers(self, streams: int = STREAMS) -> Viewers:
        """Return viewers, and publishers beside them."""
        return Viewers(self.url, streams, EVENTS_PER_SECOND)

    def publish(self) -> int:
        """Publish an update, and return the status of the answer."""
        headers = {"Authorization": f"Bearer {token()}"}
        fields = {"topic": TOPIC, "data": DATA}
        return httpx.post(self.url + PATH, data=fields, headers=headers, timeout=30).status_code

    def nginx_keeps_idle_connections(self) -> bool:
        """Return whether nginx is 1.27.4 or newer.

        An older one closes idle connections as soon as it is to end, and with one of them perhaps a
        request that is on its way.
        """
        said = run(
            *("kubectl", "--namespace", self.namespace, "exec", "deployment/barestream"),
            *("--container=nginx", "--", "nginx", "-v"),
        )
        version = said.stderr.rpartition("nginx/")[2].split()[0]
        return tuple(map(int, version.split("."))) >= (1, 27, 4)


def image() -> str:
    """Return the app's image, which the cluster can get."""
    if not (name := os.environ.get("BARESTREAM_IMAGE")):
        pytest.fail(
            "BARESTREAM_IMAGE is not set: expected an image of the app that the cluster can get, "
            "such as registry.example.com/barestream:1",
            pytrace=False,
        )
    return name


def require_cluster() -> None:
    """Have a cluster, and kubectl."""
    if shutil.which("kubectl") is None:
        pytest.fail("kubectl is missing: install it", pytrace=False)
    if (answer := run("kubectl", "get", "nodes")).returncode:
        pytest.fail(f"no cluster answers; KUBECONFIG names one: {answer.stderr}", pytrace=False)

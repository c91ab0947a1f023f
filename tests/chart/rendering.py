"""The chart, as helm renders it."""

import functools
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm"

# What helm writes about each link to a file outside of the chart.
_ABOUT_LINKS = "found symbolic link"


@functools.cache
def helm_binary() -> str:
    """Return where helm is; it is unpacked where it is not installed."""
    done = subprocess.run(
        [ROOT / "scripts/helm-binary"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm; its exit code is the caller's to judge."""
    return subprocess.run(
        [helm_binary(), *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@functools.cache
def rendered(*arguments: str) -> list[dict[str, Any]]:
    """Return the objects that the chart makes with some options of helm."""
    done = helm("template", "barestream", str(CHART), "--namespace", "events", *arguments)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def refusal(*arguments: str) -> str:
    """Return what helm says of values that it refuses."""
    done = helm("template", "barestream", str(CHART), *arguments)
    assert done.returncode != 0, done.stdout
    return "\n".join(line for line in done.stderr.splitlines() if _ABOUT_LINKS not in line)


def one(objects: list[dict[str, Any]], kind: str, name: str = "barestream") -> dict[str, Any]:
    """Return the object of a kind and a name."""
    [found] = [
        each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name
    ]
    return found


def pod_specs(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what all pods of the chart are made of."""
    pods = [each["spec"] for each in objects if each["kind"] == "Pod"]
    made = [
        each["spec"]["template"]["spec"] for each in objects if "template" in each.get("spec", {})
    ]
    return pods + made


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all containers of a pod."""
    return [*pod.get("initContainers", []), *pod["containers"]]

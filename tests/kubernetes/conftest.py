"""The hub on a real cluster, which KUBECONFIG names."""

from collections.abc import Iterator

import pytest

from release import Release, require_cluster


@pytest.fixture(scope="session")
def release() -> Iterator[Release]:
    """Return the chart as it was installed; each test leaves it with two ready pods."""
    require_cluster()
    with Release() as running:
        yield running

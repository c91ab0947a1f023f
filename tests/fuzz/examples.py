"""The number of examples that are tried."""

import os

from hypothesis import HealthCheck, settings

# Over all tests of this group; `make fuzz` asks for more.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))


def share(part: float) -> settings:
    """Return the settings of Hypothesis for a test that tries a share of the examples."""
    return settings(
        max_examples=max(1, round(part * EXAMPLES)),
        # Each example has time limits of its own; on a busy machine the first ones take longest.
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )

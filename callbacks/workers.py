"""Several processes that train one model together, as the environment variable TF_CONFIG describes them."""

import json
import os


def addresses() -> list[str]:
    """The addresses of all workers, "host:port"; none where TF_CONFIG is not set.

    Raises:
        ValueError: TF_CONFIG is no JSON.
    """
    return _config().get("cluster", {}).get("worker", [])


def together() -> bool:
    """Whether several processes train together: then they must save, judge and stop at the same steps."""
    return len(addresses()) > 1


def is_chief() -> bool:
    """Whether this process is the one that writes files; alone, it is."""
    return not together() or int(_config().get("task", {}).get("index", 0)) == 0


def _config() -> dict:
    try:
        return json.loads(os.environ.get("TF_CONFIG") or "{}")
    except ValueError as error:
        raise ValueError(f"the environment variable TF_CONFIG is no JSON: {error}") from None

import os
from pathlib import Path

import pytest

from scaling_utils import fetch

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"

# Tests use the folder that the environment names, or one that lies beside the repository.
if not os.environ.get(fetch.DATA_VARIABLE) and BESIDE.is_dir():
    os.environ[fetch.DATA_VARIABLE] = str(BESIDE)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs_published: needs the published runs, in a data folder or in the cache"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if fetch.at_hand(fetch.pinned_files()):
        return
    skip = pytest.mark.skip(
        reason="the published runs are not at hand: set SCALING_UTILS_DATA, or run "
        "`python -m scaling_utils fetch` with a network"
    )
    for item in items:
        if "needs_published" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the network: the discard port of this machine answers nothing."""
    monkeypatch.setattr(fetch, "BASE_URL", "http://127.0.0.1:9/{repository}/{commit}/")
    monkeypatch.setattr(fetch, "RETRIES", 0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

"""How nbval runs the chapters: without TCP, and skipping what needs runs that are not at hand."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import nbval.kernel
import pytest

from tools.chapters import Chapter, tagged, why_not_at_hand
from tools.kernels import LocalKernelManager

nbval.kernel.KernelManager = LocalKernelManager


@lru_cache
def reasons(path: Path) -> tuple[str | None, str | None]:
    """Why the chapter of a notebook cannot run here, and why its tagged cells cannot."""
    chapter = Chapter(path.stem, path.parent.parent)
    found = (why_not_at_hand(chapter.needs()), why_not_at_hand(chapter.also()))
    whole, part = (reason and f"{chapter.name} {reason}" for reason in found)
    return whole, whole or part


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with a counted reason, every cell that cannot run here."""
    for item in items:
        if item.path.suffix == ".ipynb" and item.path.parent == Path(__file__).parent:
            whole, part = reasons(item.path)
            reason = part if tagged(item.cell) else whole  # type: ignore[attr-defined]
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))

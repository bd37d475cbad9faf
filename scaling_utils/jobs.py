"""Independent pieces of work, one after another, on all cores, or on a cluster: the caller chooses.

Every long loop of the package goes through :func:`run_jobs`, which asks joblib where to work.  So
the same call is sent to a Dask cluster by what stands around it (the extra ``cluster`` of this
package installs Dask)::

    from dask.distributed import Client
    import joblib

    client = Client("tcp://scheduler:8786")
    with joblib.parallel_config("dask"):
        table = compute_grid("smallest")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import joblib
from tqdm import tqdm

Result = TypeVar("Result")


def run_jobs(
    function: Callable[..., Result],
    arguments: Sequence[tuple[Any, ...]],
    *,
    n_jobs: int | None = None,
    name: str = "",
    progress: bool = False,
) -> list[Result]:
    """Call a function once for each tuple of arguments.

    Parameters
    ----------
    function : callable
        A function of a module, so that it can be sent to another process.
    arguments : sequence of tuple
        Positional arguments of each call.
    n_jobs : int, optional
        Processes, as for ``joblib.Parallel``.  By default what a surrounding
        ``joblib.parallel_config`` says, and else one.
    name : str
        Text before the progress bar.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list
        Results in the order of the arguments, whatever the order of the work.

    Examples
    --------
    >>> run_jobs(divmod, [(7, 2), (9, 4)])
    [(3, 1), (2, 1)]
    """
    calls = (joblib.delayed(function)(*some) for some in arguments)
    # Results are handed out as they come, so that the bar moves; some backends cannot do that.
    try:
        parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator")
    except ValueError:
        parallel = joblib.Parallel(n_jobs=n_jobs)
    done = parallel(calls)
    return list(tqdm(done, total=len(arguments), desc=name, disable=not progress))

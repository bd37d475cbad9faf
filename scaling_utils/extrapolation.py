"""What a prediction asks of a law beyond what the law has seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from scaling_utils.calibration import largest_tested
from scaling_utils.errors import UnknownOptionError
from scaling_utils.law import ScalingLaw

WARNINGS: dict[str, str] = {
    "no-training-set": "a law written down by hand, of which nobody knows what it has seen",
    "beyond-tested-scale-up": "a target larger than predictions have ever been checked for",
    "beyond-seen-tokens": "more tokens than any training run has seen",
    "below-seen-range": "a smaller model, or fewer tokens, than the training set holds",
}
"""Warnings of a prediction by name, and what each is about, in the order they are given."""

ROUNDING = 1e-9
"""Excess, as a part, that counts as rounding and not as leaving a range."""


def prediction_warnings(
    law: ScalingLaw,
    params: ArrayLike,
    tokens: ArrayLike,
    *,
    tested_scale_up: float | None = None,
) -> tuple[str, ...]:
    """Name what makes a prediction less safe than the law itself.

    Parameters
    ----------
    law : ScalingLaw
        A law from :func:`scaling_utils.fit_law`, whose report says what it has seen.
    params, tokens : float or array_like
        Parameters and training tokens to predict at, as for :meth:`ScalingLaw.predict`; of an
        array, the values furthest out are judged.
    tested_scale_up : float, optional
        Largest ratio of target to largest training params for which predictions have been
        compared with measured losses; by default that of the accuracy study
        (:func:`scaling_utils.calibration.largest_tested`).

    Returns
    -------
    tuple of str
        Warnings, each a name of ``WARNINGS``, a colon, what is wrong and what to do about it.
        Those of the fit are in ``law.report.warnings``.

    Raises
    ------
    UnknownOptionError
        If ``tested_scale_up`` is below 1.
    ScalingError
        If ``params`` or ``tokens`` are not positive.

    Examples
    --------
    >>> import pandas as pd
    >>> from scaling_utils import fit_law
    >>> n, d = np.meshgrid([1e7, 1e8, 1e9], [1e9, 1e10, 1e11])
    >>> logs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> logs["loss"] = 1.7 + 400 * logs["params"] ** -0.35 + 2000 * logs["tokens"] ** -0.37
    >>> law = fit_law(logs)
    >>> prediction_warnings(law, params=1e10, tokens=1e11)
    ()
    >>> for warning in prediction_warnings(law, params=1e10, tokens=2e11, tested_scale_up=5):
    ...     print(warning.split(":")[0])
    beyond-tested-scale-up
    beyond-seen-tokens
    """
    if tested_scale_up is None:
        tested_scale_up = largest_tested()
    if not tested_scale_up >= 1:
        raise UnknownOptionError(
            f"tested_scale_up = {tested_scale_up!r}: it is the params of a target over those of "
            "the largest training model, so at least 1. Leave it out for the limit of this book."
        )
    law.predict(params, tokens)  # refuses what is not positive
    n, d = np.asarray(params, "float64"), np.asarray(tokens, "float64")
    if law.report is None:
        return (
            "no-training-set: the law was written down by hand, so nobody can say how far this "
            "prediction is from what it was fitted to; fit it to runs, or look up their range.",
        )
    if n.size == 0 or d.size == 0:
        return ()
    found = []
    smallest, largest = law.report.params_range
    shortest, longest = law.report.tokens_range
    scale_up = float(n.max()) / largest
    if scale_up > tested_scale_up * (1 + ROUNDING):
        found.append(
            f"beyond-tested-scale-up: {n.max():.3g} parameters are {scale_up:.3g} times the "
            f"largest training model, and predictions have been checked up to "
            f"{tested_scale_up:.3g} times; train a larger model first."
        )
    if d.max() > longest * (1 + ROUNDING):
        found.append(
            f"beyond-seen-tokens: {d.max():.3g} tokens are {d.max() / longest:.3g} times the "
            f"most in the training set, so the prediction rests on beta and E alone; train one of "
            "the smaller models that long."
        )
    low = [
        f"{value.min():.3g} {word} (the fewest seen: {least:.3g})"
        for word, value, least in (("params", n, smallest), ("tokens", d, shortest))
        if value.min() < least * (1 - ROUNDING)
    ]
    if low:
        found.append(
            f"below-seen-range: {' and '.join(low)} lie below the training set, where losses are "
            "often off the law (warm-up, too small models); fit runs of that scale."
        )
    return tuple(found)

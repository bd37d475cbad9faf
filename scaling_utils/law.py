"""The law itself: five numbers that turn parameters and tokens into an expected loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from scaling_utils.calibration import claimed_sd, factor
from scaling_utils.errors import FitError, ScalingError
from scaling_utils.posterior import Posterior

PARAMETERS = ("E", "A", "B", "alpha", "beta")
"""Names of the law's five parameters, in the order used everywhere."""


@dataclass(frozen=True)
class FitReport:
    """How a law was obtained, and what to beware of.

    Attributes
    ----------
    method : str
        Name of the fitting method.
    objective : float
        Value that the method minimised (for least squares, the sum of squared residuals in
        squared nats per token).
    n_checkpoints, n_runs, n_sizes : int
        Size of the training set: rows, distinct runs, distinct parameter counts.
    params_range, tokens_range : tuple of float
        Smallest and largest parameters, and tokens, in the training set.
    fixed : mapping of str to float
        Parameters that were held rather than fitted.
    warnings : tuple of str
        Each starts with a short name and a colon, then says what is wrong and what to do.
    """

    method: str
    objective: float
    n_checkpoints: int
    n_runs: int
    n_sizes: int
    params_range: tuple[float, float]
    tokens_range: tuple[float, float]
    fixed: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScalingLaw:
    r"""A fitted scaling law, :math:`\hat L(N, D) = E + A\,N^{-\alpha} + B\,D^{-\beta}`.

    Here *N* is the number of parameters, *D* the number of training tokens and *L* the loss in
    nats per token, all in raw units (Hoffmann et al. 2022, arXiv 2203.15556, Eq. 10 with the
    constants of its approach 3).

    Attributes
    ----------
    E : float
        Irreducible loss, nats per token: what remains for endless parameters and tokens.
    A, alpha : float
        Size and exponent of the term that shrinks with parameters.
    B, beta : float
        Size and exponent of the term that shrinks with tokens.
    report : FitReport or None
        How the law was fitted; ``None`` for a law written down by hand.
    posterior : Posterior or None
        What the fit leaves uncertain, where the method says so (``"pooled"``).

    Examples
    --------
    >>> law = ScalingLaw(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
    >>> round(law.predict(params=70e9, tokens=1.4e12), 3)
    1.937
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    report: FitReport | None = None
    posterior: Posterior | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in PARAMETERS:
            value = getattr(self, name)
            if not np.isfinite(value) or value < 0:
                raise ScalingError(
                    f"{name} = {value!r}: the parameters of a law must be finite and not "
                    "negative, or the predicted loss could fall below zero or rise with scale."
                )

    def predict(self, params: ArrayLike, tokens: ArrayLike) -> float | NDArray[np.float64]:
        """Predict the loss of a model of ``params`` parameters after ``tokens`` tokens.

        Parameters
        ----------
        params : float or array_like
            Parameters, counted as in the runs that the law was fitted to.
        tokens : float or array_like
            Training tokens; broadcast against ``params``.

        Returns
        -------
        float or numpy.ndarray
            Loss in nats per token: a float for two scalars, else the broadcast array.

        Raises
        ------
        ScalingError
            If a value is not positive.

        Examples
        --------
        >>> law = ScalingLaw(E=1.0, A=10.0, B=100.0, alpha=0.5, beta=0.5)
        >>> law.predict(100.0, 10_000.0)
        3.0
        """
        n = np.asarray(params, dtype="float64")
        d = np.asarray(tokens, dtype="float64")
        for name, values in (("params", n), ("tokens", d)):
            if not bool((values > 0).all()):
                raise ScalingError(
                    f"{name} = {values[~(values > 0)].flat[0] if values.ndim else float(values)}: "
                    f"{name} must be positive; give counts such as 7e9, not logarithms."
                )
        loss = self.E + self.A * n**-self.alpha + self.B * d**-self.beta
        return float(loss) if loss.ndim == 0 else loss

    def interval(
        self, params: ArrayLike, tokens: ArrayLike, level: float = 0.9
    ) -> tuple[float | NDArray[np.float64], float | NDArray[np.float64]]:
        r"""Bounds for the loss that a new, finished run would show.

        They take in the uncertainty of the fit, the spread between runs and the law's own error at
        that scale-up, and are calibrated on predictions of other families whose end is known
        (:mod:`scaling_utils.calibration`).

        Parameters
        ----------
        params, tokens : float or array_like
            As for :meth:`predict`.
        level : float
            Share of such intervals that hold what comes, averaged over groups of families.

        Returns
        -------
        low, high : float or numpy.ndarray
            Nats per token.

        Raises
        ------
        FitError
            If the law's method gives no posterior.
        ScalingError
            If a value is not positive.
        UnknownOptionError
            If ``level`` is not between 0 and 1.

        See Also
        --------
        scaling_utils.prediction_warnings : whether predictions so far out were ever checked.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from scaling_utils import fit_law
        >>> n, d = np.meshgrid([1e7, 1e8, 1e9], [1e9, 1e10, 1e11])
        >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.37)
        >>> logs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
        >>> logs["loss"] = truth.predict(logs["params"], logs["tokens"])
        >>> law = fit_law(logs)
        >>> low, high = law.interval(1e10, 1e12)
        >>> bool(low < truth.predict(1e10, 1e12) < high)
        True
        """
        centre = np.asarray(self.predict(params, tokens))
        spread = factor(level, self._posterior().left_out) * self.claimed_sd(params, tokens)
        low, high = centre * np.exp(-spread), centre * np.exp(spread)
        if centre.ndim == 0:
            return float(low), float(high)
        return low, high

    def claimed_sd(self, params: ArrayLike, tokens: ArrayLike) -> NDArray[np.float64]:
        """Relative standard deviation of a new run's loss, before calibration.

        Parameters
        ----------
        params, tokens : float or array_like
            As for :meth:`predict`.

        Returns
        -------
        numpy.ndarray
            See :func:`scaling_utils.calibration.claimed_sd`.

        Raises
        ------
        FitError
            If the law's method gives no posterior.
        """
        posterior = self._posterior()
        largest = self.report.params_range[1] if self.report else np.inf
        scale_up = np.asarray(params, dtype="float64") / largest
        return claimed_sd(posterior.log_sd(params, tokens), posterior.scatter, scale_up)

    def parameter_intervals(
        self, level: float = 0.9, *, seed: int = 0
    ) -> dict[str, tuple[float, float]]:
        """Bounds for each of the five numbers of the law.

        Parameters
        ----------
        level : float
            Share of the posterior between the bounds, after it was widened by the factor that
            predictions of other families need (there is no known truth to calibrate these on).
        seed : int
            Seed of the draws that the bounds are quantiles of.

        Returns
        -------
        dict of str to (float, float)
            ``E`` (nats per token), ``A``, ``B``, ``alpha`` and ``beta``.

        Raises
        ------
        FitError
            If the law's method gives no posterior.
        """
        draws = self._draws(level, seed)
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.quantile(draws, tails, axis=0)
        return {n: (float(a), float(b)) for n, a, b in zip(PARAMETERS, low, high, strict=True)}

    def compute_optimal_interval(
        self, flops: float, level: float = 0.9, *, seed: int = 0
    ) -> dict[str, tuple[float, float]]:
        """Bounds for the parameters and tokens that minimise the loss for a training budget.

        Parameters
        ----------
        flops : float
            Training budget in FLOPs.
        level, seed : float, int
            As for :meth:`parameter_intervals`.

        Returns
        -------
        dict of str to (float, float)
            ``params`` and ``tokens``.

        Raises
        ------
        FitError
            If the law's method gives no posterior.
        ScalingError
            As for :meth:`compute_optimal`.
        """
        self.compute_optimal(flops)  # refuses what has no optimum
        optima = [
            ScalingLaw(e, a, b, alpha, beta).compute_optimal(flops)
            for e, a, b, alpha, beta in self._draws(level, seed).tolist()
        ]
        low, high = np.quantile(np.array(optima), [(1 - level) / 2, (1 + level) / 2], axis=0)
        return {
            name: (float(low[k]), float(high[k])) for k, name in enumerate(("params", "tokens"))
        }

    def _draws(self, level: float, seed: int, count: int = 4000) -> NDArray[np.float64]:
        """Laws drawn from the widened posterior."""
        widen = max(1.0, factor(level, self._posterior().left_out) / float(ndtri((1 + level) / 2)))
        draws = self._posterior().draw(count, np.random.default_rng(seed), widen=widen)
        for name, value in (self.report.fixed if self.report else {}).items():
            draws[:, PARAMETERS.index(name)] = value
        return draws

    def _posterior(self) -> Posterior:
        """Return the posterior, or refuse."""
        if self.posterior is None:
            method = self.report.method if self.report else "no fit"
            raise FitError(
                f"a law from {method!r} has no interval: only method='pooled' says what its fit "
                "leaves uncertain and was calibrated. Fit with it, or resample runs with "
                "bootstrap_laws for the spread of the five numbers."
            )
        return self.posterior

    def compute_optimal(self, flops: float) -> tuple[float, float]:
        r"""Find the parameters and tokens that minimise the loss for a training budget.

        Solves :math:`\min_{N, D} \hat L(N, D)` subject to :math:`6 N D =` ``flops``
        (Hoffmann et al. 2022, Eq. 4).

        Parameters
        ----------
        flops : float
            Training budget in FLOPs.

        Returns
        -------
        tuple of float
            Optimal parameters and optimal tokens.

        Raises
        ------
        ScalingError
            If ``flops`` is not positive, or a term of the law is zero so that no finite optimum
            exists.

        Examples
        --------
        >>> law = ScalingLaw(E=1.8172, A=477.7, B=2144.0, alpha=0.3473, beta=0.3672)
        >>> params, tokens = law.compute_optimal(5.76e23)
        >>> f"{params:.3g} parameters, {tokens / params:.1f} tokens each"
        '7.32e+10 parameters, 17.9 tokens each'
        """
        if not flops > 0:
            raise ScalingError(f"flops = {flops!r}: a training budget must be positive.")
        if min(self.A, self.B, self.alpha, self.beta) <= 0:
            raise ScalingError(
                f"A = {self.A:.4g}, B = {self.B:.4g}, alpha = {self.alpha:.4g}, beta = "
                f"{self.beta:.4g}: a law with a vanishing term has no finite compute optimum. "
                "Fit it to runs that differ in both parameters and tokens."
            )
        total = self.alpha + self.beta
        scale = (self.alpha * self.A / (self.beta * self.B)) ** (1 / total)
        params = scale * (flops / 6) ** (self.beta / total)
        return params, flops / 6 / params

    def summary(self) -> str:
        """Describe the law, its training set and its warnings in a few lines.

        Returns
        -------
        str
            Text for a person to read; values rounded to four significant digits.

        Examples
        --------
        >>> print(ScalingLaw(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28).summary())
        L(N, D) = 1.69 + 406.4 / N^0.34 + 410.7 / D^0.28   [nats per token]
        written down by hand, not fitted
        """
        lines = [
            f"L(N, D) = {self.E:.4g} + {self.A:.4g} / N^{self.alpha:.4g} + "
            f"{self.B:.4g} / D^{self.beta:.4g}   [nats per token]"
        ]
        if self.report is None:
            lines.append("written down by hand, not fitted")
            return "\n".join(lines)
        r = self.report
        lines.append(
            f"fitted by {r.method} to {r.n_checkpoints} checkpoints of {r.n_runs} runs at "
            f"{r.n_sizes} sizes (objective {r.objective:.4g})"
        )
        lines.append(
            f"seen: {r.params_range[0]:.3g} to {r.params_range[1]:.3g} parameters, "
            f"{r.tokens_range[0]:.3g} to {r.tokens_range[1]:.3g} tokens"
        )
        if r.fixed:
            held = ", ".join(f"{k} = {v:.4g}" for k, v in r.fixed.items())
            lines.append(f"held, not fitted: {held}")
        lines += [f"warning: {w}" for w in r.warnings]
        return "\n".join(lines)

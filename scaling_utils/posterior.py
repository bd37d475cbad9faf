r"""What a fit leaves uncertain: a normal distribution over the law's coordinates.

The coordinates are logarithms, at reference sizes where families are near: ``log E``, ``log A0``
and ``log B0`` (the two terms, in nats, at :data:`REFERENCE`), ``log alpha``, ``log beta``, and
``c``, by how much the logarithm of the loss is higher at the start of a schedule than at its end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

REFERENCE = (1e9, 1e11)
"""Parameters and tokens at which the two terms are compared between families."""

COORDINATES = ("log_e", "log_a", "log_b", "log_alpha", "log_beta", "c")
"""Names of the coordinates, in order."""

LOG_REFERENCE = (float(np.log(REFERENCE[0])), float(np.log(REFERENCE[1])))


def log_loss(theta: Array, log_n: Array, log_d: Array, decay: Array) -> tuple[Array, Array]:
    """Logarithm of the loss of a law, and its slopes.

    Parameters
    ----------
    theta : numpy.ndarray of shape (6,)
        Coordinates; an infinitely negative logarithm means that the term is absent.
    log_n, log_d, decay : numpy.ndarray of shape (n,)
        Logarithms of parameters and tokens over :data:`REFERENCE`, and the part of the decay of
        the schedule that is to come.

    Returns
    -------
    value : numpy.ndarray of shape (n,)
        Logarithm of the loss.
    slopes : numpy.ndarray of shape (n, 6)
        Its derivatives in the coordinates.

    Examples
    --------
    >>> theta = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.1])
    >>> value, slopes = log_loss(theta, np.zeros(1), np.zeros(1), np.ones(1))
    >>> (np.exp(value) / 3).round(4).tolist(), slopes.round(3)[0, [0, 5]].tolist()
    ([1.1052], [0.333, 1.0])
    """
    alpha, beta = np.exp(theta[3]), np.exp(theta[4])
    floor = np.exp(theta[0])
    first = np.exp(theta[1] - alpha * log_n)
    second = np.exp(theta[2] - beta * log_d)
    total = floor + first + second
    slopes = np.column_stack(
        [
            floor / total,
            first / total,
            second / total,
            -alpha * log_n * first / total,
            -beta * log_d * second / total,
            decay,
        ]
    )
    return np.log(total) + theta[5] * decay, slopes


@dataclass(frozen=True)
class Posterior:
    """A normal approximation about the most probable law.

    Attributes
    ----------
    mean : numpy.ndarray of shape (6,)
        Coordinates of the law, in the order of ``COORDINATES``.
    covariance : numpy.ndarray of shape (6, 6)
        Their covariance; zero rows for what was held.
    scatter : float
        Root mean square of the relative residuals, weighted as in the fit.
    groups : tuple of str
        Groups of families that the prior was pooled over.
    left_out : tuple of str
        Names of families or groups whose groups it was not pooled over.
    """

    mean: Array
    covariance: Array
    scatter: float = 0.0
    groups: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def log_sd(self, params: ArrayLike, tokens: ArrayLike) -> Array:
        """Return the standard deviation of the logarithm of a finished run's expected loss.

        Parameters
        ----------
        params, tokens : array_like
            Parameters and tokens, broadcast against each other.

        Returns
        -------
        numpy.ndarray
            Standard deviations, of the broadcast shape.
        """
        n, d = np.broadcast_arrays(
            np.asarray(params, dtype="float64"), np.asarray(tokens, dtype="float64")
        )
        log_n = np.log(n).ravel() - LOG_REFERENCE[0]
        log_d = np.log(d).ravel() - LOG_REFERENCE[1]
        _, slopes = log_loss(self.mean, log_n, log_d, np.zeros(log_n.size))
        variance = np.einsum("ij,jk,ik->i", slopes, self.covariance, slopes)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)).reshape(n.shape))

    def draw(self, count: int, rng: np.random.Generator, *, widen: float = 1.0) -> Array:
        """Draw laws.

        Parameters
        ----------
        count : int
            How many.
        rng : numpy.random.Generator
            Source of randomness.
        widen : float
            Factor on every deviation from the mean.

        Returns
        -------
        numpy.ndarray of shape (count, 5)
            ``E, A, B, alpha, beta`` of each, in raw units.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        theta = self.mean + widen * rng.standard_normal((count, len(self.mean))) @ root.T
        return to_raw(theta)


def to_raw(theta: Array) -> Array:
    """Turn coordinates into the five numbers of a law in raw units.

    Parameters
    ----------
    theta : numpy.ndarray of shape (..., 6)
        Coordinates.

    Returns
    -------
    numpy.ndarray of shape (..., 5)
        ``E, A, B, alpha, beta``.

    Examples
    --------
    >>> theta = np.array([0.5, -1.0, -1.0, np.log(0.3), np.log(0.3), 0.05])
    >>> to_raw(theta).round(3).tolist()
    [1.649, 184.376, 734.016, 0.3, 0.3]
    """
    alpha, beta = np.exp(theta[..., 3]), np.exp(theta[..., 4])
    return np.stack(
        [
            np.exp(theta[..., 0]),
            np.exp(theta[..., 1] + alpha * LOG_REFERENCE[0]),
            np.exp(theta[..., 2] + beta * LOG_REFERENCE[1]),
            alpha,
            beta,
        ],
        axis=-1,
    )

"""Estimate scaling laws from training runs, and say how far to trust them."""

from scaling_utils.backtest import backtest, training_flops
from scaling_utils.baselines import best_seen, most_trained
from scaling_utils.bootstrap import bootstrap_laws
from scaling_utils.extrapolation import prediction_warnings
from scaling_utils.fitting import fit_law
from scaling_utils.fitting.identify import warning_names
from scaling_utils.fitting.prior import Prior, pooled_prior
from scaling_utils.frame import COLUMNS, check_runs, tidy_runs
from scaling_utils.law import FitReport, ScalingLaw
from scaling_utils.metrics import absolute_relative_error, signed_relative_error
from scaling_utils.posterior import Posterior
from scaling_utils.runs import families, load_runs
from scaling_utils.selection import (
    Split,
    drop_first_tokens,
    first_fraction,
    largest_models,
    last_fraction,
    sizes,
    split_target,
)

__all__ = [
    "COLUMNS",
    "FitReport",
    "Posterior",
    "Prior",
    "ScalingLaw",
    "Split",
    "absolute_relative_error",
    "backtest",
    "best_seen",
    "bootstrap_laws",
    "check_runs",
    "drop_first_tokens",
    "families",
    "first_fraction",
    "fit_law",
    "largest_models",
    "last_fraction",
    "load_runs",
    "most_trained",
    "pooled_prior",
    "prediction_warnings",
    "signed_relative_error",
    "sizes",
    "split_target",
    "tidy_runs",
    "training_flops",
    "warning_names",
]

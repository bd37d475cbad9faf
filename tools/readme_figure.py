"""Draw the picture of the README: GPT-3's smaller models predict the 175B.

``python -m tools.readme_figure [PATH]`` writes ``book/_static/readme.png`` unless another path is
given.  The same runs give the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from scaling_utils import (
    ScalingLaw,
    absolute_relative_error,
    drop_first_tokens,
    first_fraction,
    fit_law,
    load_runs,
    sizes,
    split_target,
)
from scaling_utils.figures.errors import draw_prediction
from scaling_utils.style import format_params, use_style

PATH = Path(__file__).resolve().parent.parent / "book" / "_static" / "readme.png"


def predict_largest(runs: pd.DataFrame, skip_tokens: float = 1e10) -> tuple[ScalingLaw, float]:
    """Fit a law to all sizes but the largest; return it and its ARE on the target.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.
    skip_tokens : float
        Checkpoints with no more tokens than this are not fitted.

    Returns
    -------
    law : ScalingLaw
        The law.
    are : float
        Its absolute relative error on the last 30 % of the largest size's training.
    """
    train, target = split_target(runs)
    law = fit_law(
        first_fraction(drop_first_tokens(train, skip_tokens), 1.0), method="least_squares"
    )
    return law, absolute_relative_error(law, target)


def draw(runs: pd.DataFrame) -> Figure:
    """Draw the curves of a family, the prediction for its largest size and the error.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.

    Returns
    -------
    matplotlib.figure.Figure
        8 by 4.6 inches: with 200 dots per inch, twice the width of a README.
    """
    law, are = predict_largest(runs)
    available = sizes(runs)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure, ax = plt.subplots(figsize=(8, 4.6), dpi=200, layout=layout)
    draw_prediction(runs, law, ax=ax)
    ax.set_title(
        f"The {len(available) - 1} smaller GPT-3 models predict the "
        f"{format_params(available[-1])}: error {100 * are:.1f} %",
        fontsize=15,
        fontweight="bold",
        pad=26,
    )
    ax.text(
        0,
        1.025,
        f"fitted to {format_params(available[0])} to {format_params(available[-2])}, scored on "
        f"the grey part; the best loss seen misses by {100 * guess_error(runs):.1f} %",
        transform=ax.transAxes,
        fontsize=11.5,
        va="bottom",
        color="#4b5563",
    )
    return figure


def guess_error(runs: pd.DataFrame, skip_tokens: float = 1e10) -> float:
    """ARE of expecting the lowest loss of the smaller models.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.
    skip_tokens : float
        Checkpoints with no more tokens than this are not looked at.

    Returns
    -------
    float
        The error.
    """
    train, target = split_target(runs)
    best = first_fraction(drop_first_tokens(train, skip_tokens), 1.0)["loss"].min()
    return float((best / target["loss"] - 1).abs().mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    path = Path(given[0]) if given else PATH
    mpl.use("Agg")
    use_style()
    figure = draw(load_runs("gpt3"))
    figure.savefig(path, dpi=200, metadata={"Software": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())

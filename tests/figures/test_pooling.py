import numpy as np
import pandas as pd
import pytest

from scaling_utils.figures.pooling import (
    METHOD_STYLES,
    draw_accuracy,
    draw_counts,
    draw_prior,
    draw_shares,
)
from scaling_utils.fitting.prior import pool, pooled_prior
from scaling_utils.pooling_studies import levelled, shape_spread


def test_prior_has_a_strip_with_every_group_and_its_mean() -> None:
    groups, prior = levelled(pool()), pooled_prior()
    strips = draw_prior(groups, prior, shape_spread(prior)).get_axes()
    assert len(strips) == 5
    for k, (ax, name) in enumerate(zip(strips, groups.columns, strict=False)):
        mean, *markers = ax.get_lines()
        assert np.asarray(mean.get_xdata())[0] == pytest.approx(np.exp(prior.mean[k]))
        drawn = {line.get_label(): float(np.asarray(line.get_xdata())[0]) for line in markers}
        assert drawn == pytest.approx(groups[name].to_dict())
        low, high = ax.get_xlim()
        assert low < groups[name].min() <= groups[name].max() < high


def test_shares_fill_the_bar() -> None:
    groups = pd.DataFrame(
        {"floor": [0.7, 0.6], "params": [0.2, 0.1], "tokens": [0.1, 0.3]}, index=["a", "b"]
    )
    ax = draw_shares(groups)
    ends = [bar.get_extents().transformed(ax.transData.inverted()).x1 for bar in ax.patches]
    assert ends == pytest.approx([70, 60, 90, 70, 100, 100])
    assert [t.get_text() for t in ax.texts] == ["70", "60", "20", "10", "10", "30"]


def test_counts_skip_what_has_no_law_and_share_an_axis() -> None:
    errors = pd.DataFrame(
        {
            "panel": ["x", "x", "x", "y"],
            "n_models": [1, 2, 1, 1],
            "method": ["pooled", "pooled", "least_squares", "pooled"],
            "are": [0.03, 0.0001, np.nan, 0.2],
        }
    )
    first, second, unused = draw_counts(errors).get_axes()
    one, none = first.get_lines()
    assert np.asarray(one.get_ydata()) == pytest.approx([3, 0.05])  # tiny errors at the edge
    assert len(np.asarray(none.get_ydata())) == 0
    assert first.get_ylim() == second.get_ylim()
    assert first.get_title(loc="left") == "x"
    assert not unused.get_visible()


def test_accuracy_is_drawn_in_per_cent_with_the_default_first() -> None:
    table = pd.DataFrame(
        {"pooled": [0.03, 0.02], "curve_fit": [0.04, 0.01], "ratio": [0.75, 2.0]}, index=["a", "b"]
    )
    ax = draw_accuracy(table)
    drawn = {line.get_label(): line for line in ax.get_lines()}
    assert np.asarray(drawn["pooled prior"].get_xdata()) == pytest.approx([3, 2])
    legend = ax.get_legend()
    assert legend is not None
    names = [t.get_text() for t in legend.get_texts()]
    assert names == [METHOD_STYLES[m][0] for m in ("pooled", "curve_fit")]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]

r"""Loans of a shape: one family's :math:`A` and :math:`\alpha` in the law of another.

One model alone shows how its loss falls with tokens and says nothing about size.  Choshen, Zhang
and Andreas (arXiv 2410.11840, section 5 and appendix A) therefore fix *A* and *alpha* at values
from elsewhere.  *A* has the unit of ``params ** alpha``, so the two are always lent as a pair.

With *E* free, all that a loan contributes to a prediction is one number: the *drop*
:math:`A (n^{-\alpha} - m^{-\alpha})` of the loss from a model of *n* parameters to one of *m*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_utils.backtest import backtest, training_flops
from scaling_utils.errors import FitError, RunsError, SelectionError
from scaling_utils.fitting import fit_law
from scaling_utils.fitting.guide import SINGLE_RUN_FIXED
from scaling_utils.fitting.identify import CLOSE_TO_BOUND
from scaling_utils.fitting.varpro import EXPONENT_BOX, fit_varpro
from scaling_utils.frame import COLUMNS
from scaling_utils.law import ScalingLaw
from scaling_utils.published.catalogue import catalogue
from scaling_utils.runs import load_runs
from scaling_utils.selection import (
    drop_first_tokens,
    largest_models,
    last_fraction,
    sizes,
    split_target,
)
from scaling_utils.simulate import simulate_family

Array = NDArray[np.float64]

LONG = 1e11
"""Families whose longest run has more tokens than this lose their first 1e10, as in the guide."""


@dataclass(frozen=True)
class Loan:
    """What a family lends: how its loss falls with parameters.

    Attributes
    ----------
    lender : str
        Where the two numbers come from.
    A, alpha : float
        Size and exponent of the term of the law that shrinks with parameters.
    params_range : tuple of float
        Sizes that the lender has seen; ``(nan, nan)`` if unknown.

    Examples
    --------
    >>> loan = Loan("a law", A=10.0, alpha=0.5)
    >>> round(loan.drop(100.0, 10_000.0), 12)
    0.9
    """

    lender: str
    A: float
    alpha: float
    params_range: tuple[float, float] = (math.nan, math.nan)

    @property
    def fixed(self) -> dict[str, float]:
        """The pair, for the option ``fixed`` of a fit."""
        return {"A": self.A, "alpha": self.alpha}

    def drop(self, small: float, large: float) -> float:
        """Nats per token that the loss falls from ``small`` to ``large`` parameters."""
        return self.A * (small**-self.alpha - large**-self.alpha)

    @classmethod
    def through(cls, lender: str, drop: float, small: float, large: float) -> Loan:
        """Loan that promises a given drop between two sizes, with the guide's exponent.

        Parameters
        ----------
        lender : str
            Name of the loan.
        drop : float
            Nats per token, not negative.
        small, large : float
            Parameters.

        Returns
        -------
        Loan
            The loan.

        Examples
        --------
        >>> round(Loan.through("half a nat", 0.5, 1e8, 1e9).drop(1e8, 1e9), 12)
        0.5
        """
        alpha = SINGLE_RUN_FIXED["alpha"]
        return cls(lender, drop / (small**-alpha - large**-alpha), alpha)


GUIDE = Loan("guide", SINGLE_RUN_FIXED["A"], SINGLE_RUN_FIXED["alpha"])
"""What the guide lends to everybody: the constants of Muennighoff et al. (arXiv 2305.16264)."""

NOTHING = Loan("nothing", 0.0, SINGLE_RUN_FIXED["alpha"])
"""The empty loan, which expects no effect of size at all: what every loan has to beat."""


def skip_of(runs: pd.DataFrame) -> float:
    """First tokens to leave out: the guide's 1e10 for long families, none for others.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.

    Returns
    -------
    float
        Tokens: 1e10 if the longest run has more than :data:`LONG` and most runs have more than
        one checkpoint, else 0.

    Examples
    --------
    >>> skip_of(pd.DataFrame({"run": ["a", "a"], "tokens": [1e6, 1e7]}))
    0.0
    """
    many = float(runs.groupby("run").size().median()) > 1
    return 1e10 if many and float(runs["tokens"].max()) > LONG else 0.0


def skipped(runs: pd.DataFrame) -> pd.DataFrame:
    """Leave out the first tokens of a family as :func:`skip_of` says.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.

    Returns
    -------
    pandas.DataFrame
        Some of the rows.
    """
    return drop_first_tokens(runs, skip_of(runs))


def ends_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Last checkpoint of every run.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints.

    Returns
    -------
    pandas.DataFrame
        One row for each run.
    """
    return runs.loc[runs.groupby(["family", "run"])["tokens"].idxmax()].sort_index()


def lend(runs: pd.DataFrame, lender: str | None = None) -> Loan:
    """Fit a law to a whole family and lend its A and alpha.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family with at least three sizes.  The first tokens are left out as
        :func:`skip_of` says.
    lender : str, optional
        Name of the loan; by default the family's.

    Returns
    -------
    Loan
        The pair.

    Raises
    ------
    FitError
        If the family cannot tell the effect of size: too few sizes, a fit that puts A or B at
        zero, so that one of size and tokens stands for both, or alpha at the edge of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from scaling_utils import tidy_runs
    >>> n, d = np.meshgrid([1e7, 1e8, 1e9], [1e9, 1e10, 5e10])
    >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.37)
    >>> logs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> logs["loss"] = truth.predict(logs["params"], logs["tokens"])
    >>> loan = lend(tidy_runs(logs))
    >>> print(f"{loan.A:.1f} {loan.alpha:.3f}")
    400.0 0.350
    """
    name = str(runs["family"].iloc[0]) if lender is None else lender
    values = sizes(runs)
    law = fit_law(skipped(runs), method="least_squares")
    low, high = EXPONENT_BOX
    inside = low * CLOSE_TO_BOUND < law.alpha < high / CLOSE_TO_BOUND
    if len(values) < 3 or law.A == 0 or law.B == 0 or not inside:
        raise FitError(
            f"family {name!r} has no shape to lend: its law has A = {law.A:.3g}, B = {law.B:.3g} "
            f"and alpha = {law.alpha:.3g} from {len(values)} sizes. It takes at least three sizes, "
            "and sizes and tokens that vary apart."
        )
    return Loan(name, law.A, law.alpha, (float(values[0]), float(values[-1])))


def loans_of(runs: pd.DataFrame) -> dict[str, Loan]:
    """Loans of every family that has a shape to lend.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of several families.

    Returns
    -------
    dict of str to Loan
        By family; those that :func:`lend` refuses are left out.
    """
    loans = {}
    for family, members in runs.groupby("family", sort=True):
        try:
            loans[str(family)] = lend(members)
        except (FitError, RunsError):  # it has no shape to lend
            continue
    return loans


def borrow(
    models: Iterable[SingleModel], loans: Iterable[Loan], own: Mapping[str, Loan] | None = None
) -> pd.DataFrame:
    """Predict the largest model of each family from one smaller model and a loan.

    Parameters
    ----------
    models : iterable of SingleModel
        Borrowers, from :func:`single_models`.
    loans : iterable of Loan
        Loans; each is tried with every borrower.
    own : mapping of str to Loan, optional
        For each family one more loan, for instance from :func:`own_loans`.

    Returns
    -------
    pandas.DataFrame
        One row for each lender, family and size: ``lender``, ``family``, ``params``,
        ``target_params``, ``scale_up``, ``drop`` (nats per token that the loan promises),
        ``are``, ``signed_error``, ``target_loss``, ``flops`` of the one model, and ``possible``:
        whether the loan leaves E above zero.

    Raises
    ------
    SelectionError
        If there is no borrower.

    Notes
    -----
    The single-run design of Choshen et al. 2024 (arXiv 2410.11840, appendix A) with all tokens;
    unlike there, the last checkpoint of the single run is used too.
    """
    offers, extra = list(loans), own or {}
    rows = [
        one.with_loan(loan)
        for one in models
        for loan in [*offers, *([extra[one.family]] if one.family in extra else [])]
    ]
    if not rows:
        raise SelectionError(
            "there is no borrower: a family needs two sizes, and three checkpoints of the smaller."
        )
    return pd.DataFrame(rows)


def consensus(
    models: Iterable[SingleModel], loans: Mapping[str, Loan], groups: Mapping[str, str]
) -> pd.DataFrame:
    """Predict each family with the median of what all other experiments would lend it.

    Parameters
    ----------
    models : iterable of SingleModel
        Borrowers, from :func:`single_models`.
    loans : mapping of str to Loan
        Loans by the family that gives them.
    groups : mapping of str to str
        Experiment of each family, lenders and borrowers: a family borrows nothing from its own.

    Returns
    -------
    pandas.DataFrame
        Rows as in :func:`borrow` with ``lender = "consensus"``, and also ``lenders``, the number
        of experiments asked; ``low`` and ``high``, the errors with sign under the largest and the
        smallest drop that any of them promises.

    Raises
    ------
    SelectionError
        If a family is left without a lender.
    """
    rows = []
    for one in models:
        others: dict[str, list[float]] = {}
        for name, loan in loans.items():
            if groups[name] != groups[one.family]:
                others.setdefault(groups[name], []).append(loan.drop(one.small, one.large))
        if not others:
            raise SelectionError(
                f"family {one.family!r} has no lender: every loan comes from its own experiment. "
                "Load other families."
            )
        drops = [float(np.median(promised)) for promised in others.values()]
        middle, most, least = (
            one.with_loan(Loan.through("consensus", drop, one.small, one.large))
            for drop in (float(np.median(drops)), max(drops), min(drops))
        )
        errors = {"low": most["signed_error"], "high": least["signed_error"]}
        rows.append({**middle, **errors, "lenders": len(others)})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class SingleModel:
    """One model that may borrow, and the target that it should predict.

    Attributes
    ----------
    family : str
        Their family.
    small, large : float
        Parameters of the model and of the target.
    tokens, loss : numpy.ndarray of shape (n,)
        Checkpoints of the model.
    target_tokens, target_loss : numpy.ndarray of shape (m,)
        Checkpoints of the target.
    flops : float
        FLOPs of the model's training.
    free : mapping of str to float
        Law of the model without a loan (A = 0).
    """

    family: str
    small: float
    large: float
    tokens: Array
    loss: Array
    target_tokens: Array
    target_loss: Array
    flops: float
    free: Mapping[str, float]

    def law(self, loan: Loan) -> tuple[ScalingLaw, bool]:
        """Fit E, B and beta beside a loan.

        All checkpoints have one size, so a loan only splits the level that a fit without it
        finds, unless it asks for more than there is.

        Parameters
        ----------
        loan : Loan
            The loan.

        Returns
        -------
        law : ScalingLaw
            The least-squares law with the loan's A and alpha.
        possible : bool
            Whether the loan leaves E above zero.
        """
        level = self.free["E"] - loan.A * self.small**-loan.alpha
        if level >= 0:
            law = ScalingLaw(level, loan.A, self.free["B"], loan.alpha, self.free["beta"])
            return law, True
        params = np.full(len(self.tokens), self.small)
        found, _ = fit_varpro(params, self.tokens, self.loss, loan.fixed)
        law = ScalingLaw(found["E"], loan.A, found["B"], loan.alpha, found["beta"])
        return law, False

    def with_loan(self, loan: Loan) -> dict[str, float | str | bool]:
        """Predict the target with a loan: one row of :func:`borrow`."""
        law, possible = self.law(loan)
        errors = np.asarray(law.predict(self.large, self.target_tokens)) / self.target_loss - 1
        return {
            "lender": loan.lender,
            "family": self.family,
            "params": self.small,
            "target_params": self.large,
            "scale_up": self.large / self.small,
            "drop": loan.drop(self.small, self.large),
            "are": float(np.abs(errors).mean()),
            "signed_error": float(errors.mean()),
            "target_loss": float(self.target_loss.mean()),
            "flops": self.flops,
            "possible": possible,
        }


def single_models(runs: pd.DataFrame, target_tail: float = 0.3) -> list[SingleModel]:
    """Every smaller size of every family that can predict the largest with a loan.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one or more families.  The first tokens are left out as in :func:`lend`.
    target_tail : float
        The target is this last fraction of the largest size's training.

    Returns
    -------
    list of SingleModel
        By family and size; sizes with fewer than three token counts are left out.
    """
    found = []
    for family, members in runs.groupby("family", sort=True):
        rows = skipped(members)
        largest = largest_models(rows)
        target = last_fraction(largest, 1 - target_tail)
        end, seen = (target[c].to_numpy("float64") for c in ("tokens", "loss"))
        for small in sizes(rows)[:-1]:
            own = rows[rows["params"] == small]
            params, tokens, loss = (
                own[c].to_numpy("float64") for c in ("params", "tokens", "loss")
            )
            if len(np.unique(tokens)) < 3:
                continue
            free, _ = fit_varpro(params, tokens, loss, NOTHING.fixed)
            large = float(largest["params"].iloc[0])
            spent = training_flops(own)
            found.append(
                SingleModel(str(family), float(small), large, tokens, loss, end, seen, spent, free)
            )
    return found


def own_loans(runs: pd.DataFrame) -> dict[str, Loan]:
    """Loans of families to themselves, from their smaller models only.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one or more families.

    Returns
    -------
    dict of str to Loan
        By family, each called ``"own"``; those that :func:`lend` refuses are left out.
    """
    loans = {}
    for family, members in runs.groupby("family", sort=True):
        if len(sizes(members)) < 4:
            continue
        try:
            loans[str(family)] = lend(split_target(members).train, "own")
        except (FitError, RunsError):  # it has no shape to lend
            continue
    return loans


def matrix(
    cells: pd.DataFrame, groups: Mapping[str, str], value: str = "are", own: bool = False
) -> pd.DataFrame:
    """Turn loans into a table of lenders against borrowers, both as experiments.

    Parameters
    ----------
    cells : pandas.DataFrame
        Rows of :func:`borrow`.
    groups : mapping of str to str
        Experiment of each family; a lender that is no family stands for itself.
    value : str
        Column to average: the median over the sizes of a family, then the mean over the families
        of an experiment.
    own : bool
        Whether loans within one experiment count; of a family to itself they never do.

    Returns
    -------
    pandas.DataFrame
        A row for each lender, a column for each borrower; missing where nothing was lent.
    """
    ok = cells[cells["lender"] != cells["family"]]
    from_group = ok["lender"].map(lambda name: groups.get(name, name))
    to_group = ok["family"].map(lambda name: groups.get(name, name))
    if not own:
        keep = from_group != to_group
        ok, from_group, to_group = ok[keep], from_group[keep], to_group[keep]
    ok = ok.assign(from_group=from_group, to_group=to_group)
    each = ok.groupby(["from_group", "to_group", "lender", "family"])[value].median().reset_index()
    return each.pivot_table(value, "from_group", "to_group", aggfunc="mean")


def by_family(cells: pd.DataFrame, value: str = "are") -> pd.DataFrame:
    """Sum up loans, a row for each borrower and a column for each lender.

    Parameters
    ----------
    cells : pandas.DataFrame
        Rows of :func:`borrow` or :func:`consensus`.
    value : str
        Column to sum up, by its median over the sizes of a family.

    Returns
    -------
    pandas.DataFrame
        Indexed by family.
    """
    return cells.pivot_table(value, "family", "lender", aggfunc="median")


def agreed_alpha(
    families: Iterable[str], loans: Mapping[str, Loan], groups: Mapping[str, str]
) -> dict[str, float]:
    """Exponent that the other experiments agree on, for each family.

    Parameters
    ----------
    families : iterable of str
        Borrowers.
    loans : mapping of str to Loan
        Loans by the family that gives them.
    groups : mapping of str to str
        Experiment of each family.

    Returns
    -------
    dict of str to float
        For each borrower the median over the other experiments; families that are alone are left
        out.

    Examples
    --------
    >>> loans = {n: Loan(n, 1.0, a) for n, a in {"a": 0.2, "b": 0.3, "b-again": 0.4}.items()}
    >>> agreed_alpha(["a", "b"], loans, {"a": "a", "b": "b", "b-again": "b"})
    {'a': 0.35, 'b': 0.2}
    """
    found = {}
    for family in families:
        others: dict[str, list[float]] = {}
        for name, loan in loans.items():
            if groups[name] != groups[family]:
                others.setdefault(groups[name], []).append(loan.alpha)
        if others:
            found[family] = float(np.median([np.median(one) for one in others.values()]))
    return found


def against_own(
    runs: pd.DataFrame,
    agreed: pd.DataFrame,
    alphas: Mapping[str, float],
    *,
    most: int = 7,
) -> pd.DataFrame:
    """Compare one model and a loan with laws of one's own from the smallest models.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one or more families.
    agreed : pandas.DataFrame
        Rows of :func:`consensus` for these families.
    alphas : mapping of str to float
        Exponent that each family borrows in half a loan, from :func:`agreed_alpha`.
    most : int
        Largest number of models to try.

    Returns
    -------
    pandas.DataFrame
        One row for each family, number of models and way: ``family``, ``n_models``, ``params`` of
        the largest of these models, ``way``, ``are`` and ``flops``.  The ways are ``"own"``, a law
        fitted to the n smallest models; ``"half"``, the same with alpha borrowed; and ``"loan"``,
        the n-th smallest model alone with the consensus.  Families with fewer than four sizes are
        left out.
    """
    parts = []
    for family, members in runs.groupby("family", sort=True):
        available = sizes(members)[:-1]
        if len(available) < 3 or family not in alphas:
            continue
        counts = range(2, min(most, len(available)) + 1)
        for way, held in {"own": {}, "half": {"alpha": alphas[str(family)]}}.items():
            cells = backtest(
                members,
                "smallest",
                fractions=(math.inf,),
                until=math.inf,
                n_models=counts,
                skip_tokens=skip_of(members),
                fixed=held,
                method="least_squares",
            ).rename(columns={"largest_params": "params"})
            cells = cells[cells["status"] == "ok"]
            parts.append(cells.assign(way=way))
        one = agreed[(agreed["family"] == family) & (agreed["params"] <= available[:most].max())]
        place = np.searchsorted(available, one["params"].to_numpy()) + 1
        parts.append(one.assign(way="loan", n_models=place))
    table = pd.concat(parts, ignore_index=True)
    return table[["family", "n_models", "params", "way", "are", "flops"]].astype(
        {"n_models": "int64"}
    )


def over_experiments(table: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """Average the errors of :func:`against_own` over experiments.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of :func:`against_own`.
    groups : mapping of str to str
        Experiment of each family.

    Returns
    -------
    pandas.DataFrame
        A row for each number of models, a column for each way: the geometric mean of the ARE,
        within experiments and over them, of the families that have a number for every way there
        (for one model: for the loan); and ``experiments``, how many.
    """
    wide = table.pivot_table("are", ["n_models", "family"], "way")
    wide = wide[wide.notna().all(axis=1) | (wide.index.get_level_values("n_models") == 1)]
    index = pd.MultiIndex.from_arrays(
        [
            wide.index.get_level_values("n_models"),
            [groups[str(name)] for name in wide.index.get_level_values("family")],
        ]
    )
    logs = pd.DataFrame(np.log(np.maximum(wide.to_numpy("float64"), 1e-12)), index, wide.columns)
    means = logs.groupby(level=[0, 1]).mean()
    out = pd.DataFrame(np.exp(means.groupby(level=0).mean()))
    out["experiments"] = means.groupby(level=0).size()
    return out.rename_axis("n_models")


def contest(
    truth: ScalingLaw,
    params: Sequence[float],
    tokens: Sequence[float],
    rng: np.random.Generator,
    *,
    noise: float = 0.003,
    missing: Sequence[float] = (0.0, 0.1, 0.25),
) -> pd.DataFrame:
    """Let laws of one's own compete with loans whose drop is too small, in one simulated family.

    Parameters
    ----------
    truth : ScalingLaw
        The law.
    params, tokens : sequence of float
        Sizes, the target's last, and tokens of the checkpoints of each.
    rng : numpy.random.Generator
        Source of the noise.
    noise : float
        Relative standard deviation of each checkpoint, and of each run.
    missing : sequence of float
        Shares of the true drop that the loans lack.

    Returns
    -------
    pandas.DataFrame
        A row for each number of models from two on: ``own``, the ARE of a law fitted to the n
        smallest; and for each share the ARE of the n-th smallest model with such a loan.
    """
    runs = simulate_family(truth, params, tokens, rng, checkpoint_noise=noise, run_noise=noise)
    right = Loan("truth", truth.A, truth.alpha)
    table = pd.DataFrame(
        {
            share: [
                one.with_loan(Loan(str(share), (1 - share) * right.A, right.alpha))["are"]
                for one in single_models(runs)
            ]
            for share in missing
        }
    )
    table.index = pd.Index(range(1, len(params)), name="n_models")
    cells = backtest(
        runs,
        "smallest",
        fractions=(math.inf,),
        until=math.inf,
        skip_tokens=skip_of(runs),
        method="least_squares",
    )
    table.insert(0, "own", cells.set_index("n_models")["are"].astype("float64"))
    return table.loc[2:]


@dataclass(frozen=True)
class Evidence:
    """Everything that the published families say about loans.

    Attributes
    ----------
    runs : pandas.DataFrame
        Checkpoints of lenders and borrowers.
    groups : mapping of str to str
        Experiment of each family.
    loans : mapping of str to Loan
        Of the families that have a shape to lend.
    asked : mapping of str to Loan
        Those of them, and the guide's, whose loss is that of whole texts.
    cells : pandas.DataFrame
        Rows of :func:`borrow`: every loan, the guide's, none, and a family's own.
    agreed : pandas.DataFrame
        Rows of :func:`consensus` of the lenders in ``asked``.
    """

    runs: pd.DataFrame
    groups: Mapping[str, str]
    loans: Mapping[str, Loan]
    asked: Mapping[str, Loan]
    cells: pd.DataFrame
    agreed: pd.DataFrame


def published_names() -> tuple[str, ...]:
    """Return the published families that can borrow or lend.

    Returns
    -------
    tuple of str
        Those with at least two sizes and several token counts, less four: ``t5-pile``, whose
        losses are suspect; ``gemstones-lr``, an ablation of a family that is there; and
        ``pythia-intervention`` and ``pythia-baseline``, which are ends of training only.

    Examples
    --------
    >>> "opt" in published_names(), "t5-pile" in published_names()
    (True, False)
    """
    left_out = ("t5-pile", "gemstones-lr", "pythia-intervention", "pythia-baseline")
    one_size = ("k2", "mamba-3b", "schedules-")
    return tuple(
        name
        for name in catalogue()
        if name not in left_out and not name.startswith(one_size) and not name.endswith("-finals")
    )


def prepared(runs: pd.DataFrame) -> pd.DataFrame:
    """Keep of the OLMo ladder what is comparable: finished runs of the ladder itself.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of published families.

    Returns
    -------
    pandas.DataFrame
        All other families as they are.  The ladder trained each size six times, with learning
        rates that fall over as many lengths, so that its checkpoints on the way are of another
        kind than its ends; its two largest models have schedules of their own.
    """
    ladder = runs["family"] == "olmo-ladder"
    if not ladder.any():
        return runs
    ends = ends_of(runs[ladder & (runs["role"] == "ladder")])
    return pd.concat([runs[~ladder], ends], ignore_index=True)


def whole_text(runs: pd.DataFrame) -> set[str]:
    """Families whose loss is per token of whole texts, rather than of a last word.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints.

    Returns
    -------
    set of str
        Names.
    """
    kept = runs["metric"].str.startswith("nats/token")
    return set(runs.loc[kept, "family"].unique())


@lru_cache(maxsize=1)
def published_evidence() -> Evidence:
    """Compute all loans between the published families, once.

    Returns
    -------
    Evidence
        Runs, loans and errors.
    """
    names = published_names()
    runs = prepared(load_runs(names, progress=False)[[*COLUMNS, "role"]])
    groups = {name: catalogue()[name].group for name in names}
    groups[GUIDE.lender] = "datablations"  # whose runs its numbers were fitted to
    loans = loans_of(runs)
    models = single_models(runs)
    cells = borrow(models, [GUIDE, NOTHING, *loans.values()], own_loans(runs))
    asked = {name: loan for name, loan in loans.items() if name in whole_text(runs)}
    asked[GUIDE.lender] = GUIDE
    return Evidence(runs, groups, loans, asked, cells, consensus(models, asked, groups))

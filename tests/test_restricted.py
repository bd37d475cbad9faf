import numpy as np
import pandas as pd
import pytest

from scaling_utils import ScalingLaw, fit_law, load_runs
from scaling_utils.components import COORDINATES, coordinates
from scaling_utils.errors import DataFileError
from scaling_utils.restricted import (
    all_five,
    compare_restrictions,
    fit_restricted,
    held_exponents,
    load_study,
    on_components,
    on_lines,
    other_groups,
    restrictions,
    save_study,
    study_published,
    tied_exponents,
)
from scaling_utils.synthetic import synthetic_runs

LAW = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
SIZES = np.geomspace(1e8, 1e10, 6)
TOKENS = np.linspace(2e10, 3e11, 10)
NAMES = ("E", "A", "B", "alpha", "beta")


def point(law: ScalingLaw) -> np.ndarray:
    row = coordinates(pd.DataFrame([{n: getattr(law, n) for n in NAMES}]))
    return row[list(COORDINATES)].iloc[0].to_numpy("float64")


def family(law: ScalingLaw = LAW, noise: float = 0.0) -> pd.DataFrame:
    return synthetic_runs(law, SIZES, TOKENS, np.random.default_rng(1), noise=noise)


@pytest.fixture(scope="module")
def others() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    alpha, beta = rng.normal(0.35, 0.05, 9), rng.normal(0.37, 0.05, 9)
    a = -1.0 + alpha * np.log(1e9) + rng.normal(0, 0.1, 9)
    b = -1.0 + beta * np.log(1e11) + rng.normal(0, 0.1, 9)
    e = rng.normal(0.6, 0.1, 9)
    columns = dict(zip(COORDINATES, (a, b, e, alpha, beta), strict=True))
    return pd.DataFrame(columns, index=[f"f{k}" for k in range(9)])


def test_full_plane_finds_the_truth_and_the_global_minimum(others) -> None:
    found = fit_restricted(family(), all_five(), others)
    np.testing.assert_allclose(point(found), point(LAW), rtol=1e-4)
    noisy = family(noise=0.003)
    one, two = fit_restricted(noisy, all_five(), others), fit_law(noisy, method="least_squares")
    np.testing.assert_allclose(
        one.predict(noisy["params"], noisy["tokens"]),
        two.predict(noisy["params"], noisy["tokens"]),
        rtol=1e-6,
    )


def test_tied_and_held_exponents_are_as_said(others) -> None:
    tied = ScalingLaw(E=1.8, A=480.0, B=1500.0, alpha=0.36, beta=0.36)
    found = fit_restricted(family(tied), tied_exponents(), others)
    assert found.alpha == found.beta
    np.testing.assert_allclose(point(found), point(tied), rtol=1e-4)
    noisy = family(noise=0.003)
    held = fit_restricted(noisy, held_exponents(0.3, 0.4), others)
    same = fit_law(noisy, fixed={"alpha": 0.3, "beta": 0.4}, method="least_squares")
    assert (held.alpha, held.beta) == (0.3, 0.4)
    np.testing.assert_allclose(held.A, same.A, rtol=1e-5)


def test_lines_pass_through_the_laws_they_learn_from(others) -> None:
    exact = others.assign(a=-1.0 + others["alpha"] * np.log(1e9))
    line = on_lines(exact, [("a", "alpha")], "line")
    assert line.free == 4
    truth = ScalingLaw(
        E=1.8, A=float(np.exp(-1 + 0.4 * np.log(1e9))), B=2100.0, alpha=0.4, beta=0.37
    )
    np.testing.assert_allclose(
        point(fit_restricted(family(truth), line, others)), point(truth), rtol=1e-4
    )


def test_five_components_are_no_restriction(others) -> None:
    for standardised in (False, True):
        five = on_components(others, 5, "five", standardised=standardised)
        found = fit_restricted(family(), five, others)
        np.testing.assert_allclose(point(found), point(LAW), rtol=1e-3)
        three = on_components(others, 3, "three", standardised=standardised)
        where = three.nearest(others.mean().to_numpy()[None])
        np.testing.assert_allclose(where, 0, atol=1e-10)


def test_no_restriction_fits_better_than_the_full_law(others) -> None:
    table = compare_restrictions(family(noise=0.003), others).set_index("law")
    assert list(table.index) == list(restrictions(others))
    assert (table["fit"] >= table.loc["all five", "fit"] * (1 - 1e-9)).all()
    assert table.loc["all five", "are"] < 0.01


def test_own_group_is_left_out(others) -> None:
    groups = {f"f{k}": "even" if k % 2 == 0 else "odd" for k in range(9)}
    kept, weights = other_groups(others, "f0", groups)
    assert set(kept.index) == {"f1", "f3", "f5", "f7"}
    assert weights.sum() == pytest.approx(1.0)


def test_stale_study_is_refused(tmp_path) -> None:
    study = load_study()
    path = save_study(study, tmp_path / "kept.parquet")
    pd.testing.assert_frame_equal(load_study(path), study)
    study.to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataFileError, match="stale"):
        load_study(tmp_path / "other.parquet")
    with pytest.raises(DataFileError, match="missing"):
        load_study(tmp_path / "none.parquet")


@pytest.mark.needs_published
def test_kept_study_is_what_the_code_gives() -> None:
    again = study_published(["chinchilla"])
    study = load_study()
    kept = study[study["family"] == "chinchilla"].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, kept, rtol=1e-4)
    assert len(load_runs("chinchilla")) > 0

"""Put computed lists and intervals into words, so that sentences stay true when numbers change."""

from __future__ import annotations

from collections.abc import Iterable

from scaling_utils.aggregate import GroupSummary


def listed(names: Iterable[object], none: str = "none") -> str:
    """List names in a sentence.

    Parameters
    ----------
    names : iterable
        What to list.
    none : str
        What to say of an empty list.

    Returns
    -------
    str
        The names, with commas, and an "and" before the last.

    Examples
    --------
    >>> listed(["gpt3", "opt", "pythia"]), listed(["gpt3"]), listed([], none="no family")
    ('gpt3, opt and pythia', 'gpt3', 'no family')
    """
    texts = [str(name) for name in names]
    if len(texts) < 2:
        return texts[0] if texts else none
    return ", ".join(texts[:-1]) + " and " + texts[-1]


def ratio_interval(ratio: GroupSummary, digits: int = 2) -> str:
    """Say how far the interval of a ratio goes, and whether it leaves a difference open.

    Parameters
    ----------
    ratio : GroupSummary
        Result of :func:`scaling_utils.aggregate.ratio_over_groups`.
    digits : int
        Decimals.

    Returns
    -------
    str
        Ends of the interval, and whether one, no difference, is between them.

    Examples
    --------
    >>> ratio_interval(GroupSummary(0.67, 0.47, 0.97, 0.9, 8, 13))
    '0.47 to 0.97, which leaves out one'
    """
    verb = "includes" if ratio.low <= 1 <= ratio.high else "leaves out"
    return f"{ratio.low:.{digits}f} to {ratio.high:.{digits}f}, which {verb} one"


def ratio_told(ratio: GroupSummary, unit: str = "", digits: int = 2) -> str:
    """Say a ratio with its interval, and whether this leaves a difference open.

    Parameters
    ----------
    ratio : GroupSummary
        Result of :func:`scaling_utils.aggregate.ratio_over_groups`.
    unit : str
        What follows the number, such as ``"times"``.
    digits : int
        Decimals.

    Returns
    -------
    str
        The ratio, and :func:`ratio_interval` in brackets.

    Examples
    --------
    >>> ratio_told(GroupSummary(0.67, 0.47, 1.2, 0.9, 8, 13), "times")
    '0.67 times (0.47 to 1.20, which includes one)'
    """
    number = f"{ratio.estimate:.{digits}f} {unit}".strip()
    return f"{number} ({ratio_interval(ratio, digits)})"

"""The families, their sizes and the order in which the grid is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .models import Shape

MEBI = 2**20


@dataclass(frozen=True)
class Family:
    """One architecture on one corpus, at several sizes.

    Parameters
    ----------
    name : str
        Name of the family.
    architecture, corpus : str
        What is trained on what.
    sizes : dict
        Shape by size name, ascending.
    unique_tokens : int, optional
        Train on this many tokens, over and over.
    """

    name: str
    architecture: str
    corpus: str
    sizes: dict[str, Shape]
    unique_tokens: int | None = None


def _sizes(architecture: str, rows: dict[str, tuple[int, ...]]) -> dict[str, Shape]:
    return {name: Shape(architecture, *row) for name, row in rows.items()}


_TRANSFORMER = _sizes(
    "transformer",
    {
        "9k": (16, 3, 2),
        "21k": (24, 3, 2),
        "49k": (32, 4, 2),
        "111k": (48, 4, 3),
        "246k": (64, 5, 4),
        "554k": (96, 5, 4),
        "1.2M": (128, 6, 4),
        "2.2M": (176, 6, 4),
    },
)
_LSTM = _sizes(
    "lstm",
    {
        "10k": (24, 2),
        "21k": (36, 2),
        "51k": (56, 2),
        "114k": (84, 2),
        "232k": (120, 2),
        "545k": (184, 2),
        "1.1M": (264, 2),
    },
)
_CONV = _sizes(
    "conv",
    {
        "9k": (16, 7),
        "20k": (24, 7),
        "46k": (36, 7),
        "110k": (56, 7),
        "248k": (84, 7),
        "539k": (124, 7),
        "1.1M": (176, 7),
    },
)

FAMILIES = {
    family.name: family
    for family in (
        Family("house-prose", "transformer", "gcide", _TRANSFORMER),
        Family("house-code", "transformer", "python", _TRANSFORMER),
        Family("house-packages", "transformer", "descriptions", _TRANSFORMER),
        Family("house-lstm", "lstm", "gcide", _LSTM),
        Family("house-conv", "conv", "gcide", _CONV),
        Family("house-repeat", "transformer", "gcide", _TRANSFORMER, MEBI // 4),
    )
}

#: Peak learning rate: ``value * (64 / width) ** power``.
LEARNING_RATE = {"transformer": (6e-3, 1.0), "lstm": (2e-2, 0.7), "conv": (8.5e-3, 0.9)}

#: The guess around which the sweep was laid, in the same form; kept, so that the sweep stays
#: what it was when the rule moves to the optimum that it found.
SWEEP_CENTRE = {"transformer": (4e-3, 0.5), "lstm": (6e-3, 0.5), "conv": (4e-3, 0.5)}


def learning_rate(shape: Shape, rule: dict[str, tuple[float, float]] = LEARNING_RATE) -> float:
    """Return the peak learning rate of a network by the stated rule of its width.

    Parameters
    ----------
    shape : Shape
        The network.
    rule : dict, optional
        Value at width 64 and power, by architecture.

    Returns
    -------
    float
        The rate.
    """
    value, power = rule[shape.architecture]
    return value * (64 / shape.width) ** power


@dataclass(frozen=True)
class Job:
    """One training process: a trunk with its decays, or one run by another schedule.

    Parameters
    ----------
    family, size : str
        What to train.
    init_seed, data_seed : int
        Seeds of the weights and of the order of the data.
    schedule : {"trunk", "wsd", "cosine", "cosine-half"}
        A trunk at constant rate with decays at each budget, or one whole run.
    tokens : int
        Length in tokens.
    rate_factor : float, optional
        Multiple of the centre of the learning-rate sweep (schedule "wsd" only).
    """

    family: str
    size: str
    init_seed: int = 0
    data_seed: int = 0
    schedule: str = "trunk"
    tokens: int = 4 * MEBI
    rate_factor: float = 1.0

    @property
    def seed(self) -> int:
        """One number for both seeds: 100 + i varies only the weights, 200 + i only the data."""
        if self.init_seed == self.data_seed:
            return self.init_seed
        return 100 + self.init_seed if self.data_seed == 0 else 200 + self.data_seed

    @property
    def id(self) -> str:
        """Name of the run; a longer trunk has the name of the shorter one it continues."""
        name = f"{self.family}-{self.size}-s{self.seed}"
        if self.schedule != "trunk":
            name += f"-{self.schedule}-{self.tokens / MEBI:g}M"
        if self.schedule == "wsd":
            name += f"-x{self.rate_factor:g}"
        return name

    @property
    def peak_rate(self) -> float:
        """Peak learning rate: by the rule, or around the centre of the sweep."""
        if self.schedule == "wsd":
            return learning_rate(self.shape, SWEEP_CENTRE) * self.rate_factor
        return learning_rate(self.shape)

    @property
    def shape(self) -> Shape:
        """The network."""
        return FAMILIES[self.family].sizes[self.size]


SMALL = 5  # sizes that get five seeds: all but the largest two of the first seven
WIDE = 7  # sizes of the main grid; those above are extensions


def grid() -> list[Job]:
    """Return every planned job, most useful first.

    Returns
    -------
    list of Job
        Jobs in the order in which they are trained.
    """
    jobs: list[Job] = []
    names = {family: list(FAMILIES[family].sizes) for family in FAMILIES}
    main = ("house-prose", "house-code")
    rest = ("house-lstm", "house-conv", "house-packages", "house-repeat")

    def each(families: tuple[str, ...], slots: range, seeds: range, **changes: int | str) -> None:
        for seed in seeds:
            for slot in slots:
                for family in families:
                    job = Job(family, names[family][slot], seed, seed)
                    jobs.append(replace(job, **changes))

    def alone(family: str, slots: tuple[int, ...], tokens: int) -> None:
        for other in range(1, 5):
            for slot in slots:
                seeds = ((other, 0), (0, other))
                size = names[family][slot]
                jobs.extend(Job(family, size, *pair, tokens=tokens) for pair in seeds)

    # 1: one seed of everything to 2 Mi tokens.
    each((*main, *rest), range(5), range(1), tokens=2 * MEBI)
    each((*main, *rest), range(5, 6), range(1), tokens=2 * MEBI)
    each((*main, *rest), range(6, WIDE), range(1), tokens=2 * MEBI)
    # 2: seeds, schedules, each seed alone and longer trunks in the cheapest family, which has
    # no plateau; seeds and longer trunks in the next cheapest; then seeds and schedules of a
    # transformer.
    each(rest[:1], range(SMALL), range(1, 5), tokens=2 * MEBI)
    each(rest[:1], range(SMALL, WIDE), range(1, 3), tokens=2 * MEBI)
    each(rest[1:2], range(SMALL), range(1, 5), tokens=2 * MEBI)
    each(rest[1:2], range(SMALL, WIDE), range(1, 3), tokens=2 * MEBI)
    for schedule, tokens in (("cosine", 2 * MEBI), ("cosine-half", MEBI)):
        each(rest[:1], range(WIDE), range(1), schedule=schedule, tokens=tokens)
    alone("house-lstm", (0, 3), 2 * MEBI)
    each(rest[:1], range(3), range(1), tokens=16 * MEBI)
    each(rest[1:2], range(3), range(1), tokens=8 * MEBI)
    each(main[:1], range(4), range(1, 5), tokens=2 * MEBI)
    each(main[:1], range(4, SMALL), range(1, 5), tokens=2 * MEBI)
    each(main[:1], range(SMALL, WIDE), range(1, 3), tokens=2 * MEBI)
    each(rest[:1], range(3, SMALL), range(1))
    for schedule, tokens in (("cosine", 2 * MEBI), ("cosine-half", MEBI)):
        each(main[:1], range(SMALL), range(1), schedule=schedule, tokens=tokens)
    each(main, range(3), range(1), tokens=8 * MEBI)
    # 3: the trunks to 4 Mi tokens, and the other seeds.  A trunk goes on where it was.
    each((*main, *rest), range(4), range(1))
    each((*main, *rest), range(4, WIDE), range(1))
    each(main[1:], range(SMALL), range(1, 5), tokens=2 * MEBI)
    each(main[1:], range(SMALL, WIDE), range(1, 3), tokens=2 * MEBI)
    alone("house-prose", (1, 3), 2 * MEBI)
    each(main[:1], range(SMALL), range(1, 5))
    # 4: seeds of the other families, and one size more.
    each(rest[2:], range(SMALL), range(1, 3), tokens=2 * MEBI)
    each(main, range(WIDE, WIDE + 1), range(1))
    # 5: longer.
    each(rest, range(3), range(1), tokens=16 * MEBI)
    each((*main, *rest), range(3, SMALL), range(1), tokens=8 * MEBI)
    each((*main, *rest), range(SMALL, WIDE), range(1), tokens=8 * MEBI)
    each(main, range(SMALL), range(1), tokens=16 * MEBI)
    return list(dict.fromkeys(jobs))


#: Sizes of the sweep and multiples of the centre's rate: the optimum is inside each list.
SWEEP = {
    ("house-prose", "111k"): (2.0, 4.0, 1.0, 8.0, 0.5, 0.25),
    ("house-prose", "9k"): (2.0, 4.0, 1.0, 8.0, 0.5, 0.25),
    ("house-prose", "554k"): (2.0, 4.0, 1.0),
    ("house-lstm", "21k"): (2.0, 4.0, 1.0, 8.0, 0.5),
    ("house-conv", "20k"): (2.0, 4.0, 1.0, 8.0, 0.5),
    ("house-lstm", "232k"): (2.0, 1.0, 4.0, 8.0),
    ("house-conv", "248k"): (2.0, 4.0, 1.0),
}


def sweep_jobs() -> list[Job]:
    """Return the jobs of the learning-rate sweep: one budget, several rates and sizes.

    Returns
    -------
    list of Job
        Jobs in the order in which they are trained.
    """
    return [
        Job(family, size, 0, 0, "wsd", MEBI, factor)
        for (family, size), factors in SWEEP.items()
        for factor in factors
    ]

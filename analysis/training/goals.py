"""A goal beside what was measured, and the table of several."""

from dataclasses import dataclass

from analysis.training.markdown import table


@dataclass(frozen=True)
class Goal:
    """``measured``: None where it could not be; ``interval``: 95 %, where it was taken. ``limit``: what stands in the
    way, said where the goal is missed. ``plain``, ``labels``, ``threshold``: the same of the paper's plain network, of
    our classifier from labels of slices alone, and of a density threshold without learning."""

    what: str
    measured: float | None
    at_least: float | None = None
    at_most: float | None = None
    limit: str = ""
    interval: tuple[float, float] | None = None
    plain: float | None = None
    labels: float | None = None
    threshold: float | None = None
    digits: int = 3

    @property
    def met(self) -> bool | None:
        return None if self.measured is None else self._met_by(self.measured)

    def _met_by(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def row(self) -> list[object]:
        asked = f"≤ {self.at_most}" if self.at_least is None else f"≥ {self.at_least}"
        met = {True: "yes", False: "**no**", None: "not measured"}[self.met]
        others = (self.plain, self.labels, self.threshold)
        within = "–".join(f"{end:.{self.digits}f}" for end in self.interval) if self.interval else "–"
        return [self.what, asked, self._text(self.measured), within, met, *map(self._text, others)]

    def _text(self, value: float | None) -> str:
        """With so many digits that rounding does not hide a goal just missed."""
        if value is None:
            return "–"
        digits = self.digits
        while self._met_by(round(value, digits)) != self._met_by(value):
            digits += 1
        return f"{value:.{digits}f}"


def compared(goals: list[Goal]) -> bool:
    """Whether any of them stands beside what others reach."""
    return any(other is not None for one in goals for other in (one.plain, one.labels, one.threshold))


def goals_table(goals: list[Goal]) -> str:
    """The goals, and below them what limits those that are not met."""
    head = ["", "goal", "measured", "95 % interval", "met", "plain network", "labels alone", "density threshold"]
    width = len(head) if compared(goals) else 5
    parts = [table(head[:width], [one.row()[:width] for one in goals])]
    missed = [f"- {one.what}: {one.limit}" for one in goals if not one.met]
    if missed:
        parts.append("What limits those that are not met:\n\n" + "\n".join(missed))
    return "\n\n".join(parts)

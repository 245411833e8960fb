"""The steps that prune: what each verb takes, and its defaults."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from edgecomp.config.step import Share, TrainingStep


class Prune(TrainingStep):
    """Remove a share of the weights, of blocks of weights or of the channels, and fine-tune.

    A key that says nothing about `what` is pruned is refused.

    Attributes:
        amount: the share that goes; left out with `macs` or a pattern N:M.
        what: single weights, blocks along the input channels, or whole channels (tensors become
            smaller).
        budget: `global`: the share is of all chosen layers together; `layer`: of each, as with
            every pattern N:M;
            `sensitivity`: of all together, each layer so much that all harm the loss equally.
        criterion: of channels: `l1`, `l2`, `taylor` (what the loss would change by), `fpgm`
            (distance to the layer's other filters), `bn` (spread of the channel's values).
        schedule: of weights and blocks: `gradual` grows the share during the first part of the
            epochs along a cubic curve; `one-shot` does not.  Channels always go at once.
        pattern: of blocks: `1x4`, or N of M weights that stay, `2:4`.
        round_to: of channels: they are left in multiples of this.
        macs: of channels: remove as many as it takes to leave this share of the MACs.
    """

    verb: ClassVar[str] = "prune"
    main: ClassVar[str] = "amount"

    amount: Share | None = None
    what: Literal["weights", "blocks", "channels"] = "channels"
    budget: Literal["global", "layer", "sensitivity"] = "global"
    criterion: Literal["l1", "l2", "taylor", "fpgm", "bn"] | None = None
    schedule: Literal["gradual", "one-shot"] | None = None
    pattern: str | None = None
    round_to: Annotated[int, Field(ge=1, le=64)] | None = None
    macs: Share | None = None

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, given: Any) -> Any:
        """Keys that were not given and say something of what is pruned."""
        if not isinstance(given, dict):
            return given
        what = given.get("what", "channels")
        known = {key: value for key, (kinds, value) in _PRUNE_KEYS.items() if what in kinds}
        return {key: value for key, value in known.items() if value is not None} | {
            key: value for key, value in given.items() if value is not None
        }

    @field_validator("pattern", mode="before")
    @classmethod
    def _not_a_time(cls, value: Any) -> Any:
        """Undo what YAML 1.1 makes of 2:4: two minutes and four seconds."""
        return f"{value // 60}:{value % 60}" if isinstance(value, int) else value

    @field_validator("pattern")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not re.fullmatch(r"1x([2-9]|1[0-6])", value):
            found = re.fullmatch(r"(\d+):(\d+)", value)
            if found is None or not 0 < int(found[1]) < int(found[2]) <= 64:
                raise ValueError("write a pattern as 1x4, or as 2:4 (two of four weights stay)")
        return value

    @model_validator(mode="after")
    def _says_how_much(self) -> "Prune":
        if self.macs is not None and self.what != "channels":
            raise ValueError("macs: only channels that go make MACs fewer; say what: channels")
        for key, (kinds, _) in _PRUNE_KEYS.items():
            if getattr(self, key) is not None and self.what not in kinds:
                raise ValueError(
                    f"{key}: says nothing of {self.what}, only of {' or '.join(kinds)}; leave it "
                    f"out, or say what: {kinds[0]}"
                )
        if self.amount is not None and self.macs is not None:
            raise ValueError("amount and macs: each says how much goes; give one of them")
        if self.kept_of:
            self._agrees_with_pattern(*self.kept_of)
        elif self.amount is None and self.macs is None:
            raise ValueError("amount: Field required")
        return self

    def _agrees_with_pattern(self, kept: int, of: int) -> None:
        share = 1 - kept / of
        if self.amount is not None and abs(self.amount - share) > 1e-6:
            raise ValueError(
                f"amount: with pattern: '{self.pattern}' {share:g} of the weights go, not "
                f"{self.amount:g}; leave amount out, or take another pattern"
            )
        if self.budget == "sensitivity":
            raise ValueError(
                f"budget: with pattern: '{self.pattern}' every layer gives the same share; leave "
                "budget out, or take a pattern like 1x4"
            )

    @property
    def kept_of(self) -> tuple[int, int] | None:
        """N and M of a pattern N:M, for blocks."""
        if self.pattern is None or ":" not in self.pattern:
            return None
        kept, of = (int(n) for n in self.pattern.split(":"))
        return kept, of

    @property
    def share(self) -> float:
        """The share that goes."""
        if self.amount is not None:
            return self.amount
        return 1 - self.kept_of[0] / self.kept_of[1] if self.kept_of else 0.5

    @property
    def text(self) -> str:
        """The step for people."""
        if self.macs is not None:
            return f"prune to {self.macs:g} of the MACs"
        if self.kept_of:
            return f"prune: {self.pattern}"
        return f"prune: {self.amount}" + ("" if self.what == "channels" else f" of the {self.what}")


_PRUNE_KEYS: dict[str, tuple[tuple[str, ...], Any]] = {
    "criterion": (("channels",), "l2"),
    "round_to": (("channels",), 4),
    "schedule": (("weights", "blocks"), "gradual"),
    "pattern": (("blocks",), "1x4"),
}
"""Keys of `prune` that say something of some kinds only: of which, and their defaults."""


class Lottery(TrainingStep):
    """Find a lottery ticket: prune by magnitude, rewind what is left, train, and again.

    Attributes:
        amount: share of the weights that is gone at the end.
        rounds: how often it is pruned; each round leaves the same share of what there was.
        rewind: optimizer step whose weights are returned to; 0 for the very first ones.
        epochs: of each round.
        control: train each ticket with other random weights as well, and report how that goes.
    """

    verb: ClassVar[str] = "lottery"
    main: ClassVar[str] = "amount"

    amount: Share
    rounds: Annotated[int, Field(ge=1, le=100)] = 10
    rewind: Annotated[int, Field(ge=0)] = 0
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 10
    control: bool = False

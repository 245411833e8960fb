"""The steps of a recipe: what each verb takes, and its defaults."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from edgecomp.config.section import Section

_Share = Annotated[float, Field(gt=0, lt=1)]
_Epochs = Annotated[int, Field(ge=0, le=10_000)]
_Rate = Annotated[float, Field(gt=0, le=1)]


class Step(Section):
    """A step; its verb names the technique.

    `layers` chooses layers by name, as shell globs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    verb: ClassVar[str]
    main: ClassVar[str]
    """The key that a scalar stands for."""
    keeps_weights: ClassVar[bool] = False
    """Whether the step leaves every weight as it is."""

    layers: tuple[str, ...] = ("*",)

    def __init__(self, main: Any = None, /, **fields: Any) -> None:
        """Take the main knob without its name: `Prune(0.5)`."""
        if main is not None:
            fields[self.main] = main
        super().__init__(**fields)

    @property
    def needs_data(self) -> bool:
        """Whether the step looks at training samples."""
        return not self.keeps_weights

    @property
    def text(self) -> str:
        """The step for people: `prune: 0.5`."""
        value = self.model_dump(by_alias=True)[self.main]
        return self.verb if value is None else f"{self.verb}: {value}"


class TrainingStep(Step):
    """A step that trains.

    Attributes:
        epochs: passes over the training samples, at most.
        learning_rate: at the start.
        teacher: whose answers are learned beside those of the data: `original`, the model before
            the first step, or any model that can be read; none unless given.
        temperature: softens the answers of both.
        weight: share of the teacher's loss, the rest being that of the data.
        features: weight of how alike the teacher's last features are, sample by sample of a batch.
    """

    epochs: _Epochs = 5
    learning_rate: _Rate = 1e-3
    teacher: Annotated[str, Field(min_length=1)] | None = Field(default=None, alias="from")
    temperature: Annotated[float, Field(gt=0, le=100)] = 4.0
    weight: Annotated[float, Field(ge=0, le=1)] = 0.7
    features: Annotated[float, Field(ge=0, le=1e6)] = 0.0


class Train(TrainingStep):
    """Train all weights; weights that are 0 stay 0.

    Attributes:
        batch_norm: normalize the layers' outputs while training, for networks that are trained
            from the beginning; it is folded into the weights at the end.
    """

    verb: ClassVar[str] = "train"
    main: ClassVar[str] = "epochs"

    epochs: _Epochs = 20
    batch_norm: bool = False


class Distill(TrainingStep):
    """Train with the answers of a teacher beside those of the data.

    Attributes:
        batch_norm: as in `train`.
    """

    verb: ClassVar[str] = "distill"
    main: ClassVar[str] = "from"

    teacher: Annotated[str, Field(min_length=1)] | None = Field(default="original", alias="from")
    epochs: _Epochs = 20
    batch_norm: bool = False


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

    amount: _Share | None = None
    what: Literal["weights", "blocks", "channels"] = "channels"
    budget: Literal["global", "layer", "sensitivity"] = "global"
    criterion: Literal["l1", "l2", "taylor", "fpgm", "bn"] | None = None
    schedule: Literal["gradual", "one-shot"] | None = None
    pattern: str | None = None
    round_to: Annotated[int, Field(ge=1, le=64)] | None = None
    macs: _Share | None = None

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

    amount: _Share
    rounds: Annotated[int, Field(ge=1, le=100)] = 10
    rewind: Annotated[int, Field(ge=0)] = 0
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 10
    control: bool = False


class Factorize(TrainingStep):
    """Replace layers by two or three smaller ones, and fine-tune.

    Attributes:
        macs: share of the chosen layers' MACs that stays, of those as well that the method cannot
            make smaller; 0.5 unless `energy` is given.
        energy: instead, the share of each layer's squared singular values that its ranks keep.
        method: `svd` (dense and 1x1), `tucker` (KxK: 1x1, KxK, 1x1), `separable` (KxK: Kx1,
            1xK), or `auto`: what is nearest to the layer's weights for its MACs.
    """

    verb: ClassVar[str] = "factorize"
    main: ClassVar[str] = "macs"

    macs: _Share | None = None
    energy: Annotated[float, Field(gt=0, le=1)] | None = None
    method: Literal["auto", "svd", "tucker", "separable"] = "auto"
    epochs: _Epochs = 10

    @model_validator(mode="before")
    @classmethod
    def _half(cls, given: Any) -> Any:
        """Half of the MACs stay where nothing is said."""
        if isinstance(given, dict) and given.get("macs") is None and given.get("energy") is None:
            return given | {"macs": 0.5}
        return given

    @model_validator(mode="after")
    def _has_one_aim(self) -> "Factorize":
        if self.macs is not None and self.energy is not None:
            raise ValueError("macs and energy: each says how much stays; give one of them")
        return self

    @property
    def text(self) -> str:
        """The step for people."""
        aim = f"energy {self.energy:g}" if self.macs is None else f"{self.macs:g}"
        return f"factorize: {aim}" + ("" if self.method == "auto" else f" by {self.method}")


OF_BUILDS = ("calibration", "bias_correction", "symmetric", "float_layers", "activations")
"""Keys of the recipe's section `quantize` that are no keys of the step."""


class Quantize(TrainingStep):
    """Put the weights on the grids that the device computes with.

    Attributes:
        weights: `int8`, `int4` (each channel with its own scale), or `mixed`: int4 where the
            network is least sensitive to it, until the weights fit `bytes`.
        method: `nearest`; `adaround` learns which way each weight is rounded; `qat` trains with
            the integer arithmetic of the device.  int8 takes `nearest` and int4 `adaround` unless
            a method is named.
        keep8: globs of layers whose weights stay int8.
        bytes: what all weights may take in flash, for `mixed`.
        equalize: balance the ranges of neighbouring layers' channels first, in the whole network.
    """

    verb: ClassVar[str] = "quantize"
    main: ClassVar[str] = "weights"

    weights: Literal["int8", "int4", "mixed"] = "int8"
    method: Literal["nearest", "adaround", "qat"] | None = None
    keep8: tuple[str, ...] = ()
    bytes: Annotated[int, Field(ge=1)] | None = None
    equalize: bool = False
    learning_rate: _Rate = 1e-4

    @model_validator(mode="before")
    @classmethod
    def _has_no_key_of_builds(cls, given: Any) -> Any:
        """Tell where options belong that act when a build calibrates."""
        for key in given if isinstance(given, dict) else ():
            if key in OF_BUILDS:
                raise ValueError(
                    f"{key}: a build does that, when it calibrates; say it in the recipe's section "
                    f"quantize, beside steps: `quantize: {{{key}: ...}}`"
                )
        return given

    @model_validator(mode="after")
    def _has_a_budget(self) -> "Quantize":
        if (self.weights == "mixed") != (self.bytes is not None):
            raise ValueError("weights: mixed goes with bytes, what all weights may take in flash")
        if self.equalize and self.layers != ("*",):
            raise ValueError(
                "equalize: balances the whole network; leave layers out, or equalize in the "
                "recipe's section quantize"
            )
        return self

    @property
    def needs_data(self) -> bool:
        """Rounding to the nearest needs none, unless layers are chosen by what it harms."""
        return self.how != "nearest" or self.weights == "mixed" or self.equalize

    @property
    def how(self) -> str:
        """The method that is taken."""
        return self.method or ("nearest" if self.weights == "int8" else "adaround")

    @property
    def text(self) -> str:
        """The step for people."""
        return f"quantize: {self.weights} {self.how}" + (", equalized" if self.equalize else "")


class Cluster(TrainingStep):
    """Let the weights of each layer share a few values of its integer grid, and fine-tune these.

    Attributes:
        clusters: values per layer, or per group of its output channels.
        groups: of output channels, each with values of its own.
        scales: of the grid, where no earlier step gave one: one for the `layer`, or one for each
            output `channel`, so that channels of very different size share values as well.
    """

    verb: ClassVar[str] = "cluster"
    main: ClassVar[str] = "clusters"

    clusters: Annotated[int, Field(ge=2, le=255)]
    groups: Annotated[int, Field(ge=1, le=1024)] = 1
    scales: Literal["layer", "channel"] = "layer"
    learning_rate: _Rate = 1e-4

    @property
    def text(self) -> str:
        """The step for people."""
        return f"cluster: {self.clusters}" + (f" in {self.groups} groups" * (self.groups > 1))


class StoringStep(Step):
    """A step that says how weights may lie in flash.

    Attributes:
        decode: when they are decoded: `row`, some output channels just before they are computed;
            `layer`, a whole layer into scratch before it is computed; `boot`, all once before the
            first inference, into RAM beside the arena; `auto`, whatever the planner finds best.
    """

    keeps_weights: ClassVar[bool] = True

    decode: Literal["auto", "row", "layer", "boot"] = "auto"

    @property
    def times(self) -> tuple[str, ...]:
        """`decode` as a mark of weights: empty for `auto`."""
        return () if self.decode == "auto" else (self.decode,)


class Huffman(StoringStep):
    """Let the weights lie in flash as a canonical Huffman code."""

    verb: ClassVar[str] = "huffman"
    main: ClassVar[str] = "decode"


class Store(StoringStep):
    """Say how the weights may lie in flash; the planner takes the best that is allowed.

    Attributes:
        storages: names of storages: `dense8`, `packed4`, `codebook`, `sparse`, `huffman`.
    """

    verb: ClassVar[str] = "store"
    main: ClassVar[str] = "storages"

    storages: Annotated[
        tuple[Literal["dense8", "packed4", "codebook", "sparse", "huffman"], ...],
        WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}}),
    ]

    @field_validator("storages", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """Take one name for a list of one."""
        return (value,) if isinstance(value, str) else value

    @property
    def text(self) -> str:
        """The step for people."""
        when = "" if self.decode == "auto" else f", decoded by {self.decode}"
        return f"store: {', '.join(self.storages)}{when}"

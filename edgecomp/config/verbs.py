"""The steps of a recipe but for those that prune: what each verb takes, and its defaults."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from edgecomp.config.section import Names, read_bytes
from edgecomp.config.step import Epochs, Rate, Share, Step, TrainingStep

_Bytes = Annotated[int, Field(ge=1), WithJsonSchema({"type": ["integer", "string"]})]


class Train(TrainingStep):
    """Train all weights; weights that are 0 stay 0.

    Attributes:
        batch_norm: normalize the layers' outputs while training, for networks that are trained
            from the beginning; it is folded into the weights at the end.
    """

    verb: ClassVar[str] = "train"
    main: ClassVar[str] = "epochs"

    epochs: Epochs = 20
    batch_norm: bool = False


class Distill(TrainingStep):
    """Train with the answers of a teacher beside those of the data.

    Attributes:
        batch_norm: as in `train`.
    """

    verb: ClassVar[str] = "distill"
    main: ClassVar[str] = "from"

    teacher: Annotated[str, Field(min_length=1)] | None = Field(default="original", alias="from")
    epochs: Epochs = 20
    batch_norm: bool = False


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

    macs: Share | None = None
    energy: Annotated[float, Field(gt=0, le=1)] | None = None
    method: Literal["auto", "svd", "tucker", "separable"] = "auto"
    epochs: Epochs = 10

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
        bytes: what all weights may take in flash, for `mixed`: a number, or `14K`.
        equalize: balance the ranges of neighbouring layers' channels first, in the whole network.
    """

    verb: ClassVar[str] = "quantize"
    main: ClassVar[str] = "weights"

    weights: Literal["int8", "int4", "mixed"] = "int8"
    method: Literal["nearest", "adaround", "qat"] | None = None
    keep8: Names = ()
    bytes: _Bytes | None = None
    equalize: bool = False
    learning_rate: Rate = 1e-4

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
        if isinstance(given, dict) and isinstance(given.get("weight"), str):
            raise ValueError("weight: is the share of a teacher's loss; did you mean 'weights'?")
        return given

    @field_validator("bytes", mode="before")
    @classmethod
    def _kibibytes(cls, value: Any) -> Any:
        """Read `14K`."""
        return read_bytes(value)

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

    @model_validator(mode="after")
    def _uses_what_is_given(self) -> "Quantize":
        if self.how != "qat":
            for key in self._not_as_unless_given("teacher", "epochs", "learning_rate"):
                raise ValueError(
                    f"{'from' if key == 'teacher' else key}: says nothing of {self.how}, only of "
                    "qat; leave it out, or say method: qat"
                )
        if self.keep8 and self.weights == "int8":
            raise ValueError("keep8: says nothing of int8, where all layers stay int8")
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
    learning_rate: Rate = 1e-4

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
        Field(min_length=1),
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

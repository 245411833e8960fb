"""What all steps of a recipe have, and those that train."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from edgecomp.config.section import Names, Section, explain
from edgecomp.errors import RecipeError

Share = Annotated[float, Field(gt=0, lt=1)]
Epochs = Annotated[int, Field(ge=0, le=10_000)]
Rate = Annotated[float, Field(gt=0, le=1)]


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

    layers: Names = ("*",)

    def __init__(self, main: Any = None, /, **fields: Any) -> None:
        """Take the main knob without its name: `Prune(0.5)`.

        Raises:
            RecipeError: there is no such key, or a value is wrong.
        """
        if main is not None:
            fields[self.main] = main
        try:
            super().__init__(**fields)
        except ValidationError as error:
            name = type(self).__name__
            raise RecipeError(explain(name, None, type(self), error.errors()[0])) from error

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

    epochs: Epochs = 5
    learning_rate: Rate = 1e-3
    teacher: Annotated[str, Field(min_length=1)] | None = Field(default=None, alias="from")
    temperature: Annotated[float, Field(gt=0, le=100)] = 4.0
    weight: Annotated[float, Field(ge=0, le=1)] = 0.7
    features: Annotated[float, Field(ge=0, le=1e6)] = 0.0

    @model_validator(mode="after")
    def _has_a_teacher(self) -> Self:
        if self.teacher is None:
            for key in self._not_as_unless_given("temperature", "weight", "features"):
                raise ValueError(f"{key}: says nothing without a teacher; add `from: original`")
        return self

    def _not_as_unless_given(self, *keys: str) -> list[str]:
        """Those of the keys that have another value than by default."""
        fields = type(self).model_fields
        return [key for key in keys if getattr(self, key) != fields[key].default]

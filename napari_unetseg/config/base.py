from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen set of choices that can be saved, read back and compared."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes` applied and everything validated again."""
        return type(self).model_validate({**self.model_dump(), **changes})

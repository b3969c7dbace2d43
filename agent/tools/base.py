"""What a tool is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memory.errors import AttuneError

if TYPE_CHECKING:
    from agent.runtime import Runtime
    from memory.records import Passage, Recalled


class ToolError(AttuneError):
    """A tool call that could not be done; the sentence goes to the model and to the screen."""


@dataclass(slots=True)
class ToolContext:
    """What a tool may touch. `recalled` and `passages` hold what the model was shown before, and collect
    what the tool shows it; the number of a passage among them is its marker.
    """

    runtime: Runtime
    source_message_id: str | None = None
    recalled: list[Recalled] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tool:
    """`parameters` maps each argument (all are required strings) to one line about it."""

    name: str
    description: str
    parameters: Mapping[str, str]
    run: Callable[[dict[str, str], ToolContext], str]

    def schema(self) -> dict[str, Any]:
        """The function schema that chat templates render."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": {
                    "type": "object",
                    "properties": {
                        name: {"type": "string", "description": text}
                        for name, text in self.parameters.items()
                    },
                    "required": list(self.parameters),
                },
            },
        }

    def check(self, arguments: Mapping[str, object]) -> dict[str, str]:
        """The arguments as text; ToolError when one is missing or not a scalar."""
        checked: dict[str, str] = {}
        for name in self.parameters:
            value = arguments.get(name)
            if not isinstance(value, str | int | float) or not str(value).strip():
                raise ToolError(f"{self.name} needs {name!r} as text.")
            checked[name] = str(value).strip()
        return checked

"""The four tools, and the permission check in front of all of them.

A tool is a function from arguments to one line of text, and a JSON schema that the model reads. The
names and arguments are those that the embedded model was trained on.
"""

from __future__ import annotations

from agent.tools.base import Tool, ToolContext, ToolError
from agent.tools.calculator import CALCULATOR
from agent.tools.clock import CLOCK
from agent.tools.permission import Permission
from agent.tools.recall import RECALL
from agent.tools.remember import REMEMBER

TOOLS: tuple[Tool, ...] = (CLOCK, CALCULATOR, REMEMBER, RECALL)


def find(name: str) -> Tool | None:
    return next((tool for tool in TOOLS if tool.name == name), None)


def execute(name: str, arguments: dict[str, object], context: ToolContext, permission: Permission) -> str:
    """Run a tool after the permission check. ToolError holds the sentence that the model is shown."""
    tool = find(name)
    if tool is None:
        raise ToolError(f"There is no tool {name!r}; the tools are {', '.join(t.name for t in TOOLS)}.")
    given = tool.check(arguments)
    if not permission.allows(name, given):
        raise ToolError(f"The owner does not allow {name} now.")
    return tool.run(given, context)


__all__ = ["TOOLS", "Permission", "Tool", "ToolContext", "ToolError", "execute", "find"]

"""Arithmetic, by walking the syntax tree: nothing is evaluated that is not a number or an operator."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable

from agent.tools.base import Tool, ToolContext, ToolError

Number = int | float
BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
LONGEST = 200
BIGGEST = 10**15


def calculate(expression: str) -> str:
    """The value of an arithmetic expression as text, such as "84". ToolError for anything else."""
    if len(expression) > LONGEST:
        raise ToolError(f"An expression has at most {LONGEST} characters.")
    plain = expression.replace("×", "*").replace("x", "*").replace("÷", "/").replace("−", "-")
    plain = plain.replace("^", "**").replace(",", "").rstrip("=? ").strip()
    try:
        value = _value(ast.parse(plain, mode="eval").body)
    except ZeroDivisionError as wrong:
        raise ToolError("Nothing can be divided by zero.") from wrong
    except (SyntaxError, OverflowError, RecursionError, ValueError, MemoryError) as wrong:
        raise ToolError(f"{expression!r} is not arithmetic that I can do.") from wrong
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ToolError(f"{expression!r} is more than I can count.")
        value = round(value, 10)
        if value.is_integer() and abs(value) < BIGGEST:
            value = int(value)
    return str(value) if isinstance(value, int) else f"{value:.10g}"


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.UnaryOp(op=op, operand=operand) if type(op) in UNARY:
            return UNARY[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            first, second = _value(left), _value(right)
            if isinstance(op, ast.Pow) and (abs(first) > BIGGEST or abs(second) > 64):
                raise OverflowError
            result = BINARY[type(op)](first, second)
            if isinstance(result, complex):
                raise ValueError("complex")
            if isinstance(result, int) and abs(result) > 10**60:
                raise OverflowError
            return result
    raise ValueError("not arithmetic")


def run(arguments: dict[str, str], context: ToolContext) -> str:
    return calculate(arguments["expression"])


CALCULATOR = Tool("calculator", "Work out arithmetic.", {"expression": "Such as 12 * 7."}, run)

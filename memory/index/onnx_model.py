"""An ONNX model written down as bytes, so that ONNX Runtime can run weights that lie in another file.

Only what a small network needs: nodes, inputs, outputs, and initialisers by name whose values are handed
to the session apart (`SessionOptions.add_external_initializers`). So nothing is converted, and no second
copy of the weights lies on the disk. The numbers of fields are those of onnx.proto3 (onnx/onnx, IR 8).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

IR_VERSION, OPSET = 8, 17  # 17 is the first with LayerNormalization
FLOAT, INT32, INT64 = 1, 6, 7  # TensorProto.DataType
FLOAT_ATTRIBUTE, INT_ATTRIBUTE = 1, 2  # AttributeProto.AttributeType
CONTRIB = "com.microsoft"  # operators of ONNX Runtime's own

Attribute = int | float


def node(kind: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Attribute) -> bytes:
    """One operator: `kind` of `domain` reads `inputs` and writes `output`."""
    message = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind)
    message += b"".join(_bytes(5, _attribute(name, value)) for name, value in attributes.items())
    return message + (_text(7, domain) if domain else b"")


def model(
    nodes: Sequence[bytes],
    inputs: Mapping[str, Sequence[str]],
    output: str,
    initialisers: Mapping[str, tuple[int, Sequence[int]]],
) -> bytes:
    """The whole model. `inputs`: name to its named axes, all of int64; one `output` of floats;
    `initialisers`: name to (data type, shape), their values to be handed over when it is loaded.
    """
    graph = b"".join(_bytes(1, one) for one in nodes) + _text(2, "graph")
    graph += b"".join(_bytes(5, _external(name, *what)) for name, what in initialisers.items())
    graph += b"".join(_bytes(11, _value(name, INT64, axes)) for name, axes in inputs.items())
    graph += _bytes(12, _value(output, FLOAT, None))
    opsets = _bytes(8, _text(1, "") + _int(2, OPSET)) + _bytes(8, _text(1, CONTRIB) + _int(2, 1))
    return _int(1, IR_VERSION) + _bytes(7, graph) + opsets


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + _key(2, 5) + struct.pack("<f", value) + _int(20, FLOAT_ATTRIBUTE)
    return _text(1, name) + _int(3, value) + _int(20, INT_ATTRIBUTE)


def _external(name: str, kind: int, shape: Sequence[int]) -> bytes:
    """A TensorProto without values. A location has to be named; it is never opened."""
    where = _bytes(13, _text(1, "location") + _text(2, "handed over"))
    return b"".join(_int(1, size) for size in shape) + _int(2, kind) + _text(8, name) + where + _int(14, 1)


def _value(name: str, kind: int, axes: Sequence[str] | None) -> bytes:
    tensor = _int(1, kind)
    if axes is not None:
        tensor += _bytes(2, b"".join(_bytes(1, _text(2, axis)) for axis in axes))
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _int(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value & (1 << 64) - 1)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, 2) + _varint(len(value)) + value


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)

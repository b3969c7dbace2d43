"""Safetensors files without torch: headers, sizes, digests, and tensors as numpy arrays.

Format: 8 bytes little-endian header length, a JSON header, then the bytes of the tensors
(https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

MAX_HEADER_BYTES = 100_000_000
WHOLE_FILE_BYTES = 64 * 2**20
SAMPLE_BYTES = 2**20
SAMPLES = 16
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


class DamagedFile(Exception):
    """The file is not whole safetensors; the message says which and why."""


def header(path: Path) -> dict[str, dict[str, Any]]:
    """Tensor name -> {"dtype", "shape", "data_offsets"}; raises DamagedFile when it is cut or foreign."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MAX_HEADER_BYTES or 8 + length > size:
                raise DamagedFile(f"{path.name} is damaged or was not copied to the end")
            entries = json.loads(file.read(length))
        entries.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{path.name} is not a safetensors file") from error
    if size != 8 + length + end:
        raise DamagedFile(f"{path.name} is damaged or was not copied to the end")
    return entries


def parameters(path: Path) -> int:
    """Number of values in all tensors of the file, whatever their dtype."""
    total = 0
    for entry in header(path).values():
        count = 1
        for side in entry["shape"]:
            count *= side
        total += count
    return total


def arrays(path: Path) -> dict[str, numpy.ndarray]:
    """All tensors of a floating-point file as float32 or float64 arrays (bfloat16 is widened exactly)."""
    import numpy

    entries = header(path)
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    found = {}
    for name, entry in entries.items():
        begin, end = entry["data_offsets"]
        raw = data[start + begin : start + end]
        if entry["dtype"] == "BF16":
            values = (numpy.frombuffer(raw, "<u2").astype(numpy.uint32) << 16).view(numpy.float32)
        elif entry["dtype"] in FLOATS:
            values = numpy.frombuffer(raw, FLOATS[entry["dtype"]])
        else:
            raise DamagedFile(f"{path.name} holds {entry['dtype']} values where floating point was expected")
        found[name] = values.reshape(entry["shape"])
    return found


def digest(path: Path) -> str:
    """SHA-256 of the whole file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(paths: list[Path]) -> str:
    """One SHA-256 over weights files, fast enough for many gigabytes.

    Files up to 64 MiB count whole. Of larger ones the size, the first 1 MiB (with the header) and
    15 evenly spaced MiB count: enough to tell two models apart, not a defence against forgery.
    """
    total = hashlib.sha256()
    for path in sorted(paths, key=lambda each: each.name):
        size = path.stat().st_size
        total.update(f"{path.name}\0{size}\0".encode())
        if size <= WHOLE_FILE_BYTES:
            total.update(path.read_bytes())
            continue
        with path.open("rb") as file:
            for index in range(SAMPLES):
                file.seek((size - SAMPLE_BYTES) * index // (SAMPLES - 1))
                total.update(file.read(SAMPLE_BYTES))
    return total.hexdigest()

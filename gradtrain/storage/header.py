"""The header of a safetensors file, checked before the library maps anything.

Format: 8 bytes little-endian length, a JSON object, the tensors' bytes. Source: the format section of the safetensors
README, github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
import struct

LONGEST = 1 << 20
MOST = 20_000
SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
    "U64": 8, "U32": 4, "U16": 2, "C64": 8, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip


def names_in(data: bytes) -> list[str]:
    """The tensors' names; their bytes must tile the file without gap or overlap. Raises ValueError."""
    if len(data) < 8:
        raise ValueError("the file ends inside its header")
    (length,) = struct.unpack("<Q", data[:8])
    if length > LONGEST or length + 8 > len(data):
        raise ValueError(f"the header claims {length:,} bytes")
    header = json.loads(data[8 : 8 + length])
    if not isinstance(header, dict) or len(header) > MOST:
        raise ValueError("the header is not an object of tensors")
    spans = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape, (begin, end) = entry["shape"], entry["data_offsets"]
        if entry["dtype"] not in SIZES or any(type(size) is not int or size < 0 for size in shape):
            raise ValueError(f"the tensor {name} has no known type or shape")
        if end - begin != math.prod(shape) * SIZES[entry["dtype"]]:
            raise ValueError(f"the tensor {name} does not fill its place")
        spans.append((begin, end, name))
    position = 0
    for begin, end, name in sorted(spans):
        if begin != position:
            raise ValueError(f"the tensor {name} overlaps another one or leaves a gap")
        position = end
    if position != len(data) - 8 - length:
        raise ValueError("bytes are left over behind the tensors")
    return [name for _, _, name in spans]

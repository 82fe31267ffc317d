"""A network of one node, written as ONNX by hand: the mean of the three channels.

The file format is protocol buffers; what is needed of it is varints and length-prefixed fields
(onnx.proto3 gives the field numbers), which spares a dependency for one test.
"""

_FLOAT, _INTS = 1, 7


def mean_of_channels(height: int, width: int) -> bytes:
    """An ONNX model: input (1, 3, height, width) float, output (1, 1, height, width) float."""
    axes = _text(1, "axes") + _number(8, 1) + _number(20, _INTS)
    keep = _text(1, "keepdims") + _number(3, 1) + _number(20, 2)
    node = _text(1, "x") + _text(2, "y") + _text(4, "ReduceMean") + _block(5, axes) + _block(5, keep)
    graph = (
        _block(1, node)
        + _text(2, "mean")
        + _block(11, _value("x", (1, 3, height, width)))
        + _block(12, _value("y", (1, 1, height, width)))
    )
    return _number(1, 8) + _block(7, graph) + _block(8, _text(1, "") + _number(2, 13))


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dimensions = b"".join(_block(1, _number(1, size)) for size in shape)
    tensor = _number(1, _FLOAT) + _block(2, dimensions)
    return _text(1, name) + _block(2, _block(1, tensor))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _block(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _block(field, content.encode())

"""Consistent Overhead Byte Stuffing: frames without a zero byte, so that a zero can end them.

S. Cheshire and M. Baker, IEEE/ACM Transactions on Networking 7(2), 1999.
"""

from edgecomp.errors import BadFrame

_LONGEST_GROUP = 254


def encode(data: bytes) -> bytes:
    """Return `data` without zeros, one byte longer for every 254 begun.

    >>> encode(bytes([1, 0, 2])).hex()
    '02010202'
    """
    out = bytearray()
    at = 0
    while True:
        zero = data.find(0, at, at + _LONGEST_GROUP)
        end = min(at + _LONGEST_GROUP, len(data)) if zero < 0 else zero
        out.append(end - at + 1)
        out += data[at:end]
        if end == len(data):
            return bytes(out)
        at = end if end - at == _LONGEST_GROUP else end + 1


def decode(encoded: bytes) -> bytes:
    """Return what `encode` made `encoded` of.

    Raises:
        BadFrame: it has a zero, or ends inside a group.

    >>> decode(bytes.fromhex("02010202")).hex()
    '010002'
    """
    out = bytearray()
    at = 0
    while at < len(encoded):
        code = encoded[at]
        group = encoded[at + 1 : at + code]
        if code == 0 or len(group) != code - 1 or 0 in group:
            raise BadFrame(f"byte {at} of the frame does not begin a whole group")
        out += group
        at += code
        if at < len(encoded) and code <= _LONGEST_GROUP:
            out.append(0)
    if not encoded:
        raise BadFrame("the frame is empty")
    return bytes(out)

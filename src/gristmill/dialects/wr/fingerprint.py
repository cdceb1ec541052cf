"""FarmHash's 128-bit fingerprint in plain Python, for where its compiled module is missing.

All arithmetic is on unsigned 64-bit words, so every product and sum is masked.
"""

from collections.abc import Callable
from struct import Struct

_MASK = (1 << 64) - 1
_K0 = 0xC3A5C85C97CB3127
_K1 = 0xB492B66FBE98F273
_K2 = 0x9AE16A3B2F90404F
_MIX = 0x9DDFEA08EB382D69
_WORD: Callable[[bytes, int], tuple[int]] = Struct("<Q").unpack_from
_HALF_WORD: Callable[[bytes, int], tuple[int]] = Struct("<I").unpack_from

Pair = tuple[int, int]


def fingerprint128(data: bytes) -> int:
    """Return the fingerprint; its upper 64 bits are the half that is written first."""
    if len(data) >= 16:
        first, second = _pair(data[16:], _fetch(data, 0), (_fetch(data, 8) + _K0) & _MASK)
    else:
        first, second = _pair(data, _K0, _K1)
    return first << 64 | second


def _pair(data: bytes, low: int, high: int) -> Pair:
    if len(data) < 128:
        return _murmur(data, low, high)
    return _long(data, low, high)


def _fetch(data: bytes, at: int) -> int:
    return _WORD(data, at)[0]


def _rotate(value: int, by: int) -> int:
    value &= _MASK
    return (value >> by | value << (64 - by)) & _MASK


def _shift_mix(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _merge(u: int, v: int, by: int = _MIX) -> int:
    """Hash two words to one."""
    v &= _MASK
    a = _shift_mix(((u & _MASK) ^ v) * by)
    return _shift_mix((v ^ a) * by) * by & _MASK


def _short(data: bytes) -> int:
    """Hash up to 16 bytes to one word."""
    size = len(data)
    by = (_K2 + size * 2) & _MASK
    if size >= 8:
        a = (_fetch(data, 0) + _K2) & _MASK
        b = _fetch(data, size - 8)
        return _merge(_rotate(b, 37) * by + a, (_rotate(a, 25) + b) * by, by)
    if size >= 4:
        first, last = _HALF_WORD(data, 0)[0], _HALF_WORD(data, size - 4)[0]
        return _merge(size + (first << 3), last, by)
    if size > 0:
        y = data[0] + (data[size >> 1] << 8)
        z = size + (data[-1] << 2)
        return _shift_mix(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _murmur(data: bytes, a: int, b: int) -> Pair:
    size = len(data)
    if size <= 16:
        a = _shift_mix(a * _K1) * _K1 & _MASK
        c = (b * _K1 + _short(data)) & _MASK
        d = _shift_mix(a + (_fetch(data, 0) if size >= 8 else c))
    else:
        c = _merge(_fetch(data, size - 8) + _K1, a)
        d = _merge(b + size, c + _fetch(data, size - 16))
        a = (a + d) & _MASK
        for at in range(0, size - 16, 16):
            a = (a ^ _shift_mix(_fetch(data, at) * _K1) * _K1) * _K1 & _MASK
            b ^= a
            c = (c ^ _shift_mix(_fetch(data, at + 8) * _K1) * _K1) * _K1 & _MASK
            d ^= c
    a, b = _merge(a, c), _merge(d, b)
    return a ^ b, _merge(b, a)


def _weak(data: bytes, at: int, a: int, b: int) -> Pair:
    """Hash 32 bytes with two seeds."""
    w, x, y, z = (_fetch(data, at + step) for step in (0, 8, 16, 24))
    a = (a + w) & _MASK
    b = _rotate(b + a + z, 21)
    c = a
    a = (a + x + y) & _MASK
    b = (b + _rotate(a, 44)) & _MASK
    return (a + z) & _MASK, (b + c) & _MASK


def _long(data: bytes, x: int, y: int) -> Pair:
    size = len(data)
    z = size * _K1 & _MASK
    v0 = (_rotate(y ^ _K1, 49) * _K1 + _fetch(data, 0)) & _MASK
    v1 = (_rotate(v0, 42) * _K1 + _fetch(data, 8)) & _MASK
    w0 = (_rotate(y + z, 35) * _K1 + x) & _MASK
    w1 = _rotate(x + _fetch(data, 88), 53) * _K1 & _MASK
    whole = size // 128 * 128
    for at in range(0, whole, 64):
        x = _rotate(x + y + v0 + _fetch(data, at + 8), 37) * _K1 & _MASK
        y = _rotate(y + v1 + _fetch(data, at + 48), 42) * _K1 & _MASK
        x ^= w1
        y = (y + v0 + _fetch(data, at + 40)) & _MASK
        z = _rotate(z + w0, 33) * _K1 & _MASK
        v0, v1 = _weak(data, at, v1 * _K1, x + w0)
        w0, w1 = _weak(data, at + 32, z + w1, y + _fetch(data, at + 16))
        z, x = x, z
    return _last(data, whole, (x, y, z), (v0, v1), (w0, w1))


def _last(data: bytes, whole: int, words: tuple[int, int, int], v: Pair, w: Pair) -> Pair:
    """Take in what is left after whole blocks, 32 bytes at a time from the end."""
    (x, y, z), (v0, v1), (w0, w1) = words, v, w
    x = (x + _rotate(v0 + z, 49) * _K0) & _MASK
    y = (y * _K0 + _rotate(w1, 37)) & _MASK
    z = (z * _K0 + _rotate(w0, 27)) & _MASK
    w0 = w0 * 9 & _MASK
    v0 = v0 * _K0 & _MASK
    size = len(data)
    for done in range(32, size - whole + 32, 32):
        at = size - done
        y = (_rotate(x + y, 42) * _K0 + v1) & _MASK
        w0 = (w0 + _fetch(data, at + 16)) & _MASK
        x = (x * _K0 + w0) & _MASK
        z = (z + w1 + _fetch(data, at)) & _MASK
        w1 = (w1 + v0) & _MASK
        v0, v1 = _weak(data, at, v0 + z, v1)
        v0 = v0 * _K0 & _MASK
    x = _merge(x, v0)
    y = _merge(y + z, w0)
    return (_merge(x + v1, w1) + y) & _MASK, _merge(x + w1, y + v1)

"""Where Kafka's own partitioner sends a key: the partition that all records of a household share."""

__all__ = ["partition_of"]

_MASK = 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's default partitioner (murmur2, as in Java) gives a key.

    >>> partition_of(b"linden-01", 4), partition_of(b"21", 1000)
    (0, 340)
    """
    mixed, whole = 0x9747B28C ^ len(key), len(key) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * 0x5BD1E995 & _MASK
        word = (word ^ word >> 24) * 0x5BD1E995 & _MASK
        mixed = mixed * 0x5BD1E995 & _MASK ^ word
    if len(key) > whole:
        mixed = (mixed ^ int.from_bytes(key[whole:], "little")) * 0x5BD1E995 & _MASK
    mixed = (mixed ^ mixed >> 13) * 0x5BD1E995 & _MASK
    return ((mixed ^ mixed >> 15) & 0x7FFFFFFF) % partitions

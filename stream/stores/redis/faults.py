"""What Redis says when it cannot, in sentences that say what to do.

Law: an operator reads what is wrong and what would be right; no sentence holds a password, a household's id or its bytes.
"""

import re
from typing import Final, NamedTuple

__all__ = ["RedisFault", "fault_of"]


class RedisFault(NamedTuple):
    """`passes`: whether it may be gone when the same is asked again a little later."""

    sentence: str
    passes: bool


# Found in "ErrorClass: text, and the text of its cause", in this order.
# What the operator has to change does not pass; what Redis can get over does.
_FAULTS: Final = [
    (
        r"^AuthenticationError|^AuthenticationWrong|NOAUTH|WRONGPASS|without any password",
        "refuses the name or the password: set redis.username and redis.password_file, or KITHKIN_REDIS__PASSWORD",
        False,
    ),
    (
        r"^NoPermissionError|NOPERM",
        "does not allow this user what a store needs: the keys `kithkin:*` and `{kithkin:*`, and the commands of "
        "@read, @write, @scripting and @connection",
        False,
    ),
    (
        r"DB index is out of range|SELECT is not allowed",
        "has no such database: its number stands at the end of the URL, from 0 to one less than the `databases` of Redis",
        False,
    ),
    (r"^MovedError|^AskError", "is a node of a cluster: write its URL as redis+cluster://HOST:PORT,…", False),
    (r"Cluster mode is not enabled|cluster support disabled", "is no cluster: write its URL as redis://HOST:PORT/DB", False),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "shows a certificate that is not trusted, or is of another name: set redis.ca_file to who signed it",
        False,
    ),
    (
        r"WRONG_VERSION_NUMBER|wrong version number|record layer failure",
        "does not speak TLS there: write its URL with redis instead of rediss, or name its TLS port",
        False,
    ),
    (
        r"certificate required|CERTIFICATE_REQUIRED|handshake failure|EOF occurred in violation",
        "ends the TLS handshake, as one does that asks for our certificate: set redis.certificate_file and redis.key_file",
        True,
    ),
    (r"WRONGTYPE", "holds something else under our keys: give kithkin a database or a prefix of its own", False),
    (
        r"^ReadOnlyError|previous master is now a slave",
        "is a replica, which takes no writes: name the master, or the sentinels with redis+sentinel://HOST:PORT,…/SERVICE/DB",
        True,
    ),
    (
        r"^OutOfMemoryError|OOM ",
        "is full, so nothing of this was saved: raise its `maxmemory` (households never expire), or move to a larger one",
        True,
    ),
    (
        r"MISCONF",
        "cannot write its own files and so takes no writes: free its disk, or mend what its log names",
        True,
    ),
    (r"NOREPLICAS", "has fewer good replicas than its `min-replicas-to-write` asks for: start them, or ask for fewer", True),
    (r"^BusyLoadingError|LOADING", "is still loading its files", True),
    (r"BUSY ", "is held up by a long script of somebody", True),
    (
        r"^MasterNotFoundError|No master found",
        "cannot be found: no sentinel answers that knows a healthy master of that service; see SENTINEL MASTERS",
        True,
    ),
    (
        r"^ClusterDownError|^MasterDownError|^SlotNotCovered|^TryAgain|^ClusterError|slots are not covered",
        "is a cluster that does not serve all of its slots now; see CLUSTER INFO",
        True,
    ),
    (
        r"handshake operation timed out",
        "does not answer a TLS handshake: write its URL with redis instead of rediss, or name its TLS port",
        True,
    ),
    (r"^TimeoutError|[Tt]imed out|[Tt]imeout", "does not answer within redis.timeout_s", True),
    (r"^RedisClusterException", "does not answer, nor does any other node that was named", True),
]  # fmt: skip


def fault_of(error: Exception) -> RedisFault:
    """What an error of redis-py means for who runs Redis. What nobody foresaw is told in Redis's words.

    >>> fault_of(ConnectionError("Connection closed by server."))
    RedisFault(sentence='cannot be reached: Connection closed by server.', passes=True)
    """
    text = f"{type(error).__name__}: {error} {error.__cause__ or error.__context__ or ''}"  # redis-py hides what TLS said
    for pattern, sentence, passes in _FAULTS:
        if re.search(pattern, text):
            return RedisFault(sentence, passes)
    told = str(error).partition(", with args")[0]  # what follows are arguments: ids and states
    if isinstance(error, OSError) or type(error).__name__.endswith("ConnectionError"):
        return RedisFault(f"cannot be reached: {told}", True)
    return RedisFault(f"refuses: {told}", False)

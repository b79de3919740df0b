"""`kithkin fit`: makes a fleet pack of an encoder, and the card that tells how good it is.

Law: nothing is written before the pack was judged on people whom it was not fitted on.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from ..faults import faults_explained

if TYPE_CHECKING:
    from stream.offline.fit.judgement import Judgement
    from stream.offline.fit.labelled import Labelled
    from stream.offline.fit.recipe import Recipe

__all__ = ["fit"]

def fit(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="RECORDINGS.npz, a corpus each, or RECIPE.toml; with --log the logs.")
    ],
    log: Annotated[bool, typer.Option("--log", help="From recorded logs: enrolments, and claims that look honest.")] = False,
    encoder: Annotated[str | None, typer.Option("--encoder", metavar="NAME", help="The encoder, as records name it.")] = None,
    metric: Annotated[
        Literal["cosine", "euclidean"] | None,
        typer.Option("--metric", help="How its vectors are compared: by direction alone, or by length too."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="PACK.npz", help="The pack; its card goes beside it.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Where the recordings of a recipe lie; else beside it.")
    ] = None,
    person: Annotated[str, typer.Option("--person", metavar="ARRAY", help="The array of whose each recording is.")] = "person",
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", metavar="NAME=CONDITION", help="Conditions of one channel, * for any; the ordinary one first."),
    ] = None,
    altered: Annotated[
        list[str] | None, typer.Option("--altered", metavar="CONDITION", help="There the person was altered, not the channel.")
    ] = None,
    quality: Annotated[
        str | None, typer.Option("--quality", metavar="NAME=ARRAY", help="A quality as records call it, and the array with it.")
    ] = None,
    cohort: Annotated[
        Path | None, typer.Option("--cohort", metavar="FILE.npz", help="More people, of whom only the means are used.")
    ] = None,
    people: Annotated[str | None, typer.Option("--people", metavar="LIST|FILE", help="Only these: a,b,c or a line each.")] = None,
    without: Annotated[str | None, typer.Option("--without", metavar="LIST|FILE", help="All but these, without a trace.")] = None,
    channel_by: Annotated[
        str, typer.Option("--channel-by", metavar="ATTRIBUTE", help="With --log: what of a device tells its channel.")
    ] = "model",
    identities: Annotated[
        Path | None, typer.Option("--identities", metavar="FILE", help="With --log: what was published, so that `confirm` tells.")
    ] = None,
) -> None:
    """Fit a pack: what is known of people in general in one encoder's vectors. From labelled recordings, or from a log.

    An .npz holds emb: (n, d), or (conditions, n, d) with the names of the conditions; whose each of the n is; maybe channel (n).

    Several files are several corpora: people of one are compared with each other alone, and each is judged by the others.

    A recipe (TOML) names the same arrays by other names, and what its card tells of sources and limits: see learners/packs/.

    At least 8 people with two recordings each are needed; 40 make a good pack.

    The card tells how well it does on people it has not seen: everybody is judged by a fit on the others.
    """
    with faults_explained():
        chosen = _Chosen(_people_of("--people", people), _people_of("--without", without))
        if log:
            recipe, labelled = _from_logs(sources, {"encoder": encoder, "metric": metric}, identities, channel_by, chosen)
        else:
            flags = {
                "encoder": encoder, "metric": metric, "person": person, "channels": _channels(channel or []),
                "altered": altered or [], "quality": _pairs("--quality", quality), "cohort": cohort and str(cohort.absolute()),
                "cohort_person": person,
            }  # fmt: skip
            recipe, labelled = _from_recordings(sources, {name: value for name, value in flags.items() if value}, data, chosen)
        _fit(recipe, labelled, _writable(out, sources, recipe.encoder))


class _Chosen(NamedTuple):
    people: frozenset[str] | None
    without: frozenset[str] | None


def _people_of(flag: str, given: str | None) -> frozenset[str] | None:
    """People of a list with commas, or of a file with a line each."""
    if given is None:
        return None
    file = Path(given)
    names = file.read_text("utf-8").splitlines() if file.is_file() else given.split(",")
    found = frozenset(name.strip() for name in names if name.strip())
    if not found:
        raise _wrong(flag, given, "nobody is named", "a list of people with commas, or a file with a line each")
    return found


def _channels(given: list[str]) -> dict[str, list[str]]:
    channels: dict[str, list[str]] = {}
    for pair in given:
        name, _, condition = pair.partition("=")
        channels.setdefault(name, []).append(condition or name)
    return channels


def _pairs(flag: str, given: str | None) -> dict[str, str]:
    if given is None:
        return {}
    name, found, array = given.partition("=")
    if not (name and found and array):
        raise _wrong(flag, given, "a flag", "NAME=ARRAY, such as duration_s=seconds")
    return {name: array}


def _from_recordings(
    sources: list[str], flags: dict[str, Any], data: Path | None, chosen: _Chosen
) -> tuple["Recipe", "Labelled"]:
    from stream.offline.fit import Choice, load_recipe, read_recordings
    from stream.offline.fit.recipe import recipe_of

    path = Path(sources[0])
    if path.suffix == ".toml":
        if len(sources) != 1:
            raise _wrong("SOURCE", " ".join(sources), "a recipe", "one RECIPE.toml, or one or more RECORDINGS.npz")
        recipe, folder = load_recipe(path), data or path.parent
    else:
        corpora = [{"recordings": str(Path(source).absolute())} for source in sources]
        files = {"recordings": path.name} if len(sources) == 1 else {"corpus": corpora}
        recipe, folder = recipe_of(files | flags, "flags"), path.parent
    return recipe, read_recordings(recipe, folder, Choice(chosen.people, chosen.without or frozenset()))


def _from_logs(
    logs: list[str], flags: dict[str, str | None], identities: Path | None, channel_by: str, chosen: _Chosen
) -> tuple["Recipe", "Labelled"]:
    from stream.offline.fit import read_answers, read_logs
    from stream.offline.fit.recipe import recipe_of

    if chosen != (None, None):
        raise _wrong("--people", "given", "--people or --without, with --log", "left out: of a log everybody is fitted on")
    fields = {"recordings": "a recorded log"} | flags
    recipe = recipe_of({name: value for name, value in fields.items() if value}, "flags")
    return recipe, read_logs(logs, recipe.encoder, recipe.metric, read_answers(identities) if identities else None, channel_by)


def _writable(out: Path | None, sources: list[str], encoder: str) -> Path:
    """Where to write: as told, else beside the recipe, else here; never over what is read."""
    beside = Path(sources[0]).parent if sources[0].endswith(".toml") else Path()
    chosen = out or beside / f"{encoder}.npz"
    if chosen.suffix != ".npz":
        raise _wrong("--out", str(chosen), "a flag", "a file whose name ends in .npz")
    if chosen.resolve() in {Path(source).resolve() for source in sources}:
        raise _wrong("--out", str(chosen), "the recordings themselves", "another file")
    return chosen


def _fit(recipe: "Recipe", labelled: "Labelled", out: Path) -> None:
    """Judge, fit, write; tell where, and how a policy comes to use it."""
    from rich.console import Console
    from rich.progress import Progress

    from learners.fit.fitting import fit as fitted
    from stream import __version__
    from stream.contract.packs import write_pack
    from stream.offline.fit import judge
    from stream.offline.fit.card import card

    console = Console(stderr=True, highlight=False)
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("judged on people held out", total=None)
            judgement = judge(labelled.recordings, lambda done, of: bar.update(task, completed=done, total=of + 1))
            projection = fitted(labelled.recordings)
    except ValueError as error:
        raise _wrong("SOURCE", recipe.recordings or "the corpora", str(error), "more, or other, recordings") from None
    beside = out.parent / f"{out.name.removesuffix('.npz')}.md"
    try:
        write_pack(out, projection, f"kithkin fit {__version__}")
        beside.write_text(card(recipe, labelled, projection, judgement), "utf-8")
    except OSError as error:
        raise _wrong("--out", str(out), error.strerror or "unwritable", "a file that can be written") from None
    console.print(_sentence(labelled, judgement))
    if worse := judgement.worse_than_plain:
        told = "Worse than the encoder's own metric in {} of the comparisons with people left out: the card names them."
        console.print(f"[bold]{told.format(len(worse))}[/bold]")
    typer.echo(f"{out}\n{beside}")
    console.print(
        f'\nIn a policy beside it:\n[encoders."{recipe.encoder}"]\nmodality = "voice"  # or "face"'
        f'\nlength = {labelled.recordings.vectors.shape[1]}\nmetric = "{recipe.metric}"\npack = "{out.name}"', markup=False,
    )  # fmt: skip


def _sentence(labelled: "Labelled", judgement: "Judgement") -> str:
    whole = {row.size: row for row in judgement.rows}  # the last of a size is of all together
    rates = ", ".join(
        f"{100 * row.eer:.1f} % ({100 * row.plain_eer:.1f} % without a pack) known by {size} recording{'s' * (size > 1)}"
        for size, row in whole.items()
    )
    known = f"{len(labelled.recordings.people):,} recordings of {len(labelled.people)} people."
    return f"{known} Equal error rate on people it has not seen: {rates}."


def _wrong(key: str, value: object, source: str, right: str) -> Exception:
    from stream.contract.errors import ConfigError

    return ConfigError(key, value, source, right)

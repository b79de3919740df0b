"""The card of a pack: what it is made of, how well it does, and what it cannot tell.

Law: every figure is of people whom a fit had not seen; nothing that was not measured is claimed.
"""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from learners.recognition.projection import Projection

from .judgement import Judgement, Row
from .labelled import Labelled
from .recipe import Recipe

__all__ = ["card"]

_WIDTH: Final = 130
_SIZES: Final = {1: "one recording", 3: "three recordings"}
_HOW_JUDGED: Final = (
    "{folds}-fold cross-validation over people: each is judged by a fit on the others. Somebody is known by recordings in the "
    "ordinary channel; what comes is another recording of theirs, or one of somebody else of the same fold. EER: equal error "
    "rate, in brackets its middle 90 % when the people are drawn anew; *plain*: the EER of the encoder's own metric. Cllr: what "
    "the probabilities cost in bits (1: they say nothing), and the least that any calibration of them would cost."
)
_HOW_LEFT_OUT: Final = (
    "Each corpus judged by a fit on all others: people, rooms and microphones, maybe a language, of which the fit knew nothing. "
    "A home is such a stranger. Figures of corpora are not to be compared: some hold harder people."
)
_WORSE: Final = "**Worse than the encoder's own metric** on people left out: "
_SCALES: Final = (
    "Variances per dimension, measured on people whom the directions were not fitted on, in units of an ordinary recording "
    "around its person. People: {mean:.2f} on average, {first:.1f} along the first dimension. Log-likelihood ratios are "
    "multiplied by {temperature:.3f}, since dimensions are not independent."
)
_LIMITS_OF_CLAIMS: Final = """
* Whose a recording is was told by people and never checked. A claim that did not sound or look like its person was left out,
  which makes people seem more like themselves than they are.
* Recordings of one enrolment, made within a minute, count as different times.
* Somebody who is recorded in two households counts as two people."""


def card(recipe: Recipe, labelled: Labelled, projection: Projection, judgement: Judgement) -> str:
    """The text, in Markdown."""
    sections = (_sources(recipe, labelled), _results(labelled, judgement), _scales(projection), _limits(recipe, labelled))
    return "\n".join(line for section in sections for line in section) + "\n"


def _sources(recipe: Recipe, labelled: Labelled) -> Iterator[str]:
    n, d = labelled.recordings.vectors.shape
    others = f", and on the mean vectors of {labelled.cohort_people} others" if labelled.cohort_people else ""
    yield f"# {recipe.encoder}\n"
    yield _paragraph(
        f"A fleet pack: what is known of people in general in this encoder's {d} numbers, which are compared by {recipe.metric} "
        f"distance. Fitted on {n:,} recordings of {len(labelled.people)} people{others}."
    )
    ordinary = labelled.recordings.names[0]
    rows = [(c.name, c.channel or f"{ordinary}, the person altered", f"{c.recordings:,}") for c in labelled.conditions]
    yield from _table(("condition", "channel", "recordings"), rows)
    if recipe.sources:
        yield f"## Sources\n\n{recipe.sources.strip()}\n"


def _results(labelled: Labelled, judgement: Judgement) -> Iterator[str]:
    yield "## How well it tells people it has never seen\n"
    yield _paragraph(_HOW_JUDGED.format(folds=judgement.folds))
    head = ("known by", "what comes", "comparisons: mated, non-mated", "EER %", "plain EER %", "Cllr", "least Cllr")
    yield from _table(head, [_result(row) for row in judgement.rows])
    if judgement.channels_right:
        told = ", ".join(f"{name} {100 * share:.1f} %" for name, share in judgement.channels_right.items())
        yield _paragraph(f"The channel of a recording is told rightly: {told}.")
    if judgement.corpora:
        yield "### One corpus left out\n"
        yield _paragraph(_HOW_LEFT_OUT)
        shown = [(labelled.corpora[c], row) for c, rows in judgement.corpora.items() for row in rows]
        yield from _table(("corpus", *head), [(corpus, *_result(row)) for corpus, row in shown])
    if worse := judgement.worse_than_plain:
        yield _paragraph(_WORSE + "; ".join(_worse(labelled, *one) for one in worse) + ".")
    people = len(labelled.people)
    pairs = people * (people - 1) // 2
    yield _paragraph(
        f"{people} people are {pairs:,} pairs: false acceptance below about {300 / pairs:.1g} % cannot be shown with them, "
        "however many recordings there are."
    )


def _worse(labelled: Labelled, corpus: int | None, row: Row) -> str:
    of = "" if corpus is None else f", {labelled.corpora[corpus]} left out"
    return f"{row.probe}, known by {_SIZES[row.size]}{of} ({100 * row.eer:.1f} instead of {100 * row.plain_eer:.1f} %)"


def _result(row: Row) -> Sequence[str]:
    eer = f"{100 * row.eer:.1f} ({100 * row.eer_low:.1f}–{100 * row.eer_high:.1f})"
    counts, plain = f"{row.mated:,}, {row.non_mated:,}", f"{100 * row.plain_eer:.1f}"
    return _SIZES[row.size], row.probe, counts, eer, plain, f"{row.cllr:.2f}", f"{row.min_cllr:.2f}"


def _scales(projection: Projection) -> Iterator[str]:
    channels, quality, between = projection.channels, projection.quality, projection.between.tolist()
    yield "## What it says of recordings\n"
    yield _paragraph(_SCALES.format(mean=np.mean(between), first=between[0], temperature=projection.temperature))
    moves = [f"move to {name}" for name in channels.names] if len(channels.names) > 1 else []
    rows = [
        (name, f"{noise:.2f}", *[f"{x:.2f}" for x in shift[: len(moves)]])
        for name, noise, shift in zip(channels.names, channels.noise.tolist(), channels.shift.tolist(), strict=True)
    ]
    yield from _table(("channel", "noise", *moves), rows)
    if quality.name:
        levels = zip(quality.knots.tolist(), quality.noise.tolist(), strict=True)
        law = ", ".join(f"at {knot:.2f} {noise:.2f}" for knot, noise in levels)
        yield _paragraph(f"By `{quality.name}` the noise is multiplied: {law}.")


def _limits(recipe: Recipe, labelled: Labelled) -> Iterator[str]:
    claimed = any(condition.name == "claimed" for condition in labelled.conditions)
    number = np.bincount(labelled.recordings.people)
    yield "## Limits\n"
    yield (recipe.limits or (_LIMITS_OF_CLAIMS if claimed else "")).strip("\n") or "* Nobody told any."
    yield f"* {number.min()} to {number.max()} recordings a person. Whoever is like none of these people may be told apart worse."


def _paragraph(text: str) -> str:
    return f"{textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)}\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""

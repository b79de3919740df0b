"""What becomes of late, early, double and contradictory records: the table of docs/records.md, each line of it played in a home.

Law: the page tells what stands here, and `tests/home/test_oddities.py` plays it, so that no line can be other than the code.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from stream.contract.records import GUEST
from stream.contract.units import DAY_MS, HOUR_MS, MINUTE_MS
from tests.support.worlds import FACE, VOICE, Step, Story, embedding, feedback, recognition

__all__ = ["ODDITIES", "Oddity", "became"]

EVENT: Final = "e-x"


@dataclass(frozen=True)
class Oddity:
    """Of which sort it is; what is sent; what becomes of it, in words of outcomes and reasons; and what that means.

    `play` sends it to a home and gives what became of each record that the line is about, then whether it means that.
    """

    sort: str
    sent: str
    becomes: tuple[str, ...]
    means: str
    play: Callable[[Story], tuple[Sequence[str], bool]]


def became(step: Step) -> str:
    """Its outcomes, and the reason if it is a dead letter."""
    letters = [f"dead letter {o.value.reason}" for o in step.outputs if o.topic == "dead-letters"]  # type: ignore[union-attr]
    return " + ".join([*step.outcomes, *letters])


UNHEARD: Final = "bedroom"  # a device at which nobody was heard a moment ago


def see(story: Story, event_id: str = EVENT, at: int | None = None, **parts: Any) -> str:
    """What becomes of a recognition by a habit alone."""
    at = story.desk.now + MINUTE_MS if at is None else at
    parts = {"activity": "music.play", "device": UNHEARD} | parts
    return became(story.play("recognitions", recognition("h", event_id, at, **parts)))


def say(story: Story, kind: str, **fields: Any) -> str:
    return became(story.say(kind, **fields))


def sight(story: Story, device: str, nonce: str | None = None, **fields: Any) -> str:
    """What becomes of a report of the door, by anna's phone or by a sensor of the home."""
    value = {
        "v": 1, "sighting_id": f"s-{story.desk.offsets['sightings']}", "household_id": "h", "device_id": device,
        "device_class": "personal" if device.startswith("ph-") else "home", "kind": "door.unlock", "nonce": nonce,
        "observed_at": story.desk.now,
    }  # fmt: skip
    return became(story.run.play(story.desk.record("sightings", value | fields)))


def whose(story: Story, event_id: str = EVENT) -> str:
    """Whom an event is held to be of most."""
    shares = story.shares(event_id)
    return max(shares, key=lambda name: shares[name])


def quiet(story: Story, send: Callable[[], str]) -> tuple[Sequence[str], bool]:
    """What becomes of it, and whether it changed and published nothing."""
    before, published = story.state, len(story.run.outputs)
    told = send()
    return [told], (story.state, len(story.run.outputs)) == (before, published)


# ---- late


def late_feedback(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    story.wait(3 * DAY_MS)
    told = say(story, "correct", event_id=EVENT, person_id="bert")
    return [told], [a["revision"] for a in story.answers(EVENT)] == [0, 1] and whose(story) == "bert"


def too_late_feedback(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    for _ in range(40):
        story.see("bert")
    told = say(story, "correct", event_id=EVENT, person_id="bert")
    return [told], len(story.answers(EVENT)) == 1


def late_recognition(story: Story) -> tuple[Sequence[str], bool]:
    return [see(story, at=story.desk.now - 3 * HOUR_MS)], len(story.answers(EVENT)) == 1


def too_late_recognition(story: Story) -> tuple[Sequence[str], bool]:
    return [see(story, at=story.desk.now - 31 * DAY_MS)], story.answers(EVENT) == []


def late_sighting(story: Story) -> tuple[Sequence[str], bool]:
    told = sight(story, "front-door", observed_at=story.desk.now - 10 * MINUTE_MS)
    return [told], story.home.record["witnesses_used"] == 0


# ---- early


def early_feedback(story: Story) -> tuple[Sequence[str], bool]:
    told = [say(story, "correct", event_id=EVENT, person_id="bert"), see(story)]
    return told, [a["revision"] for a in story.answers(EVENT)] == [0, 1] and whose(story) == "bert"


def feedback_on_nothing(story: Story) -> tuple[Sequence[str], bool]:
    told = say(story, "correct", event_id="never", person_id="bert")
    story.wait(8 * DAY_MS)
    later = [see(story, f"later-{n}") for n in range(3)]
    return [told, next(words for words in later if "unknown_event" in words)], story.home.record["waiting_used"] == 0


def too_much_early_feedback(story: Story) -> tuple[Sequence[str], bool]:
    told = [say(story, "correct", event_id=f"never-{n}", person_id="bert") for n in range(33)]
    return [told[31], told[32]], story.home.record["waiting_used"] == 32


def early_retraction(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    before = story.shares(EVENT)
    told = [say(story, "retract", retracts="f-x"), say(story, "correct", feedback_id="f-x", event_id=EVENT, person_id="bert")]
    return told, story.shares(EVENT) == before


def early_sighting(story: Story) -> tuple[Sequence[str], bool]:
    say(story, "phone", phone_id="ph-anna", person_id="anna")
    told = [sight(story, "ph-anna"), sight(story, "front-door")]
    see(story, at=story.desk.now)
    return told, "phone" in story.answers(EVENT)[0]["modalities"]


def ahead_of_its_timestamp(story: Story) -> tuple[Sequence[str], bool]:
    return quiet_but_a_letter(story, lambda: see(story, at=story.desk.now + 25 * HOUR_MS + MINUTE_MS))


# ---- double


def recognition_twice(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    return quiet(story, lambda: see(story))


def feedback_twice(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    say(story, "correct", event_id=EVENT, person_id="bert", feedback_id="f-x")
    return quiet(story, lambda: say(story, "correct", event_id=EVENT, person_id="anna", feedback_id="f-x"))


def said_twice(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    told = [say(story, "correct", event_id=EVENT, person_id="bert") for _ in range(2)]
    return told[1:], whose(story) == "bert"


def nonce_twice(story: Story) -> tuple[Sequence[str], bool]:
    sight(story, "front-door", "n-1")
    told = sight(story, "front-door", "n-1")
    return [told], story.home.record["witnesses_used"] == 1


# ---- contradictory


def corrected_again(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    told = [say(story, "correct", event_id=EVENT, person_id=person) for person in ("anna", "bert")]
    return told, whose(story) == "bert"


def corrected_again_out_of_order(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    now = story.desk.now
    said = [("bert", now + HOUR_MS), ("anna", now + MINUTE_MS)]
    told = [say(story, "correct", event_id=EVENT, person_id=person, at=at) for person, at in said]
    return told, whose(story) == "bert"


def contradicted_by_a_weaker(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    said = [("anna", "annotator"), ("bert", "app")]
    told = [say(story, "correct", event_id=EVENT, person_id=person, source=source) for person, source in said]
    return told, whose(story) == "anna"


def rejected_then_corrected(story: Story) -> tuple[Sequence[str], bool]:
    story.see("anna", event_id=EVENT)
    return [say(story, "reject", event_id=EVENT, person_id="anna"), say(story, "correct", event_id=EVENT, person_id="bert")], True


def phone_changes_hands(story: Story) -> tuple[Sequence[str], bool]:
    told = [say(story, "phone", phone_id="ph-1", person_id=person) for person in ("anna", "bert")]
    see(story, phones=[{"phone_id": "ph-1", "rssi_dbm": -55.0}])
    posterior = story.answers(EVENT)[0]["posterior"]
    return told, posterior["bert"] > posterior["anna"]


def taken_back(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    before = story.shares(EVENT)
    say(story, "correct", event_id=EVENT, person_id="bert", feedback_id="f-x")
    return [say(story, "retract", retracts="f-x")], story.shares(EVENT) == before


# ---- what cannot be done


def about_a_stranger(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    told = [say(story, "correct", event_id=EVENT, person_id="cora"), say(story, "leave", person_id="cora")]
    return told, len(story.answers(EVENT)) == 1


def about_who_left(story: Story) -> tuple[Sequence[str], bool]:
    see(story)
    say(story, "leave", person_id="anna")
    return [say(story, "correct", event_id=EVENT, person_id="anna")], story.shares(EVENT)["anna"] > 0


def by_an_unknown_device(story: Story) -> tuple[Sequence[str], bool]:
    told = sight(story, "ph-zoe")
    return [told], story.home.record["witnesses_used"] == 0


def confirmed_nobody(story: Story) -> tuple[Sequence[str], bool]:
    story.see("a guest", event_id=EVENT)
    return [say(story, "confirm", event_id=EVENT)], len(story.answers(EVENT)) == 1


def called_guest(story: Story) -> tuple[Sequence[str], bool]:
    return [say(story, "join", person_id=GUEST)], story.home.people == ["anna", "bert"]


def erasure_taken_back(story: Story) -> tuple[Sequence[str], bool]:
    say(story, "erase", person_id="anna", feedback_id="f-x")
    return [say(story, "retract", retracts="f-x")], b"anna" not in story.state


def bad_enrolment(story: Story) -> tuple[Sequence[str], bool]:
    say(story, "join", person_id="cora")
    said = {"encoder": VOICE, "embedding": embedding(VOICE, "a room", story.rng)}
    events = [story.see("cora", face=None) for _ in range(2)] + [story.see("cora", face=None, voice=said)]
    told = say(story, "enrol", person_id="cora", event_ids=events)
    return [told], [p for p in story.run.values("profiles") if p["person_id"] == "cora"][-1]["health"]["enrolment"] == ["apart"]


def wrong_clock(story: Story) -> tuple[Sequence[str], bool]:
    told = see(story, at=story.desk.now - 1000 * DAY_MS, device="new")
    return [told], clock_told(story) and see(story, "another") == "answered"


def clock_ahead(story: Story) -> tuple[Sequence[str], bool]:
    story.wait(365 * DAY_MS)
    told = see(story, device="new")
    story.wait(-365 * DAY_MS)
    return [told], clock_told(story) and see(story, "another") == "answered"


def clock_told(story: Story) -> bool:
    return "clock" in {signal["kind"] for signal in story.run.values("drift-signals")}


def other_key(story: Story) -> tuple[Sequence[str], bool]:
    value = feedback("h", "f-x", story.desk.now, "confirm", event_id=EVENT)
    record = replace(story.desk.record("feedback", value), key=b"h-2")
    return quiet_but_a_letter(story, lambda: became(story.run.play(record)))


def unlisted_encoder(story: Story) -> tuple[Sequence[str], bool]:
    voice = {"encoder": "mine", "embedding": embedding(FACE, "anna", story.rng)}
    return [see(story, voice=voice)], story.answers(EVENT)[0]["modalities"] == []


def quiet_but_a_letter(story: Story, send: Callable[[], str]) -> tuple[Sequence[str], bool]:
    before = story.state
    return [send()], story.state == before


def _table() -> Iterator[Oddity]:
    yield Oddity("late", "feedback days after its recognition", ("used",),
                 "it counts; the answer is published again, as a higher `revision`, when it moved by .1", late_feedback)
    yield Oddity("late", "feedback on a recognition that the home no longer keeps (7 a member, 60 days)", ("expired",),
                 "nothing: that recognition is settled", too_late_feedback)
    yield Oddity("late", "a recognition hours after others that came later", ("answered",),
                 "it is answered like any other", late_recognition)
    yield Oddity("late", "a recognition 31 days older than the home's time", ("refused + dead letter too_old",),
                 "no answer", too_late_recognition)
    yield Oddity("late", "a sighting some minutes older than the home's time", ("stale",),
                 "nothing: it could be of nobody who is met now", late_sighting)
    yield Oddity("early", "a sighting, then the other of the same", ("early", "used"),
                 "a pair, whichever came first: that person's phone counts as heard at recognitions around it", early_sighting)
    yield Oddity("early", "feedback, then its recognition", ("early", "answered + used"),
                 "it waits, and counts right after the answer, which then has a `revision` 1", early_feedback)
    yield Oddity("early", "feedback whose recognition does not come within 7 days", ("early", "answered + unknown_event"),
                 "it is given up, when the home's time has moved on", feedback_on_nothing)
    yield Oddity("early", "the 33rd feedback that waits in a home", ("early", "unknown_event + early"),
                 "the oldest of them is given up", too_much_early_feedback)
    yield Oddity("early", "`retract`, then the feedback it takes back", ("early", "used"),
                 "that feedback does nothing", early_retraction)
    yield Oddity("early", "a recognition more than 24 hours ahead of its record's own timestamp", ("dead letter future",),
                 "no answer", ahead_of_its_timestamp)
    yield Oddity("double", "a recognition with an `event_id` that came before", ("duplicate",),
                 "nothing: no second answer, nothing learnt", recognition_twice)
    yield Oddity("double", "feedback with a `feedback_id` that came before, whatever it says", ("duplicate",),
                 "nothing", feedback_twice)
    yield Oddity("double", "the same said again with another `feedback_id`", ("used",),
                 "the later takes the place of the earlier: it does not count twice", said_twice)
    yield Oddity("double", "a sighting with a `nonce` that came before from that class of device", ("nonce",),
                 "nothing: a nonce counts once", nonce_twice)
    yield Oddity("contradictory", "`correct` to one person, later to another, by the same source", ("used", "contradictory"),
                 "the later `given_at` holds", corrected_again)
    yield Oddity("contradictory", "the same, but the later arrives first", ("used", "contradictory"),
                 "the later `given_at` holds", corrected_again_out_of_order)
    yield Oddity("contradictory", "an annotator, then the app says otherwise", ("used", "contradictory"),
                 "the stronger source holds: annotator, pin, app, voice; both tell how reliable each is",
                 contradicted_by_a_weaker)
    yield Oddity("contradictory", "`reject` of one person, then `correct` to another", ("used", "used"),
                 "they agree", rejected_then_corrected)
    yield Oddity("contradictory", "`phone` of one person, then of another", ("used", "used"),
                 "the latter from then on; the past stays", phone_changes_hands)
    yield Oddity("contradictory", "`retract` of a feedback", ("used",),
                 "as if it had not been said", taken_back)
    yield Oddity("impossible", "feedback on a person who never joined; `leave` of one", ("unknown_person", "unknown_person"),
                 "nothing", about_a_stranger)
    yield Oddity("impossible", "feedback on an earlier recognition of who has left", ("used",),
                 "it counts for that recognition, for a week", about_who_left)
    yield Oddity("impossible", "a sighting by a personal device that is no member's phone", ("unknown_device",),
                 "nothing", by_an_unknown_device)
    yield Oddity("impossible", "`confirm` of an answer that named nobody", ("rejected",),
                 "nothing: say who it was (`correct`)", confirmed_nobody)
    yield Oddity("impossible", "`join` of `guest`", ("rejected",), "nothing", called_guest)
    yield Oddity("impossible", "`retract` of an `erase`", ("rejected",), "nothing: what was erased is gone", erasure_taken_back)
    yield Oddity("impossible", "`enrol` with a recording that is not the person's", ("bad_enrolment + used",),
                 "that recording is left out, and `health.enrolment` of the profile says why", bad_enrolment)
    yield Oddity("impossible", "a recognition of a device whose clock is years behind", ("refused + dead letter too_old",),
                 "no answer; a drift signal of kind `clock` says so once; others are answered as before", wrong_clock)
    yield Oddity("impossible", "a recognition a year ahead, as its record's timestamp is", ("wrong_clock + answered",),
                 "an answer at the home's time; a drift signal of kind `clock`; others are answered as before", clock_ahead)
    yield Oddity("impossible", "a record whose key is not its `household_id`", ("dead letter key",), "nothing", other_key)
    yield Oddity("impossible", "a voice of an encoder that the policy does not list, and an activity", ("answered",),
                 "the answer rests on the activity alone", unlisted_encoder)


ODDITIES: Final = tuple(_table())

"""Side by side: what policies agree on is stepped once, and nothing of it can be seen in what they answer or in their homes."""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.brokers.log_files import encode_record
from stream.contract.policy import (
    Action,
    Alerting,
    Claims,
    Encoder,
    OwnModel,
    Policy,
    Presence,
    Priors,
    ProofKey,
    Proofs,
    Tiers,
)
from stream.contract.records import Record
from stream.contract.rights.signature import sign, text_of_public_key
from stream.contract.settings import Wiring
from stream.home.state import at_rest
from stream.home.state.household import Household
from stream.offline.compare.answered import Answered, put_together, read_answers
from stream.offline.compare.ground import Ground
from stream.offline.compare.questions import Questions, Truth, ask
from stream.offline.compare.side_by_side import processes
from stream.offline.compare.side_by_side.processes import answer_all
from stream.offline.compare.side_by_side.steps import SideBySide, Steps
from stream.offline.policies import agreement
from stream.offline.policies.agreement import Agreement, core_of
from stream.offline.replay.first_states import states_of
from stream.offline.replay.replay import Replay, replay
from stream.offline.what_if.what_if import NOTHING
from stream.runtime.worker import batch
from stream.stores import MemoryStore, open_store
from tests.support.recorded import recorded
from tests.support.worlds import VOICE, Shape, world

LATER = "later-voice"  # the encoder of a firmware that comes in the middle of a home's life
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PEOPLE = ("anna", "bert")


def listing(within: float, **more: Any) -> Policy:
    """The defaults, and the later encoder."""
    later = Encoder(modality="voice", length=256, metric="cosine", within=within)
    return Policy(encoders={**Policy().encoders, LATER: later}, **more)


PROVEN = Proofs(keys={"door": ProofKey(public_key=text_of_public_key(KEY))})


@cache  # made when a test asks for them: to load River takes two seconds
def policies() -> tuple[Policy, ...]:
    own = OwnModel(classifier="river.linear_model.LogisticRegression", prior_weight=0.01)
    return (
        listing(0.05),
        listing(0.2),
        Policy(),  # it does not list it
        listing(0.05, claims=Claims(nats_max=3.0, nats_enrolled=1.0)),
        listing(0.05, own_model=own),
        listing(0.05, proofs=PROVEN),
        listing(0.05, proofs=PROVEN, tiers=Tiers(pin_minutes=1)),
        listing(0.2, priors=Priors(honesty={"app": 0.6, "voice": 0.6, "pin": 0.7, "annotator": 0.7})),
        listing(0.05, tiers=Tiers(private=0.99)),  # it agrees with none of the others
    )


def with_turns(records: Sequence[Record], turn: int) -> list[Record]:
    """From that record on voices are the later encoder's in all homes but the first; who was recognised is proven, by guesses."""
    found: list[Record] = []
    for number, record in enumerate(records):
        value = json.loads(record.value or b"{}")
        if record.topic == "recognitions" and number >= turn and record.key != b"h-0":
            record = replace(record, value=(record.value or b"").replace(VOICE.encode(), LATER.encode()))
        found.append(record)
        if record.topic == "recognitions" and number >= turn and number % 3 == 0:
            for who in PEOPLE:
                fields = {"v": 1, "proof_id": f"p-{number}-{who}", "household_id": value["household_id"], "factor": "pin",
                          "person_id": f"{who}:{value['household_id']}", "event_id": value["event_id"], "kid": "door",
                          "given_at": value["observed_at"] + 90_000, "nonce": f"n-{number}-{who}"}  # fmt: skip
                raw = json.dumps(sign(fields, KEY)).encode()
                found.append(Record("proofs", 0, len(found), record.timestamp + 1_000, record.key, raw))
    return found


def asked(records: Sequence[Record]) -> Questions:
    """Every recognition is judged, as if it had been the first person's."""
    values = [json.loads(record.value or b"{}") for record in records if record.topic == "recognitions"]
    events = [(value["household_id"], value["event_id"]) for value in values]
    return ask(records, NOTHING, {(home, event): Truth(home, event, f"anna:{home}") for home, event in events})


def stepped(
    records: Sequence[Record], policies: Sequence[Policy], size: int, shared: bool, first: MemoryStore | None = None
) -> tuple[list[Any], list[Any], Steps]:
    """By policy what was answered and its signals, and its states; and the steps that it took."""
    questions = asked(records)
    homes = SideBySide(policies, first or MemoryStore(), questions, 2**28, shared)
    for at in range(0, len(records), size):
        homes.apply(list(enumerate(records[at : at + size])))
    outcome = homes.outcome()
    answered = [as_plain(put_together(questions, [part])) for part in outcome.parts]
    signals = [[one.value for one in sorted(own, key=itemgetter(slice(3)))] for own in outcome.signals]
    return [*zip(answered, signals, strict=True)], [homes.states(number) for number in range(len(policies))], outcome.steps


def as_plain(answered: Answered) -> dict[str, Any]:
    """Everything in it, so that it can be compared."""
    arrays = {"confidence": answered.confidence, "guest": answered.guest, "at": answered.observed_at, **answered.judged}
    plain = {"told": answered.told, "confirmed": answered.confirmed, "labels": answered.labels}
    return plain | {name: array.tobytes() for name, array in arrays.items()}


@pytest.mark.parametrize("enrolled", [True, False])
@given(seed=st.integers(0, 2**16), turn=st.integers(0, 120), size=st.sampled_from([1, 7, 40, 400]))
@settings(max_examples=6, deadline=None)
def test_what_is_stepped_once_is_what_each_policy_steps_alone(seed: int, turn: int, size: int, enrolled: bool) -> None:
    records = with_turns(world(seed, Shape(homes=3, people=2, records=35, enrolled=enrolled, sighted=0.1)), turn)
    for key in (b"h-1/anna", None, b"\xff"):  # nobody's: dead letters, which part no home
        raw = b'{"household_id":"h-1","event_id":"e","voice":{"encoder":"later-voice"}}'
        records.insert(20, Record("recognitions", 0, 0, records[0].timestamp, key, raw))
    once, homes, steps = stepped(records, policies(), size, shared=True)
    each, alone, all_steps = stepped(records, policies(), size, shared=False)
    assert once == each
    assert homes == alone
    assert steps.taken < steps.apart == all_steps.taken == len(records) * len(policies())


def test_the_policies_that_are_stepped_together_come_to_differ() -> None:
    records = with_turns(world(2, Shape(homes=3, people=2, records=80, odd=0.1, erasing=False, sighted=0.05)), 60)
    _, homes, steps = stepped(records, policies(), 10, shared=True)
    assert steps.taken < 0.95 * steps.apart
    assert all(here != there for number, here in enumerate(homes) for there in homes[:number])


@pytest.mark.parametrize("sabotage", ["tiers", "encoders", "claims"])
def test_policies_that_are_held_together_for_too_long_are_found_out(sabotage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    records = with_turns(world(1, Shape(homes=3, people=2, records=60)), 60)
    right = agreement.waits_of

    def wrong(path: tuple[str, ...]) -> Any:
        return agreement._Wait(lambda _: False, lambda _: False) if path[0] == sabotage else right(path)

    monkeypatch.setattr(agreement, "waits_of", wrong)
    _, homes, _ = stepped(records, policies(), 10, shared=True)
    _, alone, _ = stepped(records, policies(), 10, shared=False)
    assert homes != alone


def test_homes_that_begin_with_states_go_on_from_them() -> None:
    records = with_turns(world(4, Shape(homes=3, people=2, records=60)), 90)
    for cut in (60, 110):  # before the later encoder came, and after
        store = MemoryStore()
        _, [states], _ = stepped(records[:cut], [policies()[0]], 20, shared=True)
        epoch, offsets = store.claim(0)
        store.save(0, epoch, offsets, {"recognitions": cut}, {(key or b"").decode(): raw for (_, key), raw in states.items()})
        once, homes, steps = stepped(records[cut:], policies(), 20, shared=True, first=store)
        each, alone, _ = stepped(records[cut:], policies(), 20, shared=False, first=store)
        assert once == each
        assert homes == alone
        assert steps.taken < steps.apart


def test_a_home_that_fails_is_left_out_under_all_who_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    records = with_turns(world(2, Shape(homes=3, people=2, records=40)), 60)
    right, failures = at_rest.encode_home, []

    def failing(home: Household) -> bytes:
        if home.household_id == "h-1" and int(home.record["next_row"]) > 12:
            failures.append(home)
            raise KeyError("planted")
        return right(home)

    monkeypatch.setattr(batch, "encode_home", failing)
    once, homes, _ = stepped(records, policies(), 10, shared=True)
    failed_once = len(failures)
    each, alone, _ = stepped(records, policies(), 10, shared=False)
    assert 0 < failed_once < len(failures) - failed_once == len(policies())
    assert once == each
    assert homes == alone


# ---- beside a replay


@pytest.mark.parametrize(("jobs", "begins"), [(1, False), (2, True), (3, False)])
def test_a_policy_answers_and_leaves_its_homes_as_a_replay_under_it_does(
    tmp_path: Path, jobs: int, begins: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_LOOK_S", 0.01)
    cut = 60 if begins else 0
    log, origin = write(tmp_path / "log.jsonl", recorded()[cut:]), None
    if begins:
        begun = write(tmp_path / "begun.jsonl", recorded()[:cut])
        origin = tmp_path / "begun.db"
        assert replay(Replay([begun], tmp_path / "begun", Policy(), Wiring(store=str(origin)))).finished
    policies = [Policy(), listing(0.1), Policy(claims=Claims(nats_max=3.0)), Policy(tiers=Tiers(private=0.99))]
    ground = Ground([log], Wiring(store="memory:", batch_records_max=50), origin, NOTHING)
    questions = asked(recorded()[cut:])
    found = answer_all([[policy] for policy in policies], ground, questions, jobs)
    assert found.steps.taken < found.steps.apart == len(policies) * (len(recorded()) - cut)
    for number, (policy, answered) in enumerate(zip(policies, found.answered, strict=True)):
        out, store = tmp_path / f"run-{number}", tmp_path / f"run-{number}.db"
        assert replay(Replay([log], out, policy, Wiring(store=str(store), batch_records_max=50), origin)).finished
        assert as_plain(answered) == as_plain(read_answers(out, questions))
        opened = [json.loads(line)["value"] for line in (out / "drift-alerts.jsonl").read_bytes().splitlines()]
        assert sum(answered.alerts[policy.policy_id].values()) == len({one["alert_id"] for one in opened})
    assert np.isfinite(found.answered[0].confidence).any()


def test_states_are_those_of_a_replay(tmp_path: Path) -> None:
    policies = [Policy(), listing(0.1), Policy(claims=Claims(nats_max=3.0))]
    _, homes, _ = stepped(recorded(), policies, 50, shared=True)
    log = write(tmp_path / "log.jsonl", recorded())
    for number, policy in enumerate(policies):
        path = tmp_path / f"{number}.db"
        assert replay(Replay([log], tmp_path / f"run-{number}", policy, Wiring(store=str(path), batch_records_max=50))).finished
        with closing(open_store(str(path))) as store:
            assert {(p, h.encode()): raw for p, h, raw in states_of(store)} == homes[number]


def write(path: Path, records: Sequence[Record]) -> str:
    path.write_bytes(b"".join(map(encode_record, records)))
    return str(path)


# ---- who agrees until when


def test_policies_are_parted_by_what_they_differ_in_and_never_come_together_again() -> None:
    one = Agreement(policies())
    assert one.at_first == ((0, 1, 2, 3, 4, 5, 6, 7), (8,))
    claim, later = (
        Record("feedback", 0, 0, 0, b"h", b'{"kind":"correct"}'),
        Record("recognitions", 0, 0, 0, b"h", b'{"voice":{"encoder":"later-voice"}}'),
    )
    assert one.after(one.at_first, Record("feedback", 0, 0, 0, b"h", b'{"kind":"enrol"}')) is one.at_first
    by_claim = one.after(one.at_first, claim)
    assert by_claim == ((0, 1, 2, 5, 6), (3,), (4,), (7,), (8,))
    by_both = one.after(by_claim, later)
    assert by_both == ((0, 5, 6), (1,), (2,), (3,), (4,), (7,), (8,))
    assert one.after(by_both, claim) is by_both


def test_what_changes_no_answer_parts_nobody() -> None:
    alike = [
        Policy(), Policy(alerting=Alerting(cooldown_days=5)), Policy(actions={"door.open": Action(tier=3)}),
        Policy(presence=Presence(home_share=0.5)),
    ]  # fmt: skip
    assert Agreement(alike).at_first == ((0, 1, 2, 3),)
    assert len({core_of(policy) for policy in alike}) == 1
    published = [Policy(presence=Presence(publish=True)), Policy(presence=Presence(publish=True, home_share=0.5)), Policy()]
    assert Agreement(published).at_first == ((0,), (1,), (2,))


@pytest.mark.parametrize(
    "raw", [b'{"voice":{"encoder":"later\\u002dvoice"}}', b'{"voice": {"encoder": "later-voice"}}', b'{"activity":"\\n"}']
)
def test_what_may_name_an_encoder_counts_as_naming_it(raw: bytes) -> None:
    one = Agreement(policies()[:2])
    assert one.after(one.at_first, Record("recognitions", 0, 0, 0, b"h", raw)) == ((0,), (1,))
    assert one.after(one.at_first, Record("feedback", 0, 0, 0, b"h", raw)) is one.at_first

"""RESULTs become records of the contract."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contract.policy import Policy
from stream.contract.records import Confirm, Recognition, Record
from stream.home.events import Event
from stream.home.messages import (
    ADAPTATIONS,
    ADMITTED,
    ANSWER,
    CAUSES,
    LABEL,
    OUT,
    OUTCOME,
    OUTCOMES,
    PROFILE_KIND,
    REFUSALS,
    RESULT,
    SIGNAL,
)
from stream.home.outputs import encode_output, output
from stream.home.publish import Publisher, Response, round_off
from stream.home.state.household import Household

POLICY = Policy()
VOICE, FACE = POLICY.encoders
AT = 1_763_690_000_123
RECORD = Record("recognitions", 3, 17, AT + 5, b"h", b'{"v": 1}')
PEOPLE = ("anna", "ben", "carl")


def household() -> Household:
    """Three people, two phones, two encoders; "kitchen" is a word too."""
    home = Household.new("h")
    for of, names in (("people", PEOPLE), ("phones", ("p-1", "p-2")), ("galleries", (VOICE, FACE))):
        home.record[f"{of}_used"] = len(names)
        for place, name in enumerate(names):
            home.record[of][place]["name"] = home.words.learn(name)
    home.words.learn("kitchen")
    return home


def recognition() -> Recognition:
    device = {"model": "show-8", "room": "Küche"}
    fields = {"v": 1, "event_id": "e-1", "household_id": "h", "device_id": "kitchen", "observed_at": AT, "phones": []}
    return Recognition.model_validate(fields | {"device": device})


def confirm() -> Confirm:
    fields = {"v": 1, "feedback_id": "f-1", "household_id": "h", "given_at": AT, "source": "app", "kind": "confirm"}
    return Confirm.model_validate(fields | {"event_id": "e-1"})


def results_of(kinds: dict[str, Any] | list[dict[str, Any]], profiles: int = 0) -> Any:
    """OUT with these results, of EVENT 0 unless they say otherwise."""
    out = np.zeros(1, OUT)
    told = [kinds] if isinstance(kinds, dict) else kinds
    out["results_used"], out["profiles_used"] = len(told), profiles
    for result, fields in zip(out["results"][0], told, strict=False):
        result["unnamed"] = -1
        for name, value in fields.items():
            if name == "event_id":
                result["event_id_length"] = len(value)
                result["event_id"][: len(value)] = list(value.encode())
            elif isinstance(value, dict):
                for at, number in value.items():
                    result[name][at] = number
            else:
                result[name] = value
    return out


def published(out: Any, value: Any = None, home: Household | None = None) -> Response:
    """What was published as bytes, whose models have the same bytes."""
    home, event = home or household(), Event(RECORD, value or recognition())
    publisher, response, model = Publisher(POLICY), Response(event, home), Response(event, home)
    copy = out.copy()
    publisher.read(out, [response])
    publisher.emit = output
    publisher.read(copy, [model])
    assert (response.failure, model.failure) == (None, None)
    assert (out["results_used"][0], out["profiles_used"][0]) == (0, 0)
    for raw, one in zip(response.outputs, model.outputs, strict=True):
        key = one.key.encode() if isinstance(one.key, str) else one.key
        assert (raw.topic, raw.key, raw.partition, raw.timestamp) == (one.topic, key, 3, AT + 5)
        assert raw.value == (None if one.value is None else one.value.__pydantic_serializer__.to_json(one.value))
    return response


def only(response: Response) -> dict[str, Any]:
    (one,) = response.outputs
    value: dict[str, Any] = json.loads(one.value)
    return value


# ---- answers


def test_an_answer_lists_its_members_in_their_order_and_then_the_guest() -> None:
    posterior = {0: 0.125, 1: 0.5, 2: 0.25, 3: 0.125}
    answer = {"kind": ANSWER, "event_id": "e-1", "observed_at": AT, "revision": 2, "posterior": posterior, "members": 0b111,
              "tier": 2, "named": 1, "modalities": 0b1101}  # fmt: skip
    value = only(published(results_of(answer)))
    assert list(value["posterior"].items()) == [("anna", 0.5), ("ben", 0.25), ("carl", 0.125), ("guest", 0.125)]
    assert (value["person_id"], value["tier"], value["revision"], value["modalities"]) == ("anna", 2, 2, ["voice", "phone"])
    assert (value["event_id"], value["household_id"], value["observed_at"]) == ("e-1", "h", AT)
    assert value["policy_id"] == POLICY.policy_id
    assert value["cause"] == {"topic": "recognitions", "partition": 3, "offset": 17}


def test_who_does_not_belong_is_not_listed() -> None:
    answers = [
        {"kind": ANSWER, "event_id": "e", "posterior": {0: 0.25, 2: 0.75}, "members": 0b010},
        {"kind": ANSWER, "event_id": "e", "posterior": {0: 1.0}, "members": 0},
    ]
    found = [json.loads(one.value) for one in published(results_of(answers)).outputs]
    assert [value["posterior"] for value in found] == [{"ben": 0.75, "guest": 0.25}, {"guest": 1.0}]
    assert [value["person_id"] for value in found] == [None, None]


@given(st.lists(st.floats(1e-12, 1), min_size=1, max_size=17))
def test_a_posterior_is_rounded_and_still_sums_to_1(numbers: list[float]) -> None:
    posterior = np.array(numbers) / sum(numbers)
    results = np.zeros(1, RESULT)
    results["kind"], results["members"] = ANSWER, (1 << len(numbers) - 1) - 1
    results["posterior"][0, : len(numbers)] = posterior
    round_off(results)
    expected = np.roll(posterior, -1)
    found = results["posterior"][0, : len(numbers)]
    millionths = [round(p * 1e6) for p in found]
    assert sum(millionths) == 1_000_000
    assert [k / 1e6 for k in millionths] == found.tolist()
    away = np.abs(found - expected)
    away[np.argmax(np.rint(expected * 1e6))] = 0
    assert away.max(initial=0) <= 0.5e-6 + 1e-12


@pytest.mark.parametrize("millionths", [0, 1, 9, 10, 12, 100, 1_234, 50_000, 99_999, 100_000, 271_504, 999_999, 1_000_000])
def test_a_probability_has_the_digits_that_the_model_has(millionths: int) -> None:
    p = millionths / 1e6  # `published` compares both
    posterior = only(published(results_of({"kind": ANSWER, "event_id": "e", "posterior": {0: 1 - p, 2: p}, "members": 0b010})))
    assert posterior["posterior"]["ben"] == p


def test_answers_of_several_homes_do_not_mix() -> None:
    homes = [household() for _ in range(3)]
    homes[1].household_id, homes[1].record["people_used"] = "other", 1
    answer = {"kind": ANSWER, "event_id": "e-1", "posterior": {0: 0.25, 1: 0.75}, "members": 0b001, "named": 1, "tier": 5}
    out = results_of([answer | {"event": event} for event in (2, 0, 1, 0)])
    responses = [Response(Event(RECORD, recognition()), home) for home in homes]
    Publisher(POLICY).read(out, responses)
    found = [[json.loads(one.value) for one in response.outputs] for response in responses]
    assert [[value["household_id"] for value in own] for own in found] == [["h", "h"], ["other"], ["h"]]
    assert {value["person_id"] for own in found for value in own} == {"anna"}


# ---- labels


def test_a_label_names_what_supports_it() -> None:
    label = {"kind": LABEL, "event_id": "e-1", "probability": 0.98765432, "named": 2, "modalities": 0b110, "label_revision": 1}
    value = only(published(results_of(label)))
    assert list(value) == ["v", "event_id", "household_id", "person_id", "probability", "evidence", "revision", "cause"]
    assert (value["person_id"], value["evidence"]) == ("ben", ["face", "phone"])
    assert (value["probability"], value["revision"]) == (0.987654, 1)


def test_a_label_may_be_withdrawn_and_a_guest_may_have_returned() -> None:
    labels = [
        {"kind": LABEL, "event_id": "e-1", "named": 1, "withdrawn": 1},
        {"kind": LABEL, "event_id": "e-1", "probability": 1.0, "modalities": 0b1001, "unnamed": 12},
    ]
    gone, guest = (json.loads(one.value) for one in published(results_of(labels)).outputs)
    assert (gone["person_id"], gone["withdrawn"], gone["probability"], gone["evidence"]) == ("anna", True, 0.0, [])
    assert (guest["person_id"], guest["unnamed_id"], guest["evidence"]) == ("guest", "unnamed-12", ["voice", "returning"])


# ---- outcomes and dead letters


def test_outcomes_are_words_and_what_was_admitted_is_known() -> None:
    response = published(results_of([{"kind": OUTCOME, "outcome": OUTCOMES.index("early")}, {"kind": ADMITTED, "event_at": AT}]))
    assert (response.outcomes, response.admitted_at, response.outputs) == (["early"], AT, [])


CLOCK = ": its clock is wrong, or it was sent long after it was made"


@pytest.mark.parametrize(
    ("refusal", "days", "reason", "detail"),
    [
        ("too_old", -31, "too_old", "31 days before the newest record of this household; 30 are allowed" + CLOCK),
        ("forgotten", -1, "too_old", "so far back that it cannot be told whether it was answered already"),
        ("future", 800, "future", "800 days after the newest record of this household; 730 are allowed" + CLOCK),
    ],
)
def test_a_record_that_was_refused_is_a_dead_letter(refusal: str, days: int, reason: str, detail: str) -> None:
    told = {"outcome": OUTCOMES.index("refused"), "refusal": REFUSALS.index(refusal), "observed_at": AT - days * 86_400_000}
    response = published(results_of({"kind": OUTCOME, "event_at": AT, **told}))
    value = only(response)
    assert (response.refusal, response.outcomes) == (reason, ["refused"])
    assert (value["reason"], value["detail"]) == (reason, detail)
    assert (value["topic"], value["offset"], value["value_bytes"]) == ("recognitions", 17, 8)
    assert base64.b64decode(value["value_base64"]) == RECORD.value


# ---- signals


def signal(cause: str, **fields: Any) -> dict[str, Any]:
    return {"kind": SIGNAL, "event_at": AT, "cause": CAUSES.index(cause), "log_e": 4.015625, "streams": 6, **fields}


def test_a_signal_of_the_device_that_spoke_has_its_attributes() -> None:
    home = household()
    kitchen = home.words.number("kitchen")
    beliefs = {CAUSES.index("device"): 0.8126, CAUSES.index("person"): 0.187, CAUSES.index("habit"): 0.0004}
    here = only(published(results_of(signal("device", name=kitchen, beliefs=beliefs)), home=home))
    assert (here["device_id"], here["person_id"], here["encoder"], here["kind"]) == ("kitchen", None, None, "device")
    assert here["attributes"] == {"model": "show-8", "room": "Küche"}
    assert here["evidence"] == {"device": 0.813, "person": 0.187}
    assert (here["log_e_value"], here["streams"], here["observed_at"], here["adapted"]) == (4.015625, 6, AT, None)
    elsewhere = only(published(results_of(signal("device", name=home.words.learn("hall"))), home=home))
    assert (elsewhere["device_id"], elsewhere["attributes"]) == ("hall", {})


@pytest.mark.parametrize(
    ("cause", "field"), [("person", "person_id"), ("phone", "person_id"), ("encoder", "encoder"), ("unknown", "")]
)
def test_a_signal_names_its_subject(cause: str, field: str) -> None:
    value = only(published(results_of(signal(cause, name=1 if field else 0))))
    assert {name: value[name] for name in ("person_id", "device_id", "encoder")} == {
        name: "anna" if name == field else None for name in ("person_id", "device_id", "encoder")
    }


@pytest.mark.parametrize("adaptation", ADAPTATIONS[1:])
def test_what_was_done_is_a_sentence(adaptation: str) -> None:
    told = {"adapted": ADAPTATIONS.index(adaptation), "adapted_galleries": 0b11}
    value = only(published(results_of(signal("device", **told))))
    assert len(value["adapted"].split()) > 3
    if adaptation == "device":
        assert value["adapted"].endswith(f"({VOICE}, {FACE})")


def test_a_signal_about_claims_names_their_source_or_whom_they_are_about() -> None:
    kinds = [signal("feedback", held=1, **told) for told in ({"source": 2}, {"named": 2}, {"named": 0})]
    values = [json.loads(one.value) for one in published(results_of(kinds), confirm()).outputs]
    assert [value["attributes"] for value in values] == [{"source": "app"}, {}, {}]
    assert [value["person_id"] for value in values] == [None, "ben", "guest"]
    assert all(value["signal_id"].startswith("held-") for value in values)


def test_a_signal_is_known_by_its_cause_and_its_place_among_its_signals() -> None:
    answer = {"kind": ANSWER, "event_id": "e-1", "posterior": {0: 1.0}}
    first = published(results_of([signal("unknown"), signal("unknown")])).outputs
    later = published(results_of([answer, signal("unknown"), signal("unknown")])).outputs[1:]
    ids = [[json.loads(one.value)["signal_id"] for one in these] for these in (first, later)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_a_person_who_was_erased_is_to_be_forgotten_by_the_fleet() -> None:
    publisher, response = Publisher(POLICY), Response(Event(RECORD, confirm()), household())
    publisher.tombstone(response, "anna")
    publisher.publish_erasure(response, "anna")
    publisher.publish_erasure(response, None)
    gone, person, home = response.outputs
    assert (gone.topic, gone.key, gone.value) == ("profiles", b"h/anna", None)
    values = [json.loads(one.value) for one in (person, home)]
    assert [(value["kind"], value["person_id"], value["log_e_value"]) for value in values] == [
        ("erased", "anna", -30.0), ("erased", None, -30.0),
    ]  # fmt: skip


# ---- profiles


def profile_of(home: Household) -> Any:
    out = results_of({"kind": PROFILE_KIND, "name": home.words.number("ben"), "profile": 1}, profiles=2)
    profile = out["profiles"][0, 1]
    profile["column"], profile["revision"], profile["updated_at"], profile["last_seen_at"] = 1, 4, AT, AT - 1
    profile["trust"], profile["events"], profile["phones"] = 0.123456789, 17.5, 0b10
    profile["weights"], profile["known"], profile["offset"], profile["learnt"] = [0.7654321, 0.5], [1, 0], 0.25, 3
    hours, activities = np.zeros(8), np.zeros(17)
    hours[[2, 7]], activities[0] = [3, 1], 8
    profile["habits"] = [*hours, *activities, 4, 8]
    told_with = profile if "activities" in profile.dtype.names else home.record
    told_with["activities"][0] = home.words.learn("tv")
    for at, (encoder, since, place) in enumerate([(0, 50, 2.0), (0, 20, 1.0), (1, 30, 3.0)]):
        prototype = profile["prototypes"][at]
        prototype["encoder"], prototype["since"], prototype["mass"] = encoder, since, 1.5
        prototype["vector"][:] = place
        prototype["device_name"] = home.words.number("kitchen") if at == 0 else 0
    profile["prototypes_used"] = 3
    return out


def test_a_profile_has_all_that_a_device_needs() -> None:
    home = household()
    response = published(profile_of(home), home=home)
    assert response.outputs[0].key == b"h/ben"
    value = only(response)
    assert (value["person_id"], value["revision"], value["updated_at"], value["phones"]) == ("ben", 4, AT, ["p-2"])
    assert value["health"] == {"events": 17.5, "last_seen_at": AT - 1, "drift": 1.0, "trust": 0.123457}
    assert value["habits"] == {"activity": {"tv": 1.0}, "hour": {"2": 0.75, "7": 0.25}}
    assert list(value["encoders"]) == [FACE, VOICE]
    voice = value["encoders"][VOICE]
    assert voice["calibration"] == {
        "weight": 0.765432, "offset": 0.25, "learnt": 3.0, "temperature": POLICY.projection(VOICE).temperature,
    }  # fmt: skip
    assert value["encoders"][FACE]["calibration"]["weight"] == 1.0
    assert [(p["since"], p["device_id"], p["weight"]) for p in voice["prototypes"]] == [(20, None, 1.5), (50, "kitchen", 1.5)]


def test_a_prototype_comes_back_into_the_encoders_own_space() -> None:
    home = household()
    value = only(published(profile_of(home), home=home))
    for encoder, place in ((VOICE, 1.0), (FACE, 3.0)):
        (first, *_), projection = value["encoders"][encoder]["prototypes"], POLICY.projection(encoder)
        found = np.frombuffer(base64.b64decode(first["embedding"]), "<f2").astype(np.float64)
        expected = projection.restore(np.full((1, 64), place, np.float32))[0]
        assert np.abs(found - expected).max() < 1e-3
        if projection.metric == "cosine":
            assert np.square(found).sum() == pytest.approx(1, abs=2e-3)


# ---- failures


def test_a_result_that_cannot_be_read_is_a_failure_of_its_record_alone() -> None:
    answer = {"kind": ANSWER, "event_id": "e-1", "posterior": {0: 1.0}}
    out = results_of([answer, signal("device", name=999, event=2), {"kind": OUTCOME, "event": 1}, answer | {"event": 1}])
    responses = [Response(Event(RECORD, recognition()), household()) for _ in range(3)]
    responses[0].household.record["people"][1]["name"] = 999
    Publisher(POLICY).read(out, responses)
    assert [type(response.failure) for response in responses] == [IndexError, type(None), IndexError]
    assert (responses[1].outcomes, len(responses[1].outputs)) == (["answered"], 1)


@pytest.mark.parametrize("text", ["Küche", 'a "b" \\ /', "\x7f\u2028\U0001f600", "\t\n\x01"])
def test_any_text_has_the_bytes_that_the_model_has(text: str) -> None:
    value = recognition()
    value.device = {"room": text}
    assert only(published(results_of(signal("unknown")), value))["attributes"] == {"room": text}
    assert encode_output("labels", None, None, RECORD).value is None

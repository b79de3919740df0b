"""Settings: read back as written, and every mistake named with its key, its place and what would be right."""

import pickle
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from stream.contract.errors import (
    ConfigError,
    Incomparable,
    Moved,
    NewerState,
    NewTopics,
    RecoveryError,
    TooManyDeadLetters,
    UnknownState,
)
from stream.contract.policy import Policy
from stream.contract.settings import Wiring, load_policy, load_wiring, toml_of


def a_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_the_documented_policy_is_the_default_one(root: Path) -> None:
    documented = load_policy(root / "configs" / "policy.toml")
    assert documented == Policy()
    assert documented.policy_id == Policy().policy_id


def test_the_documented_wiring_is_the_default_one(root: Path) -> None:
    assert load_wiring(root / "configs" / "wiring.toml").model_dump() == Wiring().model_dump()


@pytest.mark.parametrize(("name", "settings"), [("policy", Policy()), ("wiring", Wiring())])
def test_the_documented_files_explain_every_setting_as_the_code_does(
    name: str, settings: BaseModel, root: Path, golden: Callable[[Path, bytes], None]
) -> None:
    golden(root / "configs" / f"{name}.toml", toml_of(settings).encode())


def test_a_changed_number_is_another_policy(tmp_path: Path) -> None:
    changed = load_policy(a_file(tmp_path, "[priors]\nguest_share = 0.125\n"))
    assert changed.priors.guest_share == 0.125
    assert changed.policy_id != Policy().policy_id
    assert load_policy(a_file(tmp_path, toml_of(changed))) == changed


@pytest.mark.parametrize(
    ("text", "key", "value", "right"),
    [
        ("[priors]\nguest_shar = 0.1\n", "priors.guest_shar", 0.1, "priors.guest_share, the nearest known key"),
        ("[prior]\nx = 1\n", "prior", {"x": 1}, "priors, the nearest known key"),
        ("[priors]\nguest_share = 1.5\n", "priors.guest_share", 1.5, "less than 1"),
        ("zzz = 1\n", "zzz", 1, f"one of {', '.join(Policy.model_fields)}"),
        ('[encoders.own]\nmodality = "voice"\n', "encoders.own.length", None, "given, for it has no default"),
    ],
    ids=["a key in a table", "a table", "a value out of bounds", "nothing like it", "a value that is needed"],
)
def test_a_mistake_in_the_policy_is_named_with_what_would_be_right(
    tmp_path: Path, text: str, key: str, value: object, right: str
) -> None:
    path = a_file(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_policy(path)
    assert str(raised.value) == f"{key} = {value!r} ({path}) cannot be: it should be {right}"


def _in_order() -> Iterator[tuple[str, str, str]]:
    """Every two settings, one after the other, of which the first is at most the second; and their table."""
    for table, field in Policy.model_fields.items():
        for names in getattr(field.annotation, "in_order", ()):
            yield from ((table, lower, higher) for lower, higher in pairwise(names))


@pytest.mark.parametrize(("table", "lower", "higher"), [*_in_order()], ids=str)
def test_settings_that_make_no_sense_together_are_refused_with_both(table: str, lower: str, higher: str, tmp_path: Path) -> None:
    own = getattr(Policy(), table)
    file = tmp_path / "policy.toml"
    file.write_text(f"[{table}]\n{lower} = {getattr(own, higher)}\n{higher} = {getattr(own, lower)}\n")
    with pytest.raises(ConfigError, match=f"{table}.*{lower} is .*, and {higher} is "):
        load_policy(file)
    file.write_text(f"[{table}]\n{lower} = {getattr(own, higher)}\n")
    load_policy(file)  # as much is not more


def test_the_tiers_rise() -> None:
    assert ("tiers", "present", "personal") in _in_order()
    assert ("tiers", "private", "purchase") in _in_order()


def test_a_policy_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^policy = '.*' \(Expected '='.*\) cannot be: it should be a TOML file$"):
        load_policy(a_file(tmp_path, "not toml"))


def test_flags_override_variables_override_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = a_file(tmp_path, 'store = "file.db"\nbatch_records_max = 1\nresident_bytes_max = 1\n')
    monkeypatch.setenv("KITHKIN_STORE", "variable.db")
    monkeypatch.setenv("KITHKIN_BATCH_RECORDS_MAX", "2")
    wired = load_wiring(path, store="flag.db", batch_records_max=None)
    assert (wired.store, wired.batch_records_max, wired.resident_bytes_max) == ("flag.db", 2, 1)


def test_a_mistake_in_the_wiring_names_who_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = a_file(tmp_path, "batch_records_max = 0\n")
    with pytest.raises(ConfigError, match=r"settings\.toml\) cannot be: it should be greater than 0"):
        load_wiring(path)
    with pytest.raises(ConfigError, match=r"^batch_records_max = 0 \(--batch-records-max\)"):
        load_wiring(None, batch_records_max=0)
    monkeypatch.setenv("KITHKIN_BATCH_RECORDS_MAX", "many")
    with pytest.raises(ConfigError, match=r"^batch_records_max = 'many' \(KITHKIN_BATCH_RECORDS_MAX\)"):
        load_wiring(None)


def test_a_policy_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml' \(No such file or directory\)"):
        load_policy(tmp_path / "none.toml")


def test_a_mistyped_password_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"redis\.pasword = '…'.*redis\.password") as raised:
        load_wiring(a_file(tmp_path, '[redis]\npasword = "hunter2"\n'))
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "right"),
    [
        ("KITHKIN_BROKR", "KITHKIN_BROKER"), ("KITHKIN_BATCH_RECORD_MAX", "KITHKIN_BATCH_RECORDS_MAX"),
        ("KITHKIN_KAFKA_PASSWORD", "KITHKIN_KAFKA__PASSWORD"), ("KITHKIN_REDIS_TIMEOUT_S", "KITHKIN_REDIS__TIMEOUT_S"),
        ("kithkin_stor", "KITHKIN_STORE"), ("KITHKIN_GROUP_", "KITHKIN_GROUP"),
    ],
)  # fmt: skip
def test_a_misspelt_variable_is_named_with_the_nearest_and_its_value_is_not_shown(
    variable: str, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "hunter2")
    with pytest.raises(ConfigError) as raised:
        load_wiring(None)
    assert str(raised.value) == f"{variable} = '…' (the environment) cannot be: it should be {right}, the nearest known name"


@given(st.sampled_from(sorted({*Wiring.model_fields} - {"kafka", "redis", "slot"})), st.integers(0, 99), st.sampled_from("-+x"))
def test_one_slip_in_any_name_is_noticed(name: str, place: int, how: str) -> None:
    at = place % (len(name) - 1)
    before, here, after = name[:at], name[at : at + 2], name[at + 2 :]
    slip = before + {"-": here[1], "+": here[0] + here, "x": here[::-1]}[how] + after
    if slip != name:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(f"KITHKIN_{slip.upper()}", "x")
            with pytest.raises(ConfigError, match="the nearest known name"):
                load_wiring(None)


@pytest.mark.parametrize(
    "variable",
    [
        "KITHKIN_PORT", "KITHKIN_SERVICE_HOST", "KITHKIN_SERVICE_PORT_METRICS", "KITHKIN_PORT_8080_TCP_ADDR",
        "KITHKIN_REDIS_PORT", "KITHKIN_KAFKA_SERVICE_HOST", "KITHKIN_KAFKA_PORT_9092_TCP",
        "KITHKIN_SHARED", "KITHKIN_RESTARTS", "KITHKIN_HISTORIES",
        "STORE", "MY_KITHKIN_STOR",
    ],
)  # fmt: skip
def test_a_variable_of_somebody_else_is_none_of_ours(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "tcp://10.0.0.1:8080")
    assert load_wiring(None).model_dump() == Wiring().model_dump()


@pytest.mark.parametrize("listen", ["host", ":1", "host:65536", "host:", "host:x", "a/b:1", "a b:1", "host:-1", "host:000001"])
def test_nobody_listens_on_a_port_that_cannot_be(listen: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT with a port from 1 to 65535, or 0 for a free one"):
        load_wiring(None, listen=listen)
    for sound in ("127.0.0.1:0", "[::1]:9100", "host:65535"):
        assert load_wiring(None, listen=sound).listen == sound
    assert load_wiring(None, listen="8080").listen == "127.0.0.1:8080"


@pytest.mark.parametrize("error", [
    ConfigError("store", "redis://", "wiring.toml", "a URL"), NewTopics("it was made anew"), NewerState(9, 4),
    Moved("a.", "b.", 5),
    TooManyDeadLetters("many"), UnknownState("version 9"), RecoveryError("gone"), Incomparable("not the same"),
])  # fmt: skip
def test_an_error_says_the_same_in_another_process(error: Exception) -> None:
    told = pickle.loads(pickle.dumps(error))
    assert (type(told), str(told), vars(told)) == (type(error), str(error), vars(error))

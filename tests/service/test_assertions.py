"""Clients that sign in place of a secret: what holds, and that it holds once."""

from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from pydantic import ValidationError

from stream.runtime.service.settings import Client
from tests.service.site import KEYS, SECRETS, Site

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHM = {"lender": "Ed25519", "shop": "ES256"}
OTHER = OKPKey.generate_key("Ed25519")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def signed(site: Site, client: str = "lender", key: Any = None, algorithm: str = "", **claims: Any) -> str:
    """An assertion that holds, but for these claims; None: without that."""
    now_s = site.desk.now // 1_000
    told = {"iss": client, "sub": client, "aud": "urn:kithkin:api", "exp": now_s + 60, "jti": f"j-{site.said}", "iat": now_s}
    told = {name: value for name, value in (told | claims).items() if value is not None}
    algorithm = algorithm or ALGORITHM[client]
    return jwt.encode({"alg": algorithm}, told, key or KEYS[client], algorithms=[algorithm])


def shown(site: Site, assertion: str, **fields: str) -> Any:
    form = {"grant_type": "client_credentials", "client_assertion_type": TYPE, "client_assertion": assertion} | fields
    return site.http.post("/oauth/token", data=form)


@pytest.mark.parametrize("client", [*KEYS])
def test_a_client_gets_a_token_for_what_it_signed(site: Site, client: str) -> None:
    answer = shown(site, signed(site, client), scope="people decisions")
    assert (answer.status_code, answer.json()["scope"]) == (200, "decisions people")
    site.tokens[client] = answer.json()["access_token"]
    assert site.ask("mail.read", client, event_id="e-1").json()["outcome"] == "deny"
    assert shown(site, signed(site, client, jti="j-2", aud=["urn:kithkin:api/oauth/token"]), client_id=client).status_code == 200


def test_an_assertion_counts_once_for_its_client_in_every_process(site: Site) -> None:
    assertion = signed(site)
    assert [shown(site, assertion).status_code for _ in range(2)] == [200, 401]
    assert shown(site, signed(site, "shop")).status_code == 200, "another client's may have the same jti"
    site.served = type(site)(site.folder).served
    assert shown(site, assertion).status_code == 401
    site.wait(10 * 60_000)
    assert shown(site, assertion).status_code == 401, "what was forgotten has ended"


@pytest.mark.parametrize(
    "claims",
    [{"aud": "https://other.example"}, {"aud": ["urn:kithkin:api", "https://other.example"]}, {"aud": None}, {"aud": []},
     {"iss": "shop"}, {"sub": "shop"}, {"sub": "pharmacy", "iss": "pharmacy"}, {"sub": "nobody", "iss": "nobody"},
     {"exp": None}, {"exp": "soon"}, {"exp": 1}, {"exp": 4_102_444_800}, {"exp": True}, {"exp": float("inf")},
     {"jti": None}, {"jti": ""}, {"jti": "x" * 129}, {"jti": 7}, {"iat": 4_102_444_800}, {"nbf": 4_102_444_800}],
    ids=str,
)  # fmt: skip
def test_what_is_for_others_or_of_another_time_does_not_hold(site: Site, claims: dict[str, Any]) -> None:
    assert shown(site, signed(site, **claims)).status_code == 401


def test_what_the_client_did_not_sign_does_not_hold(site: Site) -> None:
    public = KEYS["lender"].as_dict(private=False)["x"].encode()
    forged = [
        signed(site, key=OTHER), signed(site, "shop", OTHER, "Ed25519"), signed(site, "lender", KEYS["shop"], "ES256"),
        signed(site, key=OctKey.import_key(public), algorithm="HS256"), signed(site)[:-8] + "AAAAAAAA", "a.b.c",
        "..", urlsafe_b64encode(b'{"alg":"none"}').decode() + "." + signed(site).split(".")[1] + ".",
        f"e30.{urlsafe_b64encode(b'[' * 2_900).decode()}.x",
    ]  # fmt: skip
    assert {shown(site, one).status_code for one in forged} == {401}
    assert shown(site, signed(site), client_id="shop").status_code == 401
    assert site.token("lender", "x").status_code == 401, "it has no secret"


@pytest.mark.parametrize(
    "fields", [{"client_secret": "x"}, {"client_assertion_type": "urn:other"}, {"client_assertion": "x" * 4_097}]
)
def test_what_is_shown_is_one_thing(site: Site, fields: dict[str, str]) -> None:
    answer = shown(site, signed(site), **fields)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert site.http.post("/oauth/token", data={"grant_type": "client_credentials", "client_id": "lender"}).status_code == 422


def test_tokens_have_a_limit_of_their_own(site: Site) -> None:
    codes = [site.http.post("/oauth/token", data={
        "grant_type": "client_credentials", "client_id": "pharmacy", "client_secret": "wrong",
    }).status_code for _ in range(70)]  # fmt: skip
    assert (codes[0], codes[-1]) == (401, 429)
    refused = shown(site, signed(site))
    assert (refused.status_code, int(refused.headers["retry-after"]) >= 1) == (429, True)
    assert site.ask("mail.read", event_id="e-1").status_code == 200, "who has a token needs no other"
    site.wait(60_000)
    assert shown(site, signed(site, jti="j-9")).status_code == 200
    assert isinstance(site.token("pharmacy", SECRETS["pharmacy"]), str)


@pytest.mark.parametrize(
    "settings",
    [{}, {"keys": ({"kty": "oct", "k": "AAAA"},)}, {"keys": (OTHER.as_dict(private=True),)},
     {"keys": ({"kty": "OKP", "crv": "X25519", "x": "A" * 43},)}, {"keys": ({"kty": "OKP", "crv": "Ed25519", "x": "A"},)}],
)  # fmt: skip
def test_a_client_has_a_secret_or_a_public_key(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Client.model_validate(settings)

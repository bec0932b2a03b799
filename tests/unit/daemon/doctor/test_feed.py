"""Prices: tokens in files and variables, a local server that speaks as Finnhub does, rows of a replay."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest

from daemon.doctor import feed
from daemon.doctor.findings import Finding
from daemon.feeds.secret import Secret
from tests.service.finnhub_server import FinnhubServer, Reply, serving
from tests.unit.daemon.doctor.conftest import Case

KEY = "loopback-key"


def token(environ: Mapping[str, str]) -> tuple[bool, Finding]:
    secret, (found,) = feed.token(environ)
    assert KEY not in found.text
    if secret is not None:
        assert secret.reveal() == KEY
    return secret is not None, found


def test_token_of_the_environment_is_there() -> None:
    assert token({"FINNHUB_API_KEY": KEY}) == (True, Finding("token", "ok", "is in FINNHUB_API_KEY"))
    _, found = token({"FINNHUB_API_KEY": KEY, "FINNHUB_API_KEY_FILE": "/x"})
    assert found.text == "is in FINNHUB_API_KEY; FINNHUB_API_KEY_FILE is not looked at"


@pytest.mark.parametrize(
    ("mode", "state"), [(0o400, "ok"), (0o600, "ok"), (0o640, "ok"), (0o644, "warning"), (0o602, "warning")]
)
def test_file_of_the_token_is_nobody_elses(tmp_path: Path, mode: int, state: str) -> None:
    path = tmp_path / "finnhub"
    path.write_text(KEY + "\n")
    path.chmod(mode)
    there, found = token({"FINNHUB_API_KEY_FILE": str(path)})
    assert (there, found.state) == (True, state)
    assert f"mode {mode:03o}" in found.text
    assert ("run `chmod 600 " in found.text) == (state == "warning")


def test_token_that_is_missing_or_none_is_told(tmp_path: Path) -> None:
    for environ, text in (
        ({}, "there is none; a free one will do: put it into FINNHUB_API_KEY, or into a file"),
        ({"FINNHUB_API_KEY": "  "}, "there is none"),
        ({"FINNHUB_API_KEY": f"{KEY} {KEY}"}, "FINNHUB_API_KEY: this is no key; it is one word"),
        ({"FINNHUB_API_KEY_FILE": str(tmp_path / "no")}, f"{tmp_path}/no: the file of FINNHUB_API_KEY_FILE cannot be read"),
    ):  # fmt: skip
        there, found = token(environ)
        assert (there, found.state) == (False, "failed")
        assert found.text.startswith(text)


def reached(
    server: FinnhubServer | None, key: str | None = KEY, runs: bool = False, url: str = ""
) -> Finding:
    async def whole() -> Finding:
        async with serving() as running:
            running.handshakes = server.handshakes if server else []
            secret = Secret(key) if key else None
            (found,) = await feed.finnhub(url or running.url, secret, runs)
            told.append(running.connections)
            return found

    told: list[int] = []
    found = asyncio.run(whole())
    assert key is None or key not in found.text
    spoken.append(told[0])
    return found


spoken: list[int] = []  # connections that the server had, one entry a call


def test_server_that_takes_the_token_is_well() -> None:
    found = reached(None)
    assert found.state == "ok"
    assert " takes the token; name and connection are well, " in found.text
    assert spoken[-1] == 1


def test_token_that_is_not_accepted_is_told() -> None:
    found = reached(None, key="another-key")
    assert found.state == "failed"
    assert "the token is not accepted (HTTP 401); look at it" in found.text


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply("", 403), "the token is not accepted (HTTP 403)"),
        (Reply("", 429), "it is asked too often (HTTP 429); wait a minute"),
        (Reply("", 404), "the handshake fails (HTTP 404); is it the address of Finnhub's websocket?"),
    ],
)
def test_server_that_refuses_is_told_why(reply: Reply, text: str) -> None:
    server = FinnhubServer()
    server.handshakes = [reply]
    found = reached(server)
    assert found.state == "failed"
    assert text in found.text


def test_session_that_runs_keeps_its_connection() -> None:
    # a second one with the same token would end both
    found = reached(None, runs=True)
    assert found.state == "ok"
    assert "not spoken to, for a session runs, and a token has one connection" in found.text
    assert spoken[-1] == 0


def test_without_a_token_the_way_is_looked_at() -> None:
    found = reached(None, key=None)
    assert (found.state, spoken[-1]) == ("warning", 0)
    assert "without a token it cannot be spoken to" in found.text


def test_server_that_is_not_there_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = reached(None, url=f"ws://127.0.0.1:{free.getsockname()[1]}")  # bound, and nobody listens
    assert found.state == "failed"
    assert "a connection to 127.0.0.1:" in found.text
    assert "--offline leaves this out" in found.text


def test_name_that_is_not_known_is_told() -> None:
    found = reached(None, url="wss://nowhere.invalid")  # RFC 6761: never resolves
    assert found.state == "failed"
    assert "the name nowhere.invalid is not known (" in found.text


def test_server_that_does_not_speak_tls_is_told() -> None:
    async def whole() -> list[Finding]:
        async with serving() as server:
            return await feed.finnhub(server.url.replace("ws:", "wss:"), Secret(KEY), False)

    (found,) = asyncio.run(whole())
    assert found.state == "failed"
    assert "TLS with 127.0.0.1:" in found.text


def test_certificate_that_is_not_trusted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **given: object) -> tuple[None, object]:
        if given["ssl"]:
            error = ssl.SSLCertVerificationError(1, "certificate verify failed")
            error.verify_message = "certificate has expired"
            raise error
        return None, type("Writer", (), {"close": lambda _: None})()

    monkeypatch.setattr("daemon.doctor.feed.asyncio.open_connection", refused)
    (found,) = asyncio.run(feed.finnhub("wss://127.0.0.1:9", Secret(KEY), False))
    assert found.state == "failed"
    assert (
        "the certificate of 127.0.0.1 is not trusted (certificate has expired); is the clock right"
        in found.text
    )


def test_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_PATIENCE_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        (found,) = asyncio.run(feed.finnhub(f"wss://127.0.0.1:{silent.getsockname()[1]}", Secret(KEY), False))
    assert found.state == "failed"
    assert "has no answer within 0.2 s; does a firewall drop it?" in found.text


def test_replay_begins_with_the_first_row_from_start_on(case: Case) -> None:
    # 2012-06-02 was a Saturday
    (found,) = feed.replay(case.of("start=2012-06-02"))
    assert (found.state, found.text) == ("ok", "the replay begins on 2012-06-04, with IBM, AAPL")


def test_replay_without_rows_is_told(case: Case) -> None:
    (found,) = feed.replay(case.of("start=2020-01-01"))
    assert found.state == "failed"
    assert "no row lies in the time asked for" in found.text


def test_replay_of_a_file_that_cannot_be_right_is_told(case: Case) -> None:
    path = case.file.parent / "x.csv"
    path.write_text("date,open,high,low,close,volume\n2012-06-04,1,2,3,4,5\n")
    config = case.of(
        f"data=[{{source: csv, path: {path}, instrument: IBM, bar: 1d}}]", "instruments={IBM: {}}"
    )
    (found,) = feed.replay(config)
    assert found.state == "failed"
    assert "x.csv:2" in found.text


def test_instrument_that_comes_late_is_told(case: Case) -> None:
    # Google's shares are traded since 2004-08-19
    (found,) = feed.replay(case.of("data=[{source: sample, instrument: IBM}, {source: sample, instrument: GOOG}]", "start=2003-01-02"))  # fmt: skip
    assert found.state == "warning"
    assert "the replay begins on 2003-01-02, GOOG on 2004-08-19" in found.text


def test_secret_of_a_target_that_is_missing_is_told(case: Case) -> None:
    config = case.of(
        "notify=[{target: telegram, chat: '5'}, {target: webhook, url: 'https://example.org/a'}]"
    )
    (found,) = feed.secrets(config, {})
    assert (found.check, found.state) == ("notify", "failed")
    assert found.text.startswith("telegram: TELEGRAM_TOKEN is not set")
    (found,) = feed.secrets(config, {"TELEGRAM_TOKEN": "t0ken"})
    assert (found.state, found.text) == ("ok", "what telegram, webhook need is there")
    assert list(feed.secrets(case.of(), {})) == []

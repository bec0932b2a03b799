"""What waits for a message, and the text that is made of it."""

from daemon.config.notify import Event
from daemon.notify.digest import Digest, Message
from daemon.notify.telling import MOST_LINES, Line, Told
from engine.records import SECOND

NOON = 1_767_268_800 * SECOND  # 2026-01-01 12:00:00 UTC


def told(event: Event, *seconds: int, count: int | None = None, text: str = "") -> Told:
    lines = [Line(event, NOON + s * SECOND, text or f"{event} of {s}", "a") for s in seconds]
    return Told(event, "a", len(lines) if count is None else count, lines.__getitem__)


def message(*parts: Told) -> Message:
    digest = Digest()
    for part in parts:
        digest.add(part)
    return digest.take("demo", NOON)


def test_lines_of_all_kinds_come_in_the_order_of_time() -> None:
    assert message(told("fills", 1, 4), told("denials", 2), told("fills", 5), told("halts", 3)).text(
        1000
    ) == (
        "demo: 1 change of trading state, 1 denial, 3 fills\n"
        "2026-01-01 12:00:01 UTC  fills of 1\n"
        "2026-01-01 12:00:02 UTC  denials of 2\n"
        "2026-01-01 12:00:03 UTC  halts of 3\n"
        "2026-01-01 12:00:04 UTC  fills of 4\n"
        "2026-01-01 12:00:05 UTC  fills of 5"
    )


def test_lines_of_two_accounts_in_one_batch_come_in_the_order_of_time() -> None:
    # a batch tells of one account after the other
    made = message(told("fills", 5, 9), told("fills", 3, 7))
    assert [line.text for line in made.lines] == ["fills of 3", "fills of 5", "fills of 7", "fills of 9"]


def test_what_has_no_line_is_counted() -> None:
    flood = [told("denials", *range(20), count=60_000), told("denials", *range(20, 40), count=10_000)]
    made = message(told("halts", 50), *flood, told("fills", 60))
    assert len(made.lines) == MOST_LINES + 2
    assert made.total == 70_002
    text = made.text(10_000).split("\n")
    assert text[0] == "demo: 1 change of trading state, 70,000 denials, 1 fill"
    assert text[-1] == "and 69,980 denials more"
    assert text[-2].endswith("fills of 60")


def test_digest_is_empty_after_it_was_taken() -> None:
    digest = Digest()
    digest.add(told("fills", 1))
    assert digest.total == 1
    first = digest.take("demo", NOON)
    assert (digest.total, digest.take("demo", NOON).lines) == (0, ())
    digest.add(told("fills", 2))
    second = digest.take("demo", NOON)
    assert [line.text for line in second.lines] == ["fills of 2"]
    assert first.id != second.id


def test_short_text_keeps_what_matters_most_and_counts_the_rest() -> None:
    made = message(
        told("fills", *range(20), text="f" * 50),
        told("halts", 30, text="halted"),
        told("gaps", 31, text="gone"),
    )
    text = made.text(500)
    assert len(text) <= 500
    assert "halted" in text
    assert "gone" in text
    # 23 of the time, 2 blanks and 50: 75 and a line's end, of which as many as fit into what is left of 500 - 200
    shown = text.count("f" * 50)
    assert 1 <= shown < 20
    assert text.endswith(f"and {20 - shown} fills more")


def test_length_and_form_are_those_of_the_service() -> None:
    made = message(told("fills", *range(20), text="<" * 60))
    text = made.text(900, lambda line: line.replace("<", "&lt;"), lambda t: 2 * len(t))
    assert 2 * len(text) <= 900
    assert "&lt;&lt;" in text
    assert "<" not in text

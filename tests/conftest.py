"""What holds for all tests: Hypothesis' profiles, and that nothing is skipped in CI."""

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

from daemon import compiled

pytest.register_assert_rewrite("tests.builders")

compiled.prepare()  # the engine is compiled once for all runs, not in each

CI = bool(os.environ.get("CI"))

# No deadline: the first example of a compiled function compiles it.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if CI else "dev")


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI everything can run, so what does not is a failure, with the reason for which it was skipped."""
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\nNo test may be skipped in CI."


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_if_skipped(report)
    return report

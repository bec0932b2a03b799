"""What systemd is told, byte for byte, and what happens where nobody listens."""

import time

import pytest
from structlog.testing import capture_logs

from daemon.service.notify import ServiceManager
from tests.unit.daemon.service.managers import Manager


@pytest.mark.parametrize("abstract", [False, True])
def test_each_message_is_as_sd_notify_has_it(tmp_path, abstract):
    with Manager(tmp_path, abstract) as manager, ServiceManager(manager.address) as service:
        service.extend(90.5, "warming up")
        service.ready("trading 50 instruments")
        service.status("seq 7")
        before = time.monotonic_ns() // 1000
        service.reloading()
        after = time.monotonic_ns() // 1000
        service.watchdog()
        service.stopping("SIGTERM")
        told = manager.messages()
    at = int(told[3].pop("MONOTONIC_USEC"))
    assert before <= at <= after
    assert told == [
        {"EXTEND_TIMEOUT_USEC": "90500000", "STATUS": "warming up"},
        {"READY": "1", "STATUS": "trading 50 instruments"},
        {"STATUS": "seq 7"},
        {"RELOADING": "1"},
        {"WATCHDOG": "1"},
        {"STOPPING": "1", "STATUS": "SIGTERM"},
    ]


def test_status_of_several_lines_is_one_fact(tmp_path):
    with Manager(tmp_path) as manager, ServiceManager(manager.address) as service:
        service.status("it failed:\nREADY=1")
        assert manager.messages() == [{"STATUS": "it failed: READY=1"}]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_a_manager_nothing_is_sent_or_logged(environment):
    with capture_logs() as logged, ServiceManager.from_environment(environment) as service:
        service.ready("x")
        service.watchdog()
    assert logged == []


def test_manager_that_is_gone_is_told_of_once(tmp_path):
    with capture_logs() as logged, ServiceManager(str(tmp_path / "nobody")) as service:
        for _ in range(3):
            service.watchdog()
    assert [(line["log_level"], line["why"]) for line in logged] == [("warning", "No such file or directory")]


def test_address_of_another_kind_is_told_and_not_used():
    with capture_logs() as logged, ServiceManager("vsock:2:1234") as service:
        service.ready("x")
    assert [line["address"] for line in logged] == ["vsock:2:1234"]


def test_manager_that_never_reads_holds_up_no_status(tmp_path):
    with Manager(tmp_path) as manager, ServiceManager(manager.address) as service, capture_logs() as logged:
        begin = time.monotonic()
        for _ in range(10_000):  # far more than the kernel queues
            service.status("seq 7")
        assert time.monotonic() - begin < 5.0
        assert len(logged) == 1
        manager.messages()
        service.watchdog()
        assert manager.messages() == [{"WATCHDOG": "1"}]

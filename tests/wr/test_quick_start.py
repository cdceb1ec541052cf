"""The first steps of wr's own guide with curl and the home's ca.pem, and what they answer."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.harness import LIMIT, RunningServer
from tests.wr.talk import Wr

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

FIRST = (
    '{"Key":"58cef10e7a340c3b7fa09ea304a3cb98","RepGroup":"myid","DepGroups":null,'
    '"Dependencies":null,"Cmd":"sleep 5 && echo mymsg && false"'
)
SECOND = (
    '{"Key":"ea4266bc0fc7dd493caeb2fff1963e4a","RepGroup":"myid","DepGroups":null,'
    '"Dependencies":null,"Cmd":"sleep 5"'
)
UNSET = (
    '"CwdBase":"/tmp","HomeChanged":false,"Behaviours":"","Mounts":"","MonitorDocker":"",'
    '"ExpectedRAM":{ram},"ExpectedTime":5,"RequestedDisk":0,"OtherRequests":null,"Cores":1,'
)
NEW = (
    '"PeakRAM":0,"Exited":false,"Exitcode":0,"FailReason":"","Pid":0,"Host":"","HostID":"",'
    '"HostIP":"","Walltime":0,"CPUtime":0,"Started":-62135596800,"Ended":-62135596800,'
    '"StdErr":"","StdOut":"","Env":null,"Attempts":0,"Similar":0}'
)
ENDED = (
    '"PeakRAM":#,"Exited":true,"Exitcode":{code},"FailReason":"{reason}","Pid":#,"Host":"@",'
    '"HostID":"","HostIP":"@","Walltime":5.#,"CPUtime":~,"Started":#,"Ended":#,"StdErr":"",'
    '"StdOut":"{out}","Env":null,"Attempts":1,"Similar":0}'
)
NOT_RUN = '"Cwd":"",'
BURIED_IN = '"Cwd":"/wr_cwd/5/8/c/ef10e7a340c3b7fa09ea304a3cb98#/cwd",'
RAN_IN = '"Cwd":"/wr_cwd/e/a/4/266bc0fc7dd493caeb2fff1963e4a#/cwd",'


def _matches(text: str, *jobs: str) -> bool:
    """Whether text is these jobs, byte for byte but for # numbers, ~ decimals and @ names."""
    pattern = re.escape("[" + ",".join(jobs) + "]\n")
    for mark, meaning in ((r"\#", "[0-9]+"), (r"\~", r"[0-9.]+(e-[0-9]+)?"), ("@", '[^"]*')):
        pattern = pattern.replace(mark, meaning)
    return re.fullmatch(pattern, text) is not None


def _curl(server: RunningServer, *words: str, token: str | None = None) -> str:
    bearer = f"Authorization: Bearer {token or server.token}"
    done = subprocess.run(
        ["curl", "-sS", "--cacert", str(server.home / "ca.pem"), "-H", bearer, *words],
        env={**os.environ, "https_proxy": ""},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    return done.stdout


def _first(state: str, place: str, rest: str) -> str:
    return f'{FIRST},"State":"{state}",{place}{UNSET.format(ram=5)}{rest}'


def _second(state: str, place: str, rest: str) -> str:
    return f'{SECOND},"State":"{state}",{place}{UNSET.format(ram=3072)}{rest}'


def test_the_quick_start(server: RunningServer) -> None:
    jobs = f"{server.url_https.replace('127.0.0.1', 'localhost')}/rest/v1/jobs/"
    body = '[{"cmd":"sleep 5 && echo mymsg && false","memory":"5M","cpus":1},{"cmd":"sleep 5","cpus":1}]'  # noqa: E501
    added = _curl(
        server, "-H", "Content-Type: application/json", "-X", "POST", "-d", body,
        f"{jobs}?rep_grp=myid&cpus=2&memory=3G&time=5s",
    )  # fmt: skip
    assert _matches(added, _first("ready", NOT_RUN, NEW), _second("ready", NOT_RUN, NEW)), added

    deadline = time.monotonic() + LIMIT
    while '"State":"buried"' not in (left := _curl(server, jobs)) or '"running"' in left:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    reason = "command exited non-zero"
    buried = ENDED.replace("{code}", "1").replace("{reason}", reason)
    complete = ENDED.replace("{code}", "0").replace("{reason}", "").replace("{out}", "")
    assert _matches(left, _first("buried", BURIED_IN, buried.replace("{out}", ""))), left

    second = _second("complete", RAN_IN, complete)
    of_group = _curl(server, f"{jobs}myid?std=true")
    first = _first("buried", BURIED_IN, buried.replace("{out}", "mymsg"))
    assert _matches(of_group, first, second), of_group

    keys = "58cef10e7a340c3b7fa09ea304a3cb98,ea4266bc0fc7dd493caeb2fff1963e4a"
    by_key = _curl(server, f"{jobs}{keys}")
    first = _first("buried", BURIED_IN, buried.replace("{out}", ""))
    assert _matches(by_key, first, second), by_key
    for job in json.loads(by_key):
        shutil.rmtree(f"/tmp{job['Cwd'].removesuffix('/cwd')}")


def test_a_cloud_script(server: RunningServer, folder: Path) -> None:
    script = folder / "my_cloud_script"
    script.write_text("#!/bin/sh\ntouch /tmp/file_created_by_my_cloud_script\n")
    target = folder / "there" / "script"
    reply = _curl(
        server, f"{server.url_https}/rest/v1/upload/?path={target}", "--upload-file", str(script)
    )
    assert reply == f'{{"path":"{target}"}}\n'
    added = _curl(
        server, f"{server.url_https}/rest/v1/jobs/", "-X", "POST", "-H",
        "Content-Type: application/json", "-d",
        f'[{{"cmd":"true cloud","cloud_script":"{target}"}}]',
    )  # fmt: skip
    content = script.read_text().replace("\n", "\\n")
    assert f'"OtherRequests":["cloud_script:{content}"]' in added


def test_plain_http_says_nothing(server: RunningServer) -> None:
    for url in (server.url_http, server.url_https.replace("https:", "http:")):
        done = subprocess.run(
            ["curl", "-sS", f"{url}/rest/version/"], capture_output=True, timeout=LIMIT, check=False
        )
        assert done.returncode != 0
        assert done.stdout == b""


def test_the_files_of_the_home(server: RunningServer) -> None:
    assert len(server.token) == 43
    assert (server.home / "client.token").stat().st_mode & 0o777 == 0o600
    talk = Wr(server)
    assert talk.jobs() == []
    talk.close()

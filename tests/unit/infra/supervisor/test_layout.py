import json
from pathlib import Path

import pytest

from infra.storage.url import parse_s3_url
from infra.supervisor.folder import DataFolder
from infra.supervisor.layout import Layout, plan_layout
from infra.supervisor.options import StackOptions, can_transcribe
from infra.supervisor.order import stages
from infra.supervisor.ports import PortPlan
from infra.supervisor.roles import Role

ALL = {
    *("valkey-broker", "valkey-bus", "s3", "control"),
    *("media", "uploader", "dispatcher", "worker"),
}


def layout(folder: Path, **options: object) -> Layout:
    data = DataFolder(folder)
    data.create()
    stack = StackOptions(data_dir=folder, **options)  # type: ignore[arg-type]
    return plan_layout(stack, PortPlan(9000), data, "/usr/bin/python3")


def role(found: Layout, name: str) -> Role:
    return next(role for role in found.roles if role.name == name)


def test_every_role_is_there_and_their_needs_make_no_circle(tmp_path: Path) -> None:
    found = layout(tmp_path)
    assert {role.name for role in found.roles} == ALL
    waves = stages({role.name: role.needs for role in found.roles})
    assert waves[0] == ["s3", "valkey-broker", "valkey-bus"]
    assert {"dispatcher", "worker"} <= set(waves[-1])


def test_a_role_gets_only_the_settings_it_has(tmp_path: Path) -> None:
    found = layout(tmp_path)
    media = role(found, "media").environment
    assert media["LIVEPATH_SRT_PORT"] == "9002"
    assert "LIVEPATH_DATABASE_URL" not in media
    assert "LIVEPATH_WEBHOOK_TOKEN" not in media
    assert role(found, "dispatcher").environment["LIVEPATH_WEBHOOK_TOKEN"]


def test_clients_get_the_advertised_name_and_nothing_else(tmp_path: Path) -> None:
    found = layout(tmp_path, host="0.0.0.0", advertise="live.example.org")
    endpoints = found.endpoints({})
    assert endpoints.control_url == "http://live.example.org:9000"
    assert endpoints.media_url == "http://live.example.org:9001"
    assert endpoints.srt_url == "srt://live.example.org:9002"
    assert endpoints.player_url_template == "http://live.example.org:9000/watch/{event}"
    assert "0.0.0.0" not in endpoints.model_dump_json()


def test_inner_servers_stay_on_loopback_when_the_stack_is_public(tmp_path: Path) -> None:
    found = layout(tmp_path, host="0.0.0.0", advertise="live.example.org")
    location = parse_s3_url(found.settings["LIVEPATH_S3_URL"])
    assert location.public_endpoint == "http://live.example.org:9008"
    assert found.relay is not None
    host, port, target_host, target_port = found.relay
    assert (host, port, target_host) == ("0.0.0.0", 9008, "127.0.0.1")
    assert location.endpoint == f"http://127.0.0.1:{target_port}"
    for name in ("uploader", "dispatcher", "worker"):
        assert role(found, name).environment[f"LIVEPATH_{name.upper()}_HOST"] == "127.0.0.1"


def test_no_two_servers_share_a_port(tmp_path: Path) -> None:
    found = layout(tmp_path, host="0.0.0.0", advertise="h")
    weed = [word for word in role(found, "s3").argv if ".port" in word]
    ports = [int(word.rpartition("=")[2]) for word in weed]
    assert found.relay is not None
    ports = [port for port in ports if port] + [found.relay[1]]
    assert len(ports) == len(set(ports))
    assert all(9008 <= port < 9032 for port in ports)
    assert 9009 not in ports  # WebRTC's


def test_a_loopback_stack_needs_no_relay(tmp_path: Path) -> None:
    found = layout(tmp_path)
    assert found.relay is None
    assert parse_s3_url(found.settings["LIVEPATH_S3_URL"]).endpoint == "http://127.0.0.1:9008"


@pytest.mark.parametrize(
    ("option", "url", "missing", "variable"),
    [
        ("bus_url", "redis://h/1", "valkey-bus", "LIVEPATH_BUS_URL"),
        ("broker_url", "redis://h/2", "valkey-broker", "LIVEPATH_BROKER_URL"),
        ("s3_url", "s3://bucket", "s3", "LIVEPATH_S3_URL"),
        ("database_url", "postgresql://h/db", None, "LIVEPATH_DATABASE_URL"),
    ],
)
def test_an_external_server_replaces_the_embedded_one(
    tmp_path: Path, option: str, url: str, missing: str | None, variable: str
) -> None:
    found = layout(tmp_path, **{option: url})
    assert {role.name for role in found.roles} == ALL - {missing}
    assert found.settings[variable] == url
    assert missing not in {need for role in found.roles for need in role.needs}


def test_control_waits_in_its_readiness_for_all_others(tmp_path: Path) -> None:
    found = layout(tmp_path)
    urls = json.loads(role(found, "control").environment["LIVEPATH_READY_URLS"])
    assert set(urls) == {"media", "uploader", "dispatcher", "worker", "s3"}
    assert urls["worker"] == "http://127.0.0.1:9005/readyz"


def test_captions_have_a_worker_of_their_own(tmp_path: Path) -> None:
    found = layout(tmp_path, captions=True)
    assert {role.name for role in found.roles} == {*ALL, "transcriber"}
    transcriber, worker = role(found, "transcriber"), role(found, "worker")
    assert transcriber.argv == worker.argv
    assert transcriber.environment["LIVEPATH_WORKER_QUEUES"] == "gpu"
    assert transcriber.environment["LIVEPATH_BUS_URL"] == "redis://127.0.0.1:9007/0"
    assert transcriber.url == "http://127.0.0.1:9030"
    assert transcriber.environment["LIVEPATH_WORKER_PORT"] == "9030"
    assert worker.environment["LIVEPATH_WORKER_PORT"] == "9005"
    assert worker.environment.get("LIVEPATH_WORKER_QUEUES") != "gpu"
    assert role(found, "dispatcher").environment["LIVEPATH_CAPTIONS"] == "true"
    assert role(layout(tmp_path), "dispatcher").environment["LIVEPATH_CAPTIONS"] == "false"


def test_whether_there_are_captions_can_be_said() -> None:
    assert can_transcribe({"LIVEPATH_CAPTIONS": "on"})
    assert not can_transcribe({"LIVEPATH_CAPTIONS": "off"})


def test_further_variables_reach_every_role(tmp_path: Path) -> None:
    found = layout(tmp_path, environment={"LIVEPATH_SPOOL_MAX_BYTES": "1"})
    assert role(found, "media").environment["LIVEPATH_SPOOL_MAX_BYTES"] == "1"


def test_secrets_do_not_show_in_a_representation(tmp_path: Path) -> None:
    found = layout(tmp_path)
    assert found.secrets.s3_secret_key not in repr(found)


def test_only_some_roles_can_be_asked_for(tmp_path: Path) -> None:
    found = layout(tmp_path, only=frozenset({"valkey-bus"}))
    assert [role.name for role in found.roles] == ["valkey-bus"]


def test_webrtc_listens_where_viewers_are_and_advertises_what_they_reach(tmp_path: Path) -> None:
    local = role(layout(tmp_path), "media").environment
    assert local["LIVEPATH_WEBRTC_HOSTS"] == "127.0.0.1"
    assert local["LIVEPATH_WEBRTC_PORT"] == "9009"
    assert local["LIVEPATH_WEBRTC_ADVERTISE"] == ""
    public = role(layout(tmp_path, host="0.0.0.0", advertise="live.example.org"), "media")
    assert public.environment["LIVEPATH_WEBRTC_HOSTS"] == "0.0.0.0"
    assert public.environment["LIVEPATH_WEBRTC_ADVERTISE"] == "live.example.org"


def test_candidates_may_differ_from_the_name_in_urls(tmp_path: Path) -> None:
    found = layout(
        tmp_path, host="0.0.0.0", advertise="live.example.org", webrtc_advertise="203.0.113.7"
    )
    assert role(found, "media").environment["LIVEPATH_WEBRTC_ADVERTISE"] == "203.0.113.7"
    assert found.endpoints({}).media_url == "http://live.example.org:9001"

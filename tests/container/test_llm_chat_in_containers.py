"""examples/llm-chat beside the stack, as its README starts it."""

import json
import runpy
import secrets

import httpx
import pytest

from compose import ROOT, Stack
from support.clients.event_parser import EventParser
from support.clients.publisher import KEY
from support.servers.docker_cli import docker
from support.servers.service import free_port

EXAMPLE = ROOT / "examples/llm-chat"

PROMPT = "Why is it still there?"
TOKENS = 60


def test_an_answer_comes_whole_from_the_example_in_its_container(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, image = free_port(), f"barestream-test-chat-{secrets.token_hex(4)}"
    monkeypatch.setenv("LLM_CHAT_PORT", str(port))
    monkeypatch.setenv("LLM_CHAT_IMAGE", image)
    whole = "".join(runpy.run_path(str(EXAMPLE / "model.py"))["words"](PROMPT, TOKENS))
    try:
        with (
            Stack(EXAMPLE / "docker-compose.yml", token_key=KEY),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as user,
        ):
            user.get("/").raise_for_status()
            started = user.post(
                "/chats/one", params={"tokens": TOKENS}, json={"prompt": PROMPT}
            ).raise_for_status()
            with user.stream("GET", "/chats/one/stream") as answer:
                [prompt, *words, end] = EventParser().feed(answer.read())
            assert (prompt.type, prompt.data) == ("prompt", PROMPT)
            assert "".join(event.data for event in words) == whole
            assert json.loads(end.data) == {"status": "done"}
            found = user.get("/chats/one").json()
            assert found == {"id": started.json()["id"], "status": "done"}
    finally:
        docker("image", "rm", "--force", image)

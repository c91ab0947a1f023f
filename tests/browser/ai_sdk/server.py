"""A backend for the AI SDK's useChat: it keeps the messages in memory, and has barestream run the
answers.
"""

import os
from collections import defaultdict
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from barestream.runs import Run, Runs
from model import answer
from support.clients.publisher import token

TOKENS_PER_SECOND = float(os.environ["TOKENS_PER_SECOND"])

app = FastAPI()
runs = Runs(hub=os.environ["HUB"], publisher_token=token, subscriber_token=token)
chats: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)


class Sent(BaseModel):
    """The part of what useChat sends that this backend needs."""

    id: str
    messages: list[dict[str, Any]]
    tokens: int


async def chunks(chat: str, number: int, prompt: str, tokens: int) -> AsyncIterator[dict[str, Any]]:
    """Yield the chunks of an answer; store what there is of it when it ends."""
    message_id, text = f"answer-{number}", ""
    try:
        yield {"type": "start", "messageId": message_id}
        yield {"type": "start-step"}
        yield {"type": "text-start", "id": "text"}
        async for word in answer(prompt, tokens, TOKENS_PER_SECOND):
            text += word
            yield {"type": "text-delta", "id": "text", "delta": word}
        yield {"type": "text-end", "id": "text"}
        yield {"type": "finish-step"}
        yield {"type": "finish"}
    finally:
        parts = [{"type": "text", "text": text, "state": "done"}]
        chats[chat].append({"id": message_id, "role": "assistant", "parts": parts})


async def followed(request: Request, run: Run | str) -> Response:
    """Return the response that follows a run, or the one of a key that is under way."""
    sent = await runs.follow(request, run, format="ai-sdk")
    return StreamingResponse(sent.body, sent.status, sent.headers)


@app.post("/api/chat")
async def send(request: Request, sent: Sent) -> Response:
    """Start the answer to the newest message, and follow it."""
    chats[sent.id] = sent.messages
    [*_, message] = sent.messages
    prompt = "".join(part.get("text", "") for part in message["parts"])
    answering = partial(chunks, sent.id, len(sent.messages), prompt, sent.tokens)
    run = await runs.start(sent.id, answering)
    return await followed(request, run)


@app.get("/api/chat/{chat}/stream")
async def resume(request: Request, chat: str) -> Response:
    """Follow the answer that is under way, if there is one."""
    return await followed(request, chat)


@app.get("/api/chat/{chat}")
async def stored(chat: str) -> list[dict[str, Any]]:
    """Return the messages of a chat."""
    return chats[chat]


@app.delete("/api/chat/{chat}", status_code=202)
async def stop(chat: str) -> None:
    """Stop the answer that is under way."""
    await runs.stop(chat)


app.mount("/", StaticFiles(directory=os.environ["PAGE"], html=True))

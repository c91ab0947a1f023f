"""A chat whose answers survive a reload, are seen in two tabs, and can be stopped from either.

Each chat has one run at a time: the prompt, and the words of the answer. barestream keeps it.
"""

import logging
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import jwt
from fastapi import Cookie, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from barestream.runs import Event, HubAwayError, Runs
from barestream.web.client_scripts import client_folder
from model import answer

PAGE = Path(__file__).with_name("page")
HUB = os.environ.get("HUB", "http://127.0.0.1/.well-known/mercure")
KEY = os.environ["BARESTREAM_TOKEN_KEY"]
TOKENS = int(os.environ.get("TOKENS", "150"))
TOKENS_PER_SECOND = float(os.environ.get("TOKENS_PER_SECOND", "30"))

# A process that stops lets its answers come to their end for so long.
DRAIN_SECONDS = 10

# A token of the hub is made for each request, so it need not be valid for long.
TOKEN_SECONDS = 3600

# A user's chats are those of this cookie: a random name stands for the session that your app has.
COOKIE = "user"
COOKIE_SECONDS = 30 * 86_400

log = logging.getLogger("uvicorn.error")


def token(right: str) -> str:
    """Return a token of the hub with one right: to publish, or to subscribe."""
    claims = {"mercure": {right: ["*"]}, "exp": int(time.time()) + TOKEN_SECONDS}
    return jwt.encode(claims, KEY, algorithm="HS256")


runs = Runs(
    hub=HUB,
    publisher_token=partial(token, "publish"),
    subscriber_token=partial(token, "subscribe"),
)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await runs.drain(DRAIN_SECONDS)


app = FastAPI(title="barestream's chat", lifespan=lifespan)


def key(chat: str, user: Annotated[str | None, Cookie()] = None) -> str:
    """Return the key of a chat's run; a chat that somebody else guesses is another one."""
    if user is None:
        raise HTTPException(401, "Open the page first: it sets a cookie.")
    return f"chat/{user}/{chat}"


Key = Annotated[str, Depends(key)]


class Asked(BaseModel):
    """What a page sends to start an answer."""

    prompt: str = Field(min_length=1, max_length=10_000)


async def events(prompt: str, tokens: int, per_second: float) -> AsyncIterator[Event | str]:
    """Yield the prompt, which each tab shows, and then the words of the answer."""
    log.info("process %d writes the answer to %r", os.getpid(), prompt)
    yield Event(type="prompt", data=prompt)
    async for word in answer(prompt, tokens, per_second):
        yield word


@app.post("/chats/{chat}")
async def start(
    asked: Asked,
    key: Key,
    tokens: Annotated[int, Query(ge=1, le=10_000)] = TOKENS,
    per_second: Annotated[float, Query(ge=1, le=1000)] = TOKENS_PER_SECOND,
) -> JSONResponse:
    """Start an answer: 201. If one is under way in this chat, that is the answer: 200."""
    run = await runs.start(key, partial(events, asked.prompt, tokens, per_second))
    return JSONResponse({"id": run.id, "status": run.status}, 201 if run.is_new else 200)


@app.get("/chats/{chat}/stream")
async def follow(request: Request, key: Key) -> Response:
    """Follow the answer, from the cursor that the page names; 204 if it has had all."""
    followed = await runs.follow(request, key)
    return StreamingResponse(followed.body, followed.status, followed.headers)


@app.get("/chats/{chat}")
async def status(key: Key) -> dict[str, str]:
    """Tell what became of the newest answer."""
    run = await runs.get(key)
    if run is None:
        raise HTTPException(404, "There is no answer in this chat, or its time is over.")
    return {"id": run.id, "status": run.status}


@app.delete("/chats/{chat}")
async def stop(key: Key) -> dict[str, bool]:
    """Stop the answer, whichever process writes it; answer once it has stopped."""
    return {"stopped": await runs.stop(key)}


@app.exception_handler(HubAwayError)
async def wait(_: Request, error: HubAwayError) -> JSONResponse:
    """Tell a page that it may try again."""
    log.warning("the hub does not answer: %s", error)
    return JSONResponse({"detail": "The hub does not answer."}, 503, {"Retry-After": "1"})


@app.get("/")
async def page(user: Annotated[str | None, Cookie()] = None) -> FileResponse:
    """Send the page, and the cookie by which the user's chats are known."""
    sent = FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})
    sent.set_cookie(
        COOKIE,
        user or secrets.token_urlsafe(16),
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="strict",
    )
    return sent


app.mount("/page", StaticFiles(directory=PAGE))
app.mount("/client", StaticFiles(directory=client_folder()))

"""Runs, for any Python app: what is made while it is read, such as the answer of a language model.

With FastAPI, against a hub that is asked by HTTP::

    runs = Runs("http://127.0.0.1/.well-known/mercure", publisher_token=TOKEN)

    @app.post("/chats/{chat}")
    async def ask(chat: str, request: Request) -> Response:
        run = await runs.start(f"chat/{chat}", lambda: answer_of_the_model(chat))
        return responding(await runs.follow(request, run))

    @app.get("/chats/{chat}")
    async def read(chat: str, request: Request) -> Response:
        return responding(await runs.follow(request, f"chat/{chat}"))

    def responding(answer: Answer) -> Response:
        return StreamingResponse(answer.body, answer.status, answer.headers)

With Django on ASGI, ``StreamingHttpResponse(answer.body, status=answer.status,
headers=answer.headers)`` is the response.
"""

from barestream.mercure.sse import Event
from barestream.runs.answer import Answer
from barestream.runs.following import LostError
from barestream.runs.hub import HubAwayError, RefusedError
from barestream.runs.run import ClosedError, Run, RunFailedError, Status
from barestream.runs.runs import Runs

__all__ = [
    "Answer",
    "ClosedError",
    "Event",
    "HubAwayError",
    "LostError",
    "RefusedError",
    "Run",
    "RunFailedError",
    "Runs",
    "Status",
]

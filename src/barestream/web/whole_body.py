"""The body of a request or of an answer that is there as a whole."""


class WholeBody:
    """A body as bareASGI expects it: an asynchronous iterator.

    Who knows it takes the content as it is, which takes no coroutine for each piece.

    Args:
        content: The body.
    """

    __slots__ = ("_is_read", "content")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._is_read = False

    def __aiter__(self) -> "WholeBody":
        return self

    async def __anext__(self) -> bytes:
        if self._is_read:
            raise StopAsyncIteration
        self._is_read = True
        return self.content

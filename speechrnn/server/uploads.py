"""Receiving an upload: as far as the limits allow, and whole or not at all."""

from collections.abc import AsyncGenerator

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from speechrnn.server.guards import Gauge, check_size
from speechrnn.server.limits import Limits
from speechrnn.server.refusals import RefusedError

MOST_FIELDS = 20
CLIENT_CLOSED = 499  # nobody reads it any more


async def receive_form(request: Request, limits: Limits) -> FormData:
    """Receive the fields of a request; the caller closes them.

    Raises:
        RefusedError: If it is no form, too large, too slow, or cut off.
    """
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        raise RefusedError(415, f"send the fields as multipart/form-data, not {kind or 'without a type'!r}")
    length = request.headers.get("content-length", "0")
    check_size(int(length) if length.isdecimal() else 0, limits)
    gauged = Request(request.scope, Gauge(request.receive, limits))
    try:
        return await WholeFormParser(gauged).parse()
    except MultiPartException as error:
        raise RefusedError(400, f"the fields cannot be read: {error.message}") from error
    except ClientDisconnect:
        raise RefusedError(CLIENT_CLOSED, "the client has gone") from None


class WholeFormParser(MultiPartParser):
    """Refuse a form without an end; starlette's own parser returns the fields before the cut."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.headers, self.until_the_end(request), max_files=1, max_fields=MOST_FIELDS)
        self.has_end = False

    def on_end(self) -> None:
        """Take note of the end."""
        self.has_end = True

    async def until_the_end(self, request: Request) -> AsyncGenerator[bytes, None]:
        """Pass the parts on; each is parsed before the next is asked for."""
        async for part in request.stream():
            yield part
        if not self.has_end:
            raise MultiPartException("they are cut off")

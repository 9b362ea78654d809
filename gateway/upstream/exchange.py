"""One HTTP exchange, sent at most once; the only module that knows aiohttp's exceptions.

How we know that a call was not sent: the upstream can start (and charge for) an edit only when it has
the whole request. aiohttp tells before it hands each piece to the connection, and we count. Less than
the whole was handed over: UpstreamUnreachable, not charged. All of it, down to the last byte of the
form: OutcomeUnknown, even when the connection turns out to have been dead; bytes that lie in a socket
cannot be called back, and nobody says who read them. That holds for a pooled connection, too, which
the other side closes while we write: `UpstreamSettings.keepalive` makes this rare, nothing makes it
certain.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp

from gateway.domain.errors import OutcomeUnknown, UpstreamError, UpstreamUnreachable
from gateway.upstream.reading import Reply
from gateway.upstream.request import WireRequest
from gateway.upstream.settings import UpstreamSettings

__all__ = ["exchange", "open_session"]

_LONGEST_ERROR_BODY = 64 * 1024


@dataclass(slots=True)
class _Progress:
    """How much of a request was handed to the connection."""

    body_size: int
    head: bool = False
    written: int = 0

    @property
    def whole(self) -> bool:
        return self.head and self.written >= self.body_size


def open_session(settings: UpstreamSettings) -> aiohttp.ClientSession:
    """Open the session that all exchanges use. The caller closes it."""
    traces = aiohttp.TraceConfig()
    traces.on_request_headers_sent.append(_head_goes)
    traces.on_request_chunk_sent.append(_chunk_goes)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=settings.connections, keepalive_timeout=settings.keepalive
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        raise_for_status=False,
        trust_env=False,
        trace_configs=[traces],
    )
    # aiohttp sends a GET a second time by itself when the connection is lost before the answer's head:
    # GET is idempotent by its book, and a second charge by Photoroom's. It has no public switch.
    session._retry_connection = False  # noqa: SLF001 - as said; aiohttp's own test client does it too
    return session


async def _head_goes(
    _: aiohttp.ClientSession,
    context: SimpleNamespace,
    __: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    progress: _Progress = context.trace_request_ctx
    progress.head = True


async def _chunk_goes(
    _: aiohttp.ClientSession,
    context: SimpleNamespace,
    params: aiohttp.TraceRequestChunkSentParams,
) -> None:
    progress: _Progress = context.trace_request_ctx
    progress.written += len(params.chunk)


async def exchange(
    session: aiohttp.ClientSession,
    request: WireRequest,
    *,
    timeouts: aiohttp.ClientTimeout,
    max_answer: int,
) -> Reply:
    """Send `request` once and return what came back, up to `max_answer` bytes of a 200.

    Raises UpstreamUnreachable when the request was not handed over whole, OutcomeUnknown when it was
    and no head of an answer came. A head that came is a Reply, whole or not: its status says what the
    call cost.
    """
    progress = _Progress(request.body_size)
    try:
        async with session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.form,
            allow_redirects=False,
            timeout=timeouts,
            trace_request_ctx=progress,
        ) as response:
            return await _read(response, max_answer)
    except (aiohttp.ClientError, OSError) as exc:  # a time-out is an OSError, too
        failure = _failure(type(exc).__name__, progress)
    # Raised out here so that aiohttp's exception is not its context: it holds the URL and the key.
    raise failure


def _failure(kind: str, progress: _Progress) -> UpstreamError:
    if progress.whole:
        return OutcomeUnknown(f"The call was sent, and no answer came ({kind}).")
    return UpstreamUnreachable(f"The call did not reach the upstream whole ({kind}).")


async def _read(response: aiohttp.ClientResponse, max_answer: int) -> Reply:
    """Read up to the bound. The connection of an answer that is left unread is closed on leaving."""
    limit = max_answer if response.status == 200 else min(max_answer, _LONGEST_ERROR_BODY)
    blocks: list[bytes] = []
    size = 0
    try:
        while size <= limit and (block := await response.content.readany()):
            blocks.append(block[: limit - size])
            size += len(block)
        whole = size <= limit
    except (aiohttp.ClientError, OSError):
        whole = False
    return Reply(response.status, _headers(response), b"".join(blocks), whole)


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Lower-case names; what was sent twice is joined; bytes that are not UTF-8 are replaced."""
    headers: dict[str, str] = {}
    for spelt, raw in response.headers.items():
        name = spelt.lower()
        value = raw.encode(errors="surrogateescape").decode(errors="replace")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers

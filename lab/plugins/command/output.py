"""What a command prints: kept for the resource's outputs and shown line by line while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Show = Callable[[str], Awaitable[None]]


class Output:
    """Collects stdout and stderr of one command; lines of the streams in `shown` go to `show` as they come."""

    def __init__(self, show: Show, shown: frozenset[str]) -> None:
        self._kept = {"stdout": bytearray(), "stderr": bytearray()}
        self._both = bytearray()
        self._line = bytearray()
        self._shown = shown
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._shower = asyncio.create_task(self._show_all(show))

    def feed(self, stream: str, chunk: bytes) -> None:
        """Takes what arrived on "stdout" or "stderr"."""
        self._kept[stream] += chunk
        self._both += chunk
        if stream in self._shown:
            self._line += chunk
            *lines, rest = self._line.split(b"\n")
            self._line = bytearray(rest)
            for line in lines:
                self._lines.put_nowait(_text(line))

    async def finish(self) -> None:
        """Waits until every line has been shown."""
        if self._line:
            self._lines.put_nowait(_text(self._line))
            self._line.clear()
        self._lines.put_nowait(None)
        await self._shower

    async def _show_all(self, show: Show) -> None:
        while (line := await self._lines.get()) is not None:
            await show(line)

    def outputs(self) -> dict[str, str]:
        """The resource's outputs: each stream without its last newline."""
        return {stream: _text(kept).removesuffix("\n") for stream, kept in self._kept.items()}

    def failure(self, reason: str, command: str) -> str:
        """The text of a failed command's error: why, the command, everything it printed."""
        return f"{reason}: running {_quoted(command)}:\n{_text(self._both)}"


def streams_shown(logging: object) -> frozenset[str]:
    """Which streams the input `logging` wants shown."""
    match logging:
        case "none":
            return frozenset()
        case "stdout" | "stderr":
            return frozenset({logging})
        case _:
            return frozenset({"stdout", "stderr"})


def _text(data: bytes | bytearray) -> str:
    return data.decode(errors="replace")


_ASCII_END, _BMP_END = 0x80, 0x10000


def _quoted(text: str) -> str:
    """In double quotes on one line, as a shell script in an error message has to be."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(sign) or (sign if sign.isprintable() else _escape(sign)) for sign in text) + '"'


def _escape(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < _ASCII_END else f"\\u{code:04x}" if code < _BMP_END else f"\\U{code:08x}"

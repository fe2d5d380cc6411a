"""The tools over the Model Context Protocol, by its official SDK; what it prints is the protocol and nothing else."""

from __future__ import annotations

import signal
from typing import Any

import anyio
import mcp_types as types
from mcp import MCPError
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from vram_advisor import __version__
from vram_advisor.mcp.tools import TOOLS, Tool, tool_named
from vram_advisor.report.schema import arguments, schema
from vram_advisor.units.errors import AdvisorError, BadInput
from vram_advisor.units.one_line import one_line

INSTRUCTIONS = (
    "Predicts GPU memory of fine-tuning and inference of language models before anything is run. Sizes in documents are "
    "bytes; GiB in texts is 2**30 bytes. Every figure is a 90 % interval, and the verdict is a probability: fits from "
    "95 %, tight from 50 %. Texts name options as the command line has them: --sequence-length is the argument "
    "sequence_length."
)


def described(tool: Tool) -> types.Tool:
    """A tool with the schemas of its arguments and of its answer."""
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=arguments(*tool.takes),
        output_schema=schema(tool.document),
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=tool.reaches_out,
        ),
    )


def server() -> Server[Any]:
    """The server with every tool."""
    # The answers of one client are made one after the other: files and drivers below are read by one thread at a time.
    one = anyio.CapacityLimiter(1)

    async def list_tools(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[described(tool) for tool in TOOLS.values()])

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            tool = tool_named(params.name)
        except BadInput as error:
            raise MCPError(types.INVALID_PARAMS, one_line(str(error))) from None
        try:
            # In a thread, so that the server hears the client meanwhile.
            answered = await anyio.to_thread.run_sync(tool.answer, params.arguments or {}, limiter=one)
        except AdvisorError as error:
            return types.CallToolResult(content=[_text(one_line(str(error)))], is_error=True)
        return types.CallToolResult(content=[_text(answered.text)], structured_content=answered.document)

    return Server(
        "vram-advisor",
        version=__version__,
        title="vram-advisor",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _text(said: str) -> types.TextContent:
    return types.TextContent(type="text", text=said)


def serve() -> None:
    """Serve the client at standard input and output until it hangs up."""
    # Nothing is kept that would have to be saved, and the thread that waits for input cannot be woken.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        anyio.run(_serve)
    except* BrokenPipeError:
        # The client has gone: there is nobody left to answer.
        pass


async def _serve() -> None:
    serving = server()
    async with stdio_server() as (reading, writing):
        await serving.run(reading, writing, serving.create_initialization_options())

"""Frameworks over the packages of OpenAI and Anthropic, with their own defaults: `base_url` and the key are ours."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from agents import Agent, OpenAIResponsesModel, RunConfig, Runner, function_tool
from agents.models.openai_provider import OpenAIProvider
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic import SecretStr
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIResponsesModel as PydanticResponses
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider as PydanticOpenAI

from router import TOKEN, Router
from upstream import MODEL, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_ai.models import Model

# The frameworks leave clients and event loops open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Lets go of what the frameworks left open, before another test is blamed for it."""
    yield
    gc.collect()


def add(a: int) -> int:
    """Adds one."""
    return a + 1


async def agents_say(router: Router, prompt: str) -> str:
    async with AsyncOpenAI(base_url=f"{router.url}/v1", api_key=TOKEN, max_retries=0) as client:
        provider = OpenAIProvider(openai_client=client)
        assert isinstance(provider.get_model(MODEL), OpenAIResponsesModel), "the default of openai-agents"
        agent = Agent(name="tester", instructions="Be brief.", model=MODEL, tools=[function_tool(add)])
        config = RunConfig(model_provider=provider, tracing_disabled=True)
        whole = await Runner.run(agent, prompt, run_config=config)
        streamed = Runner.run_streamed(agent, prompt, run_config=config)
        async for _ in streamed.stream_events():
            pass
        assert streamed.final_output == whole.final_output
        return str(whole.final_output)


def test_openai_agents(router: Router, upstream: Upstream) -> None:
    assert asyncio.run(agents_say(router, "hello there")) == "You said: hello there"
    assert asyncio.run(agents_say(router, "tools")) == "You said: 2"
    said = [message["role"] for message in upstream.received[-1].body["messages"]]
    assert said == ["system", "user", "assistant", "tool"]


@pytest.mark.parametrize("family", ["responses", "messages"])
def test_pydantic_ai(router: Router, family: str) -> None:
    model: Model
    if family == "responses":
        model = PydanticResponses(MODEL, provider=PydanticOpenAI(base_url=f"{router.url}/v1", api_key=TOKEN))
    else:
        model = AnthropicModel(MODEL, provider=AnthropicProvider(base_url=router.url, api_key=TOKEN))
    agent = PydanticAgent(model, instructions="Be brief.", tools=[add])

    async def outputs() -> list[str]:
        return [(await agent.run(prompt)).output for prompt in ("hello there", "tools")]

    assert asyncio.run(outputs()) == ["You said: hello there", "You said: 2"]


@pytest.mark.parametrize("family", ["responses", "messages"])
def test_langchain(router: Router, family: str) -> None:
    model: ChatOpenAI | ChatAnthropic
    if family == "responses":
        key = SecretStr(TOKEN)
        model = ChatOpenAI(model=MODEL, base_url=f"{router.url}/v1", api_key=key, use_responses_api=True)
    else:
        model = ChatAnthropic(model_name=MODEL, base_url=router.url, api_key=SecretStr(TOKEN), timeout=20, stop=None)
    assert model.invoke("hello there").text == "You said: hello there"
    assert "".join(chunk.text for chunk in model.stream("hello there")) == "You said: hello there"
    called = model.bind_tools([add]).invoke("tools")
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [("add", {"a": 1})]

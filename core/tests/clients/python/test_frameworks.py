"""Frameworks over the packages of OpenAI and Anthropic, with their own defaults: `base_url` and the key are ours."""

from __future__ import annotations

import asyncio
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
    from pydantic_ai.models import Model


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
    assert agent.run_sync("hello there").output == "You said: hello there"
    assert agent.run_sync("tools").output == "You said: 2"


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

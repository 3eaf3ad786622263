"""Frameworks over the packages of OpenAI and Anthropic, with their own defaults: `base_url` and the key are ours."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from agents import Agent, OpenAIResponsesModel, RunConfig, Runner, function_tool
from agents.models.openai_provider import OpenAIProvider
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic import BaseModel, SecretStr
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
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


class Sum(BaseModel):
    """A structured answer."""

    total: int


def asked(upstream: Upstream, prompt: str) -> None:
    """Waits until the upstream has a request with that prompt."""
    deadline = time.monotonic() + 20
    while not any(prompt in str(one.body) for one in upstream.received):
        assert time.monotonic() < deadline, "the request does not come"
        time.sleep(0.01)


def agents_config(client: AsyncOpenAI) -> RunConfig:
    provider = OpenAIProvider(openai_client=client)
    assert isinstance(provider.get_model(MODEL), OpenAIResponsesModel), "the default of openai-agents"
    return RunConfig(model_provider=provider, tracing_disabled=True)


async def agents_say(router: Router, prompt: str) -> str:
    async with AsyncOpenAI(base_url=f"{router.url}/v1", api_key=TOKEN, max_retries=0) as client:
        agent = Agent(name="tester", instructions="Be brief.", model=MODEL, tools=[function_tool(add)])
        config = agents_config(client)
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


def test_openai_agents_structured_refused_and_left(router: Router, upstream: Upstream) -> None:
    async def body() -> None:
        async with AsyncOpenAI(base_url=f"{router.url}/v1", api_key=TOKEN, max_retries=0) as client:
            config = agents_config(client)
            agent = Agent(name="tester", model=MODEL, output_type=Sum)
            assert (await Runner.run(agent, '{"total": 2}', run_config=config)).final_output == Sum(total=2)
            with pytest.raises(openai.BadRequestError, match="refused with 400"):
                await Runner.run(agent, "status 400", run_config=config)
            plain = Agent(name="tester", model=MODEL)
            left = Runner.run_streamed(plain, "slow", run_config=config)
            async for event in left.stream_events():
                if getattr(getattr(event, "data", None), "type", "") == "response.output_text.delta":
                    left.cancel()
                    break

    asyncio.run(body())
    upstream.hung_up()


def pydantic_model(router: Router, family: str) -> Model:
    if family == "responses":
        return PydanticResponses(MODEL, provider=PydanticOpenAI(base_url=f"{router.url}/v1", api_key=TOKEN))
    return AnthropicModel(MODEL, provider=AnthropicProvider(base_url=router.url, api_key=TOKEN))


@pytest.mark.parametrize("family", ["responses", "messages"])
def test_pydantic_ai(router: Router, upstream: Upstream, family: str) -> None:
    async def body() -> None:
        agent = PydanticAgent(pydantic_model(router, family), instructions="Be brief.", tools=[add])
        said = [(await agent.run(prompt)).output for prompt in ("hello there", "tools")]
        assert said == ["You said: hello there", "You said: 2"]
        async with agent.run_stream("hello there") as streamed:
            pieces = [piece async for piece in streamed.stream_text(delta=True)]
        assert "".join(pieces) == "You said: hello there"
        by_tool = PydanticAgent(pydantic_model(router, family), output_type=Sum)
        assert (await by_tool.run('call final_result {"total": 2}')).output == Sum(total=2)
        if family == "responses":
            native = PydanticAgent(pydantic_model(router, family), output_type=NativeOutput(Sum))
            assert (await native.run('{"total": 2}')).output == Sum(total=2)
        with pytest.raises(ModelHTTPError) as refused:
            await agent.run("status 400")
        assert refused.value.status_code == 400
        slow = asyncio.create_task(agent.run("slow"))
        await asyncio.to_thread(asked, upstream, "slow")
        slow.cancel()

    asyncio.run(body())
    upstream.hung_up()


def langchain_model(router: Router, family: str) -> ChatOpenAI | ChatAnthropic:
    key = SecretStr(TOKEN)
    if family == "responses":
        return ChatOpenAI(model=MODEL, base_url=f"{router.url}/v1", api_key=key, use_responses_api=True, max_retries=0)
    return ChatAnthropic(model_name=MODEL, base_url=router.url, api_key=key, timeout=20, stop=None, max_retries=0)


@pytest.mark.parametrize("family", ["responses", "messages"])
def test_langchain(router: Router, upstream: Upstream, family: str) -> None:
    model = langchain_model(router, family)
    assert model.invoke("hello there").text == "You said: hello there"
    assert "".join(chunk.text for chunk in model.stream("hello there")) == "You said: hello there"
    called = model.bind_tools([add]).invoke("tools")
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [("add", {"a": 1})]
    structured = model.with_structured_output(Sum)
    prompt = '{"total": 2}' if family == "responses" else 'call Sum {"total": 2}'
    assert structured.invoke(prompt) == Sum(total=2)
    refusal = openai.BadRequestError if family == "responses" else anthropic.BadRequestError
    with pytest.raises(refusal, match="refused with 400"):
        model.invoke("status 400")
    stream: Any = model.stream("slow")
    while not next(stream).text:
        pass
    left = time.monotonic()
    stream.close()
    assert upstream.hung_up() - left < 5

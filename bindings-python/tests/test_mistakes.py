"""The mistakes of a first day get errors that say how to mend them."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from cortensor_router import (
    ClosedError,
    InvalidArgumentError,
    Job,
    MinerFailedError,
    NotFoundError,
    RequestOptions,
    Router,
    SessionOptions,
    SyncJob,
    SyncMinerClient,
    SyncRouter,
    UnavailableError,
    _native,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


async def words(job: Job) -> AsyncIterator[str]:
    for word in job.prompt.split():
        yield word + " "


@pytest.fixture
def router() -> Iterator[SyncRouter]:
    with SyncRouter() as one:
        one.add_miner("echo", lambda job: job.prompt, models=["small"])
        yield one


def test_no_miner_and_no_such_model() -> None:
    with SyncRouter() as router:
        with pytest.raises(UnavailableError, match="no miner that could serve the task is connected: add a miner"):
            router.complete("x")
        router.add_miner("echo", lambda job: job.prompt, models=["small"])
        with pytest.raises(NotFoundError, match='"tiny": the list of models says which are there') as wrong:
            router.complete("x", model="tiny")
        assert wrong.value.param == "model"
        assert [model.id for model in router.models()] == ["small"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"max_token": 5}, "did you mean max_tokens? "), ({"grammar": "g"}, "")],
)
def test_a_mistyped_option_of_a_request(router: SyncRouter, wrong: dict[str, Any], said: str) -> None:
    for call in (router.complete, router.submit, router.create_session("chat").submit):
        with pytest.raises(InvalidArgumentError) as told:
            call("x", **wrong)
        name = next(iter(wrong))
        assert told.value.param == name
        assert (
            str(told.value)
            == f"{name} is no option of a request: {said}what is only for the miner goes into extra={{...}}"
        )
    assert router.complete("x", extra=wrong).text == "x"


def test_an_option_of_a_request_inside_extra(router: SyncRouter) -> None:
    with pytest.raises(InvalidArgumentError) as told:
        router.submit("x", extra={"detach": True})
    assert (told.value.param, str(told.value)) == (
        "extra",
        "extra: detach is an option of a request: give it beside extra",
    )


def test_a_mistyped_option_of_a_session_or_a_miner(router: SyncRouter) -> None:
    wrong: dict[str, Any] = {"prioriti": 3}
    session = router.create_session("chat")
    for call in (
        lambda: router.create_session("chat", **wrong),
        lambda: session.update(**wrong),
    ):
        with pytest.raises(InvalidArgumentError, match=r"prioriti is no option of a session: did you mean priority\?"):
            call()
    with pytest.raises(InvalidArgumentError, match=r"capcity is no option of a miner: did you mean capacity\?"):
        router.add_miner("a", words, capcity=2)  # type: ignore[call-arg]
    with pytest.raises(InvalidArgumentError, match="nothing is no option of a miner: MinerOptions lists all of them"):
        router.add_miner("a", words, nothing=1)  # type: ignore[call-arg]


def test_a_prompt_that_is_none(router: SyncRouter) -> None:
    chat: Any = [{"role": "user", "content": "x"}]
    with pytest.raises(InvalidArgumentError, match=r"prompt is a text, not list: a chat goes into messages=\[...\]"):
        router.complete(chat)
    assert router.complete(messages=chat).text == "x"
    with pytest.raises(InvalidArgumentError, match="prompt is missing"):
        router.complete()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("router.toml", "config is a mapping or JSON text, not 'router.toml': read a file with tomllib.load"),
        ("x" * 100, "config is a mapping or JSON text, not '" + "x" * 40 + "':"),
        (5, "config is a mapping or JSON text, not int"),
        ({"limits": {"max_sesions": 1}}, 'unknown key "limits.max_sesions": did you mean "limits.max_sessions"?'),
    ],
)
def test_a_configuration_that_is_none(config: Any, said: str) -> None:
    with pytest.raises(InvalidArgumentError) as told:
        SyncRouter(config).open()
    assert str(told.value).startswith(said)


def test_a_router_that_is_not_open_or_was_closed() -> None:
    with pytest.raises(ClosedError, match=r"not open: with SyncRouter\(...\) as router:"):
        SyncRouter().complete("x")
    with pytest.raises(ClosedError, match=r"not open: async with Router\(...\) as router:"):
        asyncio.run(Router().complete("x"))
    # Also where the miner would say that there is no event loop.
    with pytest.raises(ClosedError, match="not open"):
        Router().add_miner("words", words)
    router = SyncRouter().open()
    router.close()
    for call in (router.status, lambda: router.complete("x"), lambda: router.add_miner("a", words), router.miners):
        with pytest.raises(ClosedError, match="the router is closed: open a new one"):
            call()


def test_the_wrong_kind_of_with() -> None:
    with pytest.raises(TypeError, match="Router is for asyncio: `async with"), Router():
        pass

    async def main() -> None:
        with pytest.raises(TypeError, match="SyncRouter blocks: in async code use"):
            async with SyncRouter():
                pass

    asyncio.run(main())


def test_what_is_no_miner(router: SyncRouter) -> None:
    async def coroutine(job: Job) -> str:
        return job.prompt

    def for_nothing() -> str:
        return ""

    wrong: list[tuple[Any, str]] = [
        (words(None), "not async_generator: give the function, do not call it"),  # type: ignore[arg-type]
        (coroutine(None), "not coroutine: give the function, do not call it"),  # type: ignore[arg-type]
        ("words", "not str"),
        (for_nothing, "takes one argument, the job: too many positional arguments"),
        (lambda job, model: "", "takes one argument, the job: missing a required argument: 'model'"),
    ]
    for one, said in wrong:
        with pytest.raises(TypeError, match=said):
            router.add_miner("wrong", one)
    unnamed: Any = router.miner
    with pytest.raises(TypeError, match=r'a miner needs a name: @router.miner\("name"\)'):
        unnamed(words)
    with pytest.raises(TypeError, match="a miner needs a name"):
        router.add_miner(words, words)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes one argument, the job"):
        SyncMinerClient(for_nothing, "ws://127.0.0.1:1", name="far", token="t")  # type: ignore[arg-type]  # noqa: S106
    assert [miner.id for miner in router.miners()] == ["echo"]
    # A function without a signature is accepted.
    router.add_miner("text", str, models=["text"])
    assert "SyncJob" in router.complete("x", model="text").text


def test_a_miner_that_gives_what_is_no_text(router: SyncRouter) -> None:
    def numbers(_: SyncJob) -> Iterator[Any]:
        yield 5

    router.add_miner("numbers", numbers, models=["numbers"])
    with pytest.raises(MinerFailedError, match=r"a miner gives pieces of str, bytes or a mapping .*, not int"):
        router.complete("x", model="numbers")


def test_an_async_miner_outside_of_an_event_loop() -> None:
    async def main() -> None:
        async with Router() as router:
            with pytest.raises(RuntimeError, match="no event loop runs here: call this from async code"):
                await asyncio.to_thread(router.add_miner, "words", words)

    asyncio.run(main())


def test_a_task_is_awaited_as_often_as_one_likes() -> None:
    async def main() -> None:
        async with Router() as router:
            router.add_miner("words", words)
            task = await router.submit("a b")
            assert inspect.isawaitable(task)
            assert (await task).text == (await task).text == (await task.result()).text == "a b "
            assert [token async for token in task] == ["a ", "b "]

    asyncio.run(main())


def test_the_blocking_router_works_inside_of_an_event_loop() -> None:
    async def main() -> None:
        # As in a notebook. The loop waits meanwhile; the miner has one of its own.
        with SyncRouter() as router:
            router.add_miner("words", words)
            assert router.complete("a b").text == "a b "

    asyncio.run(main())


def test_a_name_of_another_language_is_no_option_of_a_request(router: SyncRouter) -> None:
    with pytest.raises(InvalidArgumentError, match=r"maxTokens is no option of a request: did you mean max_tokens\?"):
        router.complete("x", maxTokens=5)  # type: ignore[call-arg]
    assert router.complete("x", clientReference="mine").text == "x"  # type: ignore[call-arg]
    with pytest.raises(InvalidArgumentError, match=r"did you mean model\?"):
        router.embed("x", modell="e")  # type: ignore[call-arg]
    for wrong in (5, b"x", None):
        with pytest.raises(InvalidArgumentError, match="input is a text or a list of texts") as told:
            router.embed(wrong)  # type: ignore[arg-type]
        assert told.value.param == "input"


def test_the_options_are_those_of_the_router() -> None:
    requests, sessions = _native.option_names()
    assert {*RequestOptions.__annotations__, "prompt"} == set(requests)
    assert {*SessionOptions.__annotations__, "name"} == set(sessions)


def test_a_closed_router_says_so_when_it_is_entered() -> None:
    async def main() -> None:
        router = Router()
        async with router, router:
            assert router.is_open
        for enter in (router.__aenter__, router.open):
            with pytest.raises(ClosedError, match="the router is closed: open a new one"):
                await enter()

    asyncio.run(main())
    router = SyncRouter()
    with router:
        assert router.open() is router
    for enter in (router.__enter__, router.open):
        with pytest.raises(ClosedError, match="the router is closed: open a new one"):
            enter()


def test_a_miner_that_forgets_its_return_has_failed_and_one_that_gives_nothing_has_not() -> None:
    def forgetful(job: SyncJob) -> None:
        job.prompt.upper()

    async def forgetful_too(job: Job) -> None:
        job.prompt.upper()

    def nothing(job: SyncJob) -> Iterator[str]:
        yield from job.prompt.split("x")[:0]

    async def nothing_either(job: Job) -> AsyncIterator[str]:
        for word in job.prompt.split("x")[:0]:
            yield word

    with SyncRouter({"dispatch": {"max_attempts": 1}}) as router:
        for name, miner in (("a", forgetful), ("b", forgetful_too), ("c", lambda _: {})):
            router.add_miner(name, miner, models=[name])
            with pytest.raises(MinerFailedError, match="the miner returned nothing: return the text"):
                router.complete("x", model=name)
        for name, quiet in (("d", nothing), ("e", nothing_either), ("f", lambda _: "")):
            router.add_miner(name, quiet, models=[name])
            assert router.complete("x", model=name).text == ""


def test_tools_reasoning_and_vectors_are_answers() -> None:
    call = {"function": {"name": "weather", "arguments": {"cityName": "Oslo"}}}

    async def pieces(_: Job) -> AsyncIterator[dict[str, Any]]:
        yield {"reasoning": "h"}
        yield {"reasoning": "m"}
        yield {"tool_calls": [call]}

    def whole(job: SyncJob) -> None:
        job.finish(reasoning="hm", tool_calls=[call])

    with SyncRouter() as router:
        router.add_miner("whole", whole, models=["whole"])
        router.add_miner("pieces", pieces, models=["pieces"])
        for model in ("whole", "pieces"):
            done = router.complete("x", model=model)
            assert (done.text, done.reasoning, done.choices[0].finish_reason) == ("", "hm", "tool_calls")
            assert done.tool_calls[0]["function"] == {"name": "weather", "arguments": '{"cityName":"Oslo"}'}
        assert router.complete("x", model="whole").tool_calls[0]["id"]

        def vectors(job: SyncJob) -> dict[str, Any]:
            given = job.request["input"]
            return {"embedding": [[0.5, -1]] * len(given) if isinstance(given, list) else [0.5, -1]}

        router.add_miner("vectors", vectors, models=["e"], embeddings=True)
        assert router.embed("a", model="e").vectors == [[0.5, -1.0]]
        assert router.create_session("s", model="e").embed(("a", "b")).vectors == [[0.5, -1.0]] * 2

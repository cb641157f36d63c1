"""The functions under test, with the Python SDK: the counterpart of ../apps/functions.mjs.

Every event carries `witness` (where a step says that it runs, see ../lib/witness.mjs) and `key` (which test it belongs to).
"""

import asyncio
import datetime
import json
import time
import typing
import urllib.parse
import urllib.request

import inngest

Context = inngest.ContextSync


def say(event: inngest.Event, name: str) -> int:
    """Tells the witness that a step runs; returns how often it has done so."""
    path = urllib.parse.quote(f"{event.data['key']}/{name}", safe="")
    request = urllib.request.Request(f"{event.data['witness']}/{path}", data=b"", method="POST")
    with urllib.request.urlopen(request) as response:
        return json.load(response)["count"]


def fails(event: inngest.Event, name: str, error: Exception) -> typing.NoReturn:
    say(event, name)
    raise error


def now() -> int:
    return time.time_ns() // 1_000_000


def make_functions(client: inngest.Inngest) -> list[inngest.Function]:
    made: list[inngest.Function] = []

    def on(event: str, **options):
        def decorate(handler):
            name = handler.__name__.replace("_", "-")
            made.append(client.create_function(fn_id=name, trigger=inngest.TriggerEvent(event=event), **options)(handler))
            return handler

        return decorate

    def member(ctx: Context, name: str):
        """A step of a group."""

        def body() -> str:
            say(ctx.event, name)
            return name

        return lambda: ctx.step.run(name, body)

    @on("report/requested", retries=3)
    def report_pipeline(ctx: Context):
        data = ctx.event.data

        def fetch():
            say(ctx.event, "fetch-data")
            return [12, 9, 21]

        days = ctx.step.run("fetch-data", fetch)

        def generate():
            times = say(ctx.event, "generate-report")
            if data.get("failOnce") and times == 1:
                raise RuntimeError("render timeout")
            return {"key": f"reports/{data['reportId']}.pdf", "sum": sum(days)}

        report = ctx.step.run("generate-report", generate)
        ctx.step.run("notify", lambda: {"sentTo": data["email"], "times": say(ctx.event, "notify")})
        return {"reportId": data["reportId"], "sum": report["sum"]}

    @on("e2e/parallel", retries=3)
    def parallel(ctx: Context):
        group = ctx.group.parallel((member(ctx, "a"), member(ctx, "b"), member(ctx, "c")))
        return [*group, member(ctx, "d")()]

    @on("e2e/groups", retries=3)
    def groups(ctx: Context):
        first = ctx.group.parallel((member(ctx, "a"), member(ctx, "b")))
        return [*first, *ctx.group.parallel((member(ctx, "c"), member(ctx, "d")))]

    @on("e2e/chains", retries=3)
    def chains(ctx: Context):
        def chain(*names: str):
            return lambda: "".join([member(ctx, name)() for name in names])

        return list(ctx.group.parallel((chain("a1", "a2"), chain("b1", "b2"))))

    @on("e2e/mixed", retries=3)
    def mixed(ctx: Context):
        ctx.group.parallel((member(ctx, "a"), lambda: ctx.step.sleep("nap", 1000)))
        return member(ctx, "d")()

    @on("e2e/parallel-fails", retries=1)
    def parallel_fails(ctx: Context):
        problem = ""
        try:
            bad = lambda: ctx.step.run("bad", lambda: fails(ctx.event, "bad", ValueError("bad member")))
            ctx.group.parallel((member(ctx, "good"), bad))
        except inngest.StepError as error:
            problem = error.message
        return {"problem": problem, "after": ctx.step.run("after", lambda: say(ctx.event, "after"))}

    @on("e2e/attempts", retries=3)
    def attempts(ctx: Context):
        def failing(name: str, limit: int):
            def body():
                times = say(ctx.event, f"{name}/{ctx.attempt}")
                if ctx.attempt < limit:
                    raise RuntimeError(f"{name}, attempt {ctx.attempt}")
                return times

            return ctx.step.run(name, body)

        failing("first", 3)
        failing("second", 1)
        return "done"

    @on("e2e/caught", retries=1)
    def caught(ctx: Context):
        try:
            ctx.step.run("plain", lambda: fails(ctx.event, "plain", TypeError("plain failure")))
        except inngest.StepError as error:
            problem = [error.name, error.message]
        return {"problem": problem, "after": ctx.step.run("after", lambda: say(ctx.event, "after"))}

    # An error that says so fails the function with this SDK, even in a step, and cannot be caught there.
    @on("e2e/step-final", retries=3)
    def step_final(ctx: Context):
        ctx.step.run("final", lambda: fails(ctx.event, "final", inngest.NonRetriableError("final failure")))

    def report_failure(ctx: Context):
        data = typing.cast(typing.Any, ctx.event.data)
        original = inngest.Event(name=data["event"]["name"], data=data["event"]["data"])
        told = f"on-failure: {data['error']['name']}: {data['error']['message']} in {data['function_id']}"
        ctx.step.run("report", lambda: say(original, told))

    @on("e2e/uncaught", retries=1, on_failure=report_failure)
    def uncaught(ctx: Context):
        ctx.step.run("good", lambda: say(ctx.event, "good"))
        ctx.step.run("bad", lambda: fails(ctx.event, "bad", IndexError("out of range")))
        return "not reached"

    @on("e2e/function-fails", retries=2, on_failure=report_failure)
    def function_fails(ctx: Context):
        fails(ctx.event, f"body/{ctx.attempt}", RuntimeError(f"attempt {ctx.attempt}"))

    @on("e2e/function-final", retries=3)
    def function_final(ctx: Context):
        fails(ctx.event, "body", inngest.NonRetriableError("never again"))

    @on("e2e/retry-after", retries=1)
    def retry_after(ctx: Context):
        def wait():
            if say(ctx.event, "wait") == 1:
                raise inngest.RetryAfterError("later", datetime.timedelta(seconds=3))
            return "late"

        return ctx.step.run("wait", wait)

    @on("e2e/sleep")
    def sleep(ctx: Context):
        def stamp(name: str) -> int:
            def body():
                say(ctx.event, name)
                return now()

            return ctx.step.run(name, body)

        before = stamp("before")
        ctx.step.sleep("nap", 1000)
        between = stamp("between")
        ctx.step.sleep_until("until", datetime.datetime.fromtimestamp(between / 1000 + 1.5))
        after = stamp("after")
        return {"nap": between - before, "until": after - between}

    @on("e2e/loop")
    def loop(ctx: Context):
        seen = []
        for i in range(3):
            ctx.step.sleep("wait", 10)
            seen.append(ctx.step.run("plop", lambda i=i: {"i": i, "times": say(ctx.event, f"plop/{i}")}))
        return seen

    # Keeps `count` texts of `size` bytes and counts them in a step of its own.
    @on("e2e/large")
    def large(ctx: Context):
        def text(i: int) -> str:
            say(ctx.event, f"text-{i}")
            return str(i % 10) * int(ctx.event.data["size"])

        texts = [ctx.step.run(f"text-{i}", lambda i=i: text(i)) for i in range(int(ctx.event.data["count"]))]

        def count() -> int:
            say(ctx.event, "count")
            return len("".join(texts))

        return ctx.step.run("count", count)

    @on("e2e/parent")
    def parent(ctx: Context):
        data = ctx.event.data
        events = [inngest.Event(name="e2e/child", data={"witness": data["witness"], "key": data["key"], "n": n}) for n in (1, 2)]
        return ctx.step.send_event("tell", events)

    @on("e2e/child")
    def child(ctx: Context):
        return ctx.step.run("work", lambda: say(ctx.event, f"child/{ctx.event.data['n']}"))

    @on("e2e/wait")
    def wait(ctx: Context):
        timeout = int(ctx.event.data.get("timeout", 20_000))
        got = ctx.step.wait_for_event("answer", event="e2e/answer", if_exp="event.data.key == async.data.key", timeout=timeout)
        return got and got.data["value"]

    @on("e2e/callee", retries=0)
    def callee(ctx: Context):
        if ctx.event.data.get("fail"):
            raise ValueError("no such value")
        ctx.step.run("work", lambda: say(ctx.event, "callee"))
        return {"value": ctx.event.data.get("value"), "event": ctx.event.name}

    @on("e2e/caller")
    def caller(ctx: Context):
        try:
            return ctx.step.invoke_by_id("call", function_id=str(ctx.event.data.get("function", "callee")), data=ctx.event.data)
        except inngest.StepError as error:
            return {"problem": error.message}

    @on("e2e/ping")
    def ping(ctx: Context):
        return "pong"

    @on("e2e/echo")
    def echo(ctx: Context):
        return ctx.step.run("echo", lambda: ctx.event.data["value"])

    return made


def make_streamed_functions(client: inngest.Inngest) -> list[inngest.Function]:
    """Served under a path of their own with streaming answers: 201 at once, then spaces, then an envelope."""

    @client.create_function(fn_id="streamed", trigger=inngest.TriggerEvent(event="e2e/streamed"), retries=2)
    async def streamed(ctx: inngest.Context):
        async def first():
            return await asyncio.to_thread(say, ctx.event, "first")

        async def slow():
            await asyncio.to_thread(say, ctx.event, "slow")
            await asyncio.sleep(3.5)  # longer than the three seconds between two heartbeats
            return "zażółć"

        one = await ctx.step.run("first", first)
        two = await ctx.step.run("slow", slow)
        if ctx.attempt == 0:
            raise RuntimeError("once more")
        return {"first": one, "slow": two, "attempt": ctx.attempt}

    return [streamed]

"""`python peer.py WORK TARGET COUNT`: what `tests/load/peers` does, with the official packages, in their asyncio editions."""

import asyncio
import sys

from azure.messaging.webpubsubclient.aio import WebPubSubClient
from azure.messaging.webpubsubclient.models import CallbackType, WebPubSubDataType
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient

FRAMES_IN_FLIGHT = 64
CALLS_IN_FLIGHT = 32
GROUP = "g"
HUB = "load"
TEXT = "x" * 100


def say(line):
    print(line, flush=True)


async def line():
    await asyncio.to_thread(sys.stdin.readline)


async def ready():
    """Says that it is ready and waits for the start."""
    say("ready")
    await line()


async def in_flight(limit, count, one):
    """Awaits `one()` until it was called `count` times, so many at once."""
    left = count

    async def worker():
        nonlocal left
        while left > 0:
            left -= 1
            await one()

    await asyncio.gather(*(worker() for _ in range(limit)))


async def receive(target, count):
    client = WebPubSubClient(target)
    received = 0
    done = asyncio.Event()

    async def on_message(_message):
        nonlocal received
        received += 1
        if received == count:
            done.set()

    await client.subscribe(CallbackType.GROUP_MESSAGE, on_message)
    await client.open()
    await ready()
    await done.wait()


async def send(target, count, **options):
    client = WebPubSubClient(target)
    await client.open()
    await ready()
    await in_flight(
        FRAMES_IN_FLIGHT,
        count,
        lambda: client.send_to_group(GROUP, TEXT, WebPubSubDataType.TEXT, **options),
    )


async def rest(target, count):
    async with WebPubSubServiceClient.from_connection_string(target, HUB) as client:

        async def one():
            await client.send_to_all(TEXT, content_type="text/plain")

        await one()
        await ready()
        await in_flight(CALLS_IN_FLIGHT, count, one)


async def token(target, count):
    async with WebPubSubServiceClient.from_connection_string(target, HUB) as client:
        await ready()
        for _ in range(count):
            await client.get_client_access_token(user_id="ana", roles=["webpubsub.sendToGroup.room"], groups=["room"])


WORKS = {
    "receive-reliable-json": receive,
    "acknowledged": send,
    "forget": lambda target, count: send(target, count, ack=False),
    "rest": rest,
    "token": token,
}


async def main():
    work, target, count = sys.argv[1:]
    await WORKS[work](target, int(count))
    say("done")
    # What was sent goes out until the input ends.
    await line()


asyncio.run(main())

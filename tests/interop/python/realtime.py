"""The official real-time client, its blocking and its asyncio edition behind one blocking face.

The package calls listeners of the blocking edition each on a thread of its own, so their order says
nothing: messages of reliable clients are put in order by their sequence ids, other tests wait for one
message before they cause the next.
"""

import asyncio
import queue
import socket
import threading

from azure.messaging.webpubsubclient import WebPubSubClient, WebPubSubClientCredential, aio
from azure.messaging.webpubsubclient.models import CallbackType, WebPubSubProtocolType

from conftest import WAIT_SECONDS

# The blocking edition misses an answer that comes before it begins to wait: it then goes on, with the
# right result, when its own limit is over. Short limits keep that short; an ack takes a few milliseconds.
PACKAGE_LIMITS = {"ack_timeout": 1.0, "start_timeout": 5.0}


class Inboxes:
    """What listeners were called with, by the name of the event."""

    def __init__(self):
        self._queues = {event: queue.Queue() for event in CallbackType}

    def put(self, event, value):
        self._queues[event].put(value)

    def next(self, event):
        """The next value of one event."""
        try:
            return self._queues[event].get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise AssertionError(f"waited {WAIT_SECONDS} s for {event}") from None

    def next_data(self, event=CallbackType.GROUP_MESSAGE):
        """Data type and data of the next message, bytes for a view of some."""
        message = self.next(event)
        data = message.data
        return message.data_type, bytes(data) if isinstance(data, memoryview) else data

    def is_empty(self, event):
        return self._queues[event].empty()


class BlockingClient:
    """`azure.messaging.webpubsubclient.WebPubSubClient`."""

    def __init__(self, get_url, **options):
        self.inboxes = Inboxes()
        self._client = WebPubSubClient(WebPubSubClientCredential(get_url), **PACKAGE_LIMITS, **options)
        for event in CallbackType:
            self._client.subscribe(event, lambda value=None, event=event: self.inboxes.put(event, value))

    def dispose(self):
        self._client.close()

    def __getattr__(self, name):
        return getattr(self._client, name)


class AsyncioClient:
    """`azure.messaging.webpubsubclient.aio.WebPubSubClient` on an event loop of its own."""

    def __init__(self, get_url, **options):
        self.inboxes = Inboxes()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client = self._run(self._create(get_url, options))

    async def _create(self, get_url, options):
        async def url():
            return get_url()

        client = aio.WebPubSubClient(aio.WebPubSubClientCredential(url), **PACKAGE_LIMITS, **options)
        for event in CallbackType:

            async def listener(value=None, event=event):
                self.inboxes.put(event, value)

            await client.subscribe(event, listener)
        return client

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=3 * WAIT_SECONDS)

    def dispose(self):
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    async def _end(self):
        # The package's close() would wait a second for the task that sends sequence acks.
        await self._cancel(lambda task: task.get_name() == "sequence_id_ack_periodically")
        await self._client.close()
        await self._cancel(lambda _: True)

    @staticmethod
    async def _cancel(condition):
        tasks = [task for task in asyncio.all_tasks() - {asyncio.current_task()} if condition(task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __getattr__(self, name):
        method = getattr(self._client, name)
        return lambda *args, **kwargs: self._run(method(*args, **kwargs))


EDITIONS = {"blocking": BlockingClient, "asyncio": AsyncioClient}
PROTOCOLS = {"json": WebPubSubProtocolType.JSON, "reliable json": WebPubSubProtocolType.JSON_RELIABLE}


class Line:
    """A line between clients and the emulator that a test cuts and mends."""

    def __init__(self, host, port):
        self._far = (host, port)
        self._is_cut = False
        self._lock = threading.Lock()
        self._sockets = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._far)
            with self._lock:
                if not self._is_cut:
                    self._sockets |= {near, far}
                    for source, target in ((near, far), (far, near)):
                        threading.Thread(target=self._pump, args=(source, target), daemon=True).start()
                    continue
            near.close()
            far.close()

    def _pump(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        hang_up(target)
        hang_up(source)

    def cut(self):
        """Ends every connection without a close frame and serves no new one."""
        with self._lock:
            self._is_cut = True
            for each in self._sockets:
                hang_up(each)
            self._sockets.clear()

    def mend(self):
        with self._lock:
            self._is_cut = False

    def close(self):
        self.cut()
        self._listener.close()


def hang_up(each):
    try:
        each.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The other end was faster.
        pass

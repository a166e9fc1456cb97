// A client of the official package, which does what a script says and tells what comes of it.

import { InvocationError, SendMessageError, WebPubSubClient, WebPubSubJsonProtocol, WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";

const PROTOCOLS = { json: WebPubSubJsonProtocol, reliable: WebPubSubJsonReliableProtocol };

/** Delays between tries, where the package has an option; those of recoveries are fixed. */
const RETRY_MS = 10;

export class Official {
  #client;
  #record;
  #signal;
  #aborts = new Map();
  #streams = new Map();

  constructor({ url, protocol, options }, record, signal) {
    this.#record = record;
    this.#signal = signal;
    this.#client = new WebPubSubClient(
      { getClientAccessUrl: async () => url.replace("{n}", record.credential()) },
      {
        protocol: PROTOCOLS[protocol](),
        autoReconnect: options.autoReconnect,
        autoRejoinGroups: options.autoRejoinGroups,
        keepAliveIntervalInMs: options.keepAliveInterval ?? 0,
        keepAliveTimeoutInMs: options.keepAliveTimeout ?? 0,
        messageRetryOptions: { maxRetries: options.retries ?? 0, retryDelayInMs: RETRY_MS },
        reconnectRetryOptions: { maxRetries: options.reconnects, retryDelayInMs: RETRY_MS },
      },
    );
    this.#listen();
  }

  /** Does an operation; its outcome becomes the result `id`. */
  call(id, operation) {
    const abort = new AbortController();
    this.#aborts.set(id, abort);
    const done = this[operation.do]({ ...operation, id, abortSignal: abort.signal });
    Promise.resolve(done).then(
      (outcome) => this.#settle(id, outcome),
      (error) => this.#settle(id, failure(error)),
    );
  }

  cancel(id) {
    this.#aborts.get(id).abort();
  }

  /** Completes when the client has done all that follows from what it has heard. */
  async idle() {
    for (let turn = 0; turn < 3; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  dispose() {
    this.#client.stop();
  }

  async start() {
    await this.#client.start();
    return { outcome: "started" };
  }

  stop() {
    this.#client.stop();
    return { outcome: "stopped" };
  }

  async joinGroup({ group, ackId, abortSignal }) {
    return acknowledged(await this.#client.joinGroup(group, { ackId, abortSignal }));
  }

  async leaveGroup({ group, ackId, abortSignal }) {
    return acknowledged(await this.#client.leaveGroup(group, { ackId, abortSignal }));
  }

  async sendToGroup({ group, data, ackId, noEcho, fireAndForget, abortSignal }) {
    return acknowledged(await this.#client.sendToGroup(group, ...content(data), { ackId, noEcho, fireAndForget, abortSignal }));
  }

  async sendEvent({ event, data, ackId, fireAndForget, abortSignal }) {
    return acknowledged(await this.#client.sendEvent(event, ...content(data), { ackId, fireAndForget, abortSignal }));
  }

  async invoke({ event, data, invocationId, abortSignal }) {
    const answer = await this.#client.invokeEvent(event, ...content(data), { invocationId, abortSignal });
    return { outcome: "answered", dataType: answer.dataType, data: plain(answer.data) };
  }

  async openStream({ id, group, streamId, noEcho, idleTimeout }) {
    const stream = await this.#client.openGroupStream(group, { streamId, noEcho, idleTimeoutInMs: idleTimeout });
    this.#streams.set(id, stream);
    stream.onError(({ name, message }) => {
      const cause = name === "Error" && why(message) === "lost" ? { lost: true } : { name, message };
      this.#emit("stream-failed", { streamId: stream.streamId, ...cause });
    });
    return { outcome: "opened", streamId: stream.streamId };
  }

  async write({ stream, data }) {
    await this.#streams.get(stream).write(...content(data));
    return { outcome: "written" };
  }

  async end({ stream }) {
    await this.#streams.get(stream).end();
    return { outcome: "ended" };
  }

  async abort({ stream, message, userErrorCode }) {
    await this.#streams.get(stream).abort({ message, userErrorCode });
    return { outcome: "ended" };
  }

  // The package has the frames of group state, but its client has no method that sends them.

  setGroupState({ group, state }) {
    return this.#sendStateFrame({ kind: "setGroupState", group, state });
  }

  clearGroupState({ group }) {
    return this.#sendStateFrame({ kind: "setGroupState", group });
  }

  subscribeGroupState({ group }) {
    return this.#sendStateFrame({ kind: "subscribeGroupState", group });
  }

  unsubscribeGroupState({ group }) {
    return this.#sendStateFrame({ kind: "unsubscribeGroupState", group });
  }

  async #sendStateFrame(frame) {
    return acknowledged(await this.#client._sendMessageWithAckId((ackId) => ({ ...frame, ackId })));
  }

  receiveStreams({ groups, fromStart, idleTimeout }) {
    const options = { groupNames: groups, handleFromStart: fromStart, idleTimeoutInMs: idleTimeout };
    this.#client.onGroupStream((stream) => this.#follow(stream), options);
    return { outcome: "subscribed" };
  }

  async #follow(stream) {
    const tell = (what) => {
      this.#record.stream(`${stream.groupName}/${stream.streamId}`, what);
      this.#signal.notify();
    };
    tell({ opened: true });
    try {
      for await (const { fromUserId, dataType, data, stream: { streamSequenceId } } of stream) {
        tell({ number: streamSequenceId, fromUserId, dataType, data: plain(data) });
      }
      tell({ ended: true });
    } catch ({ name, message, userErrorCode }) {
      // A time-out of the client itself has no text in ours.
      const isOwn = /client registry/.test(message);
      tell({ failed: name, message: isOwn ? undefined : message, userErrorCode });
    }
  }

  #listen() {
    const on = (kind, describe) => this.#client.on(kind, (event) => this.#emit(kind, describe(event)));
    on("connected", ({ connectionId, userId }) => ({ connectionId, userId }));
    on("disconnected", ({ connectionId, message }) => ({ connectionId, message: message?.message }));
    on("stopped", () => ({}));
    on("group-message", ({ message }) => ({ group: message.group, fromUserId: message.fromUserId, ...received(message) }));
    on("server-message", ({ message }) => received(message));
    on("rejoin-group-failed", ({ group, error: { errorDetail } }) => ({ group, name: errorDetail?.name, message: errorDetail?.message }));
  }

  #settle(id, outcome) {
    this.#record.result(id, outcome);
    this.#signal.notify();
  }

  #emit(kind, event) {
    this.#record.event(kind, { kind, ...event });
    this.#signal.notify();
  }
}

function content(data) {
  if (data === undefined) {
    return [undefined, undefined];
  }
  const [[dataType, value]] = Object.entries(data);
  return [dataType === "text" || dataType === "json" ? value : bytes(value), dataType];
}

function bytes(base64) {
  return new Uint8Array(Buffer.from(base64, "base64")).buffer;
}

function plain(data) {
  return data instanceof ArrayBuffer ? Buffer.from(data).toString("base64") : data;
}

function received({ dataType, data, sequenceId, stream }) {
  return {
    dataType,
    data: plain(data),
    sequenceId,
    stream: stream && { ...stream, endOfStream: stream.endOfStream || undefined },
  };
}

function acknowledged({ ackId, isDuplicated }) {
  return { outcome: isDuplicated ? "duplicate" : "accepted", ackId };
}

function failure(error) {
  if (error.message === "Failed to send message." || error.message === "Invocation failed.") {
    return rejected(error.errorDetail ?? {}, error.ackId);
  }
  if (error instanceof SendMessageError || error instanceof InvocationError) {
    return error.errorDetail ? rejected(error.errorDetail, error.ackId) : { outcome: why(error.message) };
  }
  // The errors of streams have the service's name.
  return error.name === "Error" || error instanceof TypeError ? { outcome: why(error.message) } : rejected(error);
}

function rejected({ name, message }, ackId) {
  return { outcome: "rejected", name, message, ackId };
}

function why(message) {
  if (/is disconnected before|cannot be recovered|connection is unavailable|client is stopping/.test(message)) {
    return "lost";
  }
  return /[Cc]ancelled by abortSignal/.test(message) ? "cancelled" : "failed";
}

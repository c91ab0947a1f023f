// The AI SDK's ChatTransport on runs: an answer goes on over a reload and over a cut connection.

import { APICallError, DefaultChatTransport } from 'ai';

// The delay before a cut answer is asked for again: doubled up to the longest, and randomised, so
// that the pages of a backend that restarts do not all come at once.
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 5_000;

// What a run's last line is; it fits into the end of what is kept of the stream.
const DONE = '[DONE]';
const KEPT_BYTES = 64;

/** Whether the server was not reached, or could not answer yet. An answer that failed is neither. */
const isAway = (/** @type {unknown} */ error) =>
  error instanceof TypeError || (APICallError.isInstance(error) && (error.statusCode ?? 0) >= 500);

const valueOf = (/** @type {any} */ given) => (typeof given === 'function' ? given() : given);

/**
 * Wait, or until the signal.
 *
 * @param {number} ms
 * @param {AbortSignal | undefined} signal
 */
const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => (clearTimeout(timer), resolve(undefined)), { once: true });
  });

/** An error where the stream ends before the run: some proxies end a cut answer properly. */
function untilDone() {
  let tail = '';
  const decoder = new TextDecoder();
  return new TransformStream({
    transform(/** @type {Uint8Array} */ bytes, controller) {
      tail = (tail + decoder.decode(bytes, { stream: true })).slice(-KEPT_BYTES);
      controller.enqueue(bytes);
    },
    flush() {
      // With the word "network" useChat takes it for a lost connection.
      if (!tail.includes(DONE)) throw new TypeError('network: the stream ended before the answer');
    },
  });
}

/** @extends {DefaultChatTransport<any>} */
export class RunChatTransport extends DefaultChatTransport {
  #onIdle;

  /** @param {import('./ai-sdk.js').RunChatTransportOptions<any>} options */
  constructor({ onIdle, fetch = globalThis.fetch, ...options } = {}) {
    super({
      ...options,
      // Firefox holds back a request while another of the same address is under way, in any tab,
      // unless it passes the cache by.
      fetch: (url, init) => fetch(url, { ...init, cache: 'no-store' }),
    });
    this.#onIdle = onIdle;
  }

  /** @param {Parameters<DefaultChatTransport<any>['sendMessages']>[0]} options */
  async sendMessages(options) {
    return this.#healed(await super.sendMessages(options), options);
  }

  /** @param {Parameters<DefaultChatTransport<any>['reconnectToStream']>[0]} options */
  async reconnectToStream(options) {
    const stream = await this.#reconnected(options);
    return stream && this.#healed(stream, options);
  }

  /** @param {string} chatId */
  async stop(chatId) {
    const url = `${this.api}/${encodeURIComponent(chatId)}`;
    const [headers, credentials] = await Promise.all([valueOf(this.headers), valueOf(this.credentials)]);
    const fetch = /** @type {typeof globalThis.fetch} */ (this.fetch);
    const answer = await fetch(url, { method: 'DELETE', headers, credentials });
    if (!answer.ok) throw new Error(`The answer was not stopped: DELETE ${url} gave ${answer.status}`);
  }

  /** @param {ReadableStream<Uint8Array>} stream */
  processResponseStream(stream) {
    return super.processResponseStream(stream.pipeThrough(untilDone()));
  }

  /**
   * Ask until the server answers.
   *
   * @param {any} options
   * @returns {Promise<ReadableStream<any> | null>}
   */
  async #reconnected(options) {
    for (let longest = FIRST_RETRY_MS; ; longest = Math.min(2 * longest, LONGEST_RETRY_MS)) {
      try {
        const stream = await super.reconnectToStream(options);
        if (!stream) this.#tellIdle(options.chatId);
        return stream;
      } catch (error) {
        if (!isAway(error) || options.abortSignal?.aborted) throw error;
        await pause(longest * (0.5 + Math.random() / 2), options.abortSignal);
        options.abortSignal?.throwIfAborted();
      }
    }
  }

  /** @param {string} chatId */
  #tellIdle(chatId) {
    // First useChat shows what it has: what onIdle loads comes after that.
    setTimeout(() => this.#onIdle?.(chatId), 0);
  }

  /**
   * A stream that goes on after a cut. The server sends a run from its first chunk; those that
   * were told are left out.
   *
   * @param {ReadableStream<any>} stream
   * @param {any} options
   */
  #healed(stream, options) {
    let reader = stream.getReader();
    /** @type {string[]} */
    const told = [];
    /** How many chunks of the present stream were read. */
    let read = 0;
    /** @param {ReadableStreamDefaultController<any>} controller */
    const next = async (controller) => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        const chunk = JSON.stringify(value);
        const before = told[read++];
        if (before === undefined) {
          told.push(chunk);
          return controller.enqueue(value);
        }
        if (before !== chunk) {
          // Another run has begun; the one that was shown is over.
          await reader.cancel();
          this.#tellIdle(options.chatId);
          return controller.close();
        }
      }
    };
    return new ReadableStream({
      pull: async (controller) => {
        for (;;) {
          try {
            return await next(controller);
          } catch (error) {
            if (!isAway(error) || options.abortSignal?.aborted) throw error;
          }
          const again = await this.#reconnected(options);
          if (!again) return controller.close();
          reader = again.getReader();
          read = 0;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    });
  }
}

/**
 * One attempt to be sent events: a connection, or reads in place of one. It is given up as a whole.
 */

import { ask, unbroken, withToken } from './asking.js';
import { connect } from './connection.js';
import { isAfter, parseId } from './place.js';
import { answerOf } from './reads.js';

// For a token; the page's function may never answer.
const TOKEN_MS = 30_000;

export class Link {
  /** @type {import('./request.js').HubRequest} */
  request;
  /** @type {import('./token.js').Token} */
  token;
  /** @type {RequestCredentials} */
  credentials;
  /** @type {string[]} */
  keys;
  /** @type {string | undefined} */
  client;
  /** @type {'stream' | 'reads'} */
  via;
  /** @type {() => ?string} */
  cursor;
  /** @type {import('./watchdog.js').Watchdog} */
  watchdog;
  /** @type {import('./timing.js').Slices} */
  slices;

  /** The headers that were sent; null while a token is awaited. @type {?Record<string, string>} */
  shown = null;
  /** 401 once a token was refused. @type {?number} */
  status = null;
  /** Why the hub has no stream at this time. @type {?string} */
  turnedAway = null;
  /** Whether the first event has come. */
  isAlive = false;

  #controller = new AbortController();
  #on;
  #env;

  /**
   * @param {Pick<Link, 'request' | 'token' | 'credentials' | 'keys' | 'client' | 'via' | 'cursor'
   *   | 'watchdog' | 'slices'>} options
   * @param {object} on what it tells
   * @param {() => void} on.open the headers of a stream are there
   * @param {(raws: import('./raw_event.js').Raw[]) => void} on.raws
   * @param {any} env
   */
  constructor(options, on, env) {
    Object.assign(this, options);
    this.credentials ??= 'same-origin';
    this.#on = on;
    this.#env = env;
  }

  get signal() {
    return this.#controller.signal;
  }

  giveUp() {
    this.#controller.abort();
  }

  /**
   * @returns {Promise<{isOver: boolean, retryMs?: ?number}>} as connect() gives it
   * @throws {import('./refusal.js').Refusal} or what the token's function throws, or the signal's
   *   reason after giveUp()
   */
  async run() {
    if (this.via === 'stream') return connect(this, this.#env);
    const { keepReading } = await unbroken(import('./reading.js'), this.signal);
    return keepReading(this, { answerOf, isAfter, parseId });
  }

  /** As ask() in asking.js, with the token; something has to come within this time. */
  ask(address, type, ms) {
    const { credentials, signal, watchdog } = this;
    const awaitToken = () => {
      this.shown = null;
      watchdog.expect(TOKEN_MS);
    };
    const send = (headers) => {
      this.shown = headers;
      watchdog.expect(ms);
      return ask(address, type, { headers, credentials, signal }, this.#env).catch((error) => {
        if (error.status === 401) {
          this.status = 401;
          awaitToken();
        }
        throw error;
      });
    };
    awaitToken();
    return withToken(send, this.token, signal);
  }

  /** @param {?string} turnedAway */
  open(turnedAway) {
    this.turnedAway = turnedAway;
    this.#on.open();
  }

  bytes() {
    if (this.isAlive) this.watchdog.heard();
  }

  /** @param {import('./raw_event.js').Raw[]} raws */
  async raws(raws) {
    const { slices, signal, watchdog } = this;
    for (let at = 0; at < raws.length; ) {
      const piece = raws.slice(at, (at += slices.piece));
      await slices.do(() => this.#on.raws(piece), signal);
      signal.throwIfAborted();
      // What was told may have kept the page busy for longer than a server may be silent.
      watchdog.expect();
    }
  }
}

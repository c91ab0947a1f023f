/**
 * One attempt to be sent events: a connection, or reads in place of one. It is given up as a whole.
 */

import { connection } from './connection.js';
import { isAfter, parseId } from './place.js';
import { rawOf } from './raw_event.js';
import { readWith } from './reads.js';
import { ANSWER_MS } from './token.js';

// The hub sends the first event at once; another server only its headers.
const FIRST_EVENT_MS = 8_000;
const HEADERS_MS = 15_000;

// Long enough for the hub, short enough for any proxy.
const WAIT_SECONDS = 25;
const READ_LIMIT = 500;
// How long an answer may take beyond its wait.
const ANSWER_SECONDS = 15;

/**
 * @typedef {object} Listener what a link tells
 * @property {(ms: number) => void} expect within this time something has to come
 * @property {() => void} open the headers of a stream are there
 * @property {() => void} bytes
 * @property {(raws: import('./raw_event.js').Raw[]) => Promise<void>} raws more is read once its
 *   promise is resolved
 */

export class Link {
  /** What the hub is shown; null while a token is awaited. @type {?Record<string, string>} */
  headers = null;
  /** Why the hub has no stream at this time. @type {?string} */
  turnedAway = null;
  /** Whether the first event has come. */
  isAlive = false;
  /** Whether all that was there at the start has come. */
  isReady = false;
  /** Whether another token is being asked for, while the old one is still good. */
  isRenewing = false;

  #abort = new AbortController();
  #options;
  #env;

  /**
   * @param {object} options
   * @param {import('./request.js').HubRequest} options.request
   * @param {import('./token.js').Token} options.token
   * @param {RequestCredentials} options.credentials
   * @param {string[]} options.keys
   * @param {'stream' | 'reads'} options.via
   * @param {any} env
   */
  constructor(options, env) {
    this.#options = options;
    this.#env = env;
    this.keys = options.keys;
    this.via = options.via;
  }

  get signal() {
    return this.#abort.signal;
  }

  giveUp() {
    this.#abort.abort();
  }

  /**
   * @param {() => ?string} cursorNow
   * @param {Listener} on
   * @returns {Promise<{isOver: boolean, retryMs?: ?number}>} as connection() gives it
   * @throws {import('./refusal.js').Refusal} or what the token's function throws, or the signal's
   *   reason after giveUp()
   */
  run(cursorNow, on) {
    return this.via === 'stream' ? this.#follow(cursorNow(), on) : this.#read(cursorNow, on);
  }

  async #follow(cursor, on) {
    const { request, credentials } = this.#options;
    await this.#prepare(on, request.isOurs ? FIRST_EVENT_MS : HEADERS_MS);
    const { headers, signal } = this;
    const open = (turnedAway) => {
      this.turnedAway = turnedAway;
      // Another server does not say where the replay ends.
      this.isReady = !request.isOurs;
      on.open();
    };
    const events = (parsed) => on.raws(parsed.map((event) => this.#raw(event)));
    const address = request.stream(this.keys, cursor);
    const how = { headers, credentials, signal };
    return connection(address, how, { open, bytes: on.bytes, events }, this.#env);
  }

  #raw(event) {
    const raw = rawOf(event, this.keys, !this.isReady);
    if (raw.kind === 'ready') this.isReady = true;
    return raw;
  }

  async #read(cursorNow, on) {
    const { request, credentials } = this.#options;
    // The first answer comes at once, and so tells where it begins.
    for (let wait = 0; ; wait = WAIT_SECONDS) {
      await this.#prepare(on, (wait + ANSWER_SECONDS) * 1_000);
      const params = { last_event_id: cursorNow(), wait, limit: READ_LIMIT };
      const question = { request, credentials, keys: this.keys, params, signal: this.signal };
      const answer = await readWith(this.headers, question, this.#env);
      await on.raws(this.#raws(answer));
      if (answer.ended) return { isOver: true };
    }
  }

  #raws({ events, gap, more, cursor }) {
    const raws = events.map((event) => ({ ...event, replay: !this.isReady }));
    // An answer tells a gap without its place among the events, which may come before it.
    const after = raws.findIndex(({ place }) => gap?.isBack || isAfter(place, gap?.place));
    if (gap) raws.splice(after < 0 ? raws.length : after, 0, gap);
    this.isReady ||= !more;
    const kind = this.isReady ? 'ready' : 'heartbeat';
    return [...raws, { kind, place: parseId(cursor)?.place ?? null, cursor }];
  }

  async #prepare(on, ms) {
    this.headers = null;
    on.expect(ANSWER_MS);
    this.headers = await this.#options.token.headers();
    this.signal.throwIfAborted();
    on.expect(ms);
  }
}

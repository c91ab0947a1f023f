/**
 * The user of a page, as whom it asks the hub: with one token or cookie, until another user comes.
 */

import { ask, insist, withToken } from './asking.js';
import { read } from './reads.js';
import { HubRequest } from './request.js';
import { Visitor } from './visitor.js';

export class User {
  /** How to ask, once it is known as whom. @type {?HubRequest} */
  request = null;
  /** Tabs with an equal one may share a stream, once it is known. @type {string} */
  name;
  /** Whether the page has only the token of the user before: a fixed one. */
  isOutdated = false;

  #options;
  #env;
  #token = null;
  // presence.js, once it is loaded: a page that is going cannot wait for it.
  #presence = null;

  /**
   * @param {any} options as connect() takes them, and the hub's url
   * @param {any} env
   */
  constructor(options, env) {
    this.#options = options;
    this.#env = env;
  }

  /** Another one is there. @param {string} [identity] */
  change(identity) {
    this.isOutdated = typeof this.#options.token === 'string';
    this.#options = { ...this.#options, identity };
    this.#token = this.request = null;
  }

  /** What each question to the hub has. */
  get asking() {
    return { request: this.request, token: this.#token, credentials: this.#options.credentials };
  }

  /**
   * Resolves once it is known as whom to ask.
   * @param {(error: any, delayMs: number) => void} failed it is tried again
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   */
  async meet(failed, signal) {
    const attempt = async () => {
      const token = await this.#askToken();
      return Promise.all([token.protocol(), token.identity()]);
    };
    const [protocol, identity] = await insist(attempt, failed, signal, this.#env);
    signal.throwIfAborted();
    this.request = new HubRequest({ ...this.#options, protocol });
    // Tabs of another release may use other messages; the address of this module has its version.
    this.name = ['barestream', import.meta.url, this.request.url, protocol, identity].join(' ');
  }

  /** As ask() in asking.js, as the user who is there now. */
  async ask(address, type, signal, token = this.#token) {
    token ??= await this.#askToken();
    const send = (headers) => ask(address, type, { ...this.asking, headers, signal }, this.#env);
    return withToken(send, token, signal);
  }

  /** @returns {Promise<string>} the hub's newest cursor */
  async cursor() {
    const token = await this.#askToken();
    const request = new HubRequest({ url: this.#options.url, protocol: await token.protocol() });
    return (await read({ ...this.asking, request, token, keys: ['*'] }, this.#env)).cursor;
  }

  /** What tells who is there, and who has left. */
  async presence() {
    return (this.#presence ??= await import('./presence.js'));
  }

  /** As tellLeft() in presence.js, of the user who is there now. */
  tellLeft = async (client, keys, afterSeconds = 0) => {
    const token = this.#token;
    const topics = keys.map((key) => this.request.named(key));
    const post = (address, signal) => this.ask(address, 'text/plain', signal, token);
    try {
      const { tellLeft } = this.#presence ?? (await this.presence());
      await tellLeft(this.#options.url, { client, topics, afterSeconds }, post, this.#env);
    } catch {
      // The hub knows it by itself once the grace is over.
    }
  };

  /** A page without a token does not load what keeps one. */
  async #askToken() {
    const { token, renew } = this.#options;
    const Keeper = token || renew ? (await import('./token.js')).Token : Visitor;
    return (this.#token ??= new Keeper(this.#options, this.#env));
  }
}

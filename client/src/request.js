/**
 * What is asked of the hub: its URL with topics and parameters.
 */

// A QUERY takes over where proxies and servers may refuse the URL: nginx has 8 KiB for a request
// line by default.
const MOST_URL_CHARACTERS = 8_000;

const PATTERN = '\0';

/**
 * The text by which a topic is told apart from others. No topic has a control character, so no
 * pattern has the key of a topic.
 * @param {string | {pattern: string}} topic
 * @returns {string}
 */
export function keyOf(topic) {
  return typeof topic === 'string' ? topic : PATTERN + topic.pattern;
}

/**
 * @param {string} key
 * @returns {string | {pattern: string}}
 */
export function topicOf(key) {
  return key.startsWith(PATTERN) ? { pattern: key.slice(1) } : key;
}

/** The addresses of one hub, in one protocol. */
export class HubRequest {
  #origin;

  /**
   * @param {object} options
   * @param {string} options.url of the hub, absolute; parameters of its own stay
   * @param {'0.x' | '1.0'} [options.protocol]
   * @param {'barestream' | 'mercure'} [options.dialect]
   * @param {any} [env]
   */
  constructor({ url, protocol = '0.x', dialect = 'barestream' }, env = globalThis) {
    this.#origin = env.location?.origin ?? null;
    this.url = url;
    this.protocol = protocol;
    this.dialect = dialect;
  }

  /** Whether the hub knows what only barestream has: reads, heartbeats and matched topics. */
  get isOurs() {
    return this.dialect === 'barestream';
  }

  /**
   * @param {string[]} keys in the order in which `matches` of the answer counts them
   * @param {Record<string, string | number | null | undefined>} [params] those without a value are
   *   left out
   * @returns {{url: string, method: string, body?: string, headers: Record<string, string>}}
   */
  address(keys, params = {}) {
    const [address, ownQuery = ''] = this.url.split('#')[0].split(/\?(.*)/s);
    const query = new URLSearchParams();
    for (const key of keys) query.append(...this.named(key));
    for (const [name, value] of Object.entries(params)) {
      if (value != null) query.append(name, String(value));
    }
    for (const [name, value] of new URLSearchParams(ownQuery)) query.append(name, value);
    const body = String(query);
    const url = body ? `${address}?${body}` : address;
    if (url.length <= MOST_URL_CHARACTERS || !this.isOurs) return { url, method: 'GET', headers: {} };
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    return { url: address, method: 'QUERY', body, headers };
  }

  /**
   * The address of a stream that goes on after a cursor.
   * @param {string[]} keys
   * @param {?string} cursor
   * @param {string} [client] the stream's name, by which its user may leave (presence.js)
   */
  stream(keys, cursor, client) {
    if (this.isOurs) {
      const include = 'topic,match,ready';
      return this.address(keys, { include, heartbeat: 'event', last_event_id: cursor, client });
    }
    const name = this.protocol === '1.0' ? 'last_event_id' : 'lastEventID';
    const address = this.address(keys, { [name]: cursor });
    // A server that is no hub knows the header alone. Of another origin, it may not allow a header
    // that the page sets.
    if (cursor && (!this.#origin || new URL(this.url).origin === this.#origin)) {
      address.headers['Last-Event-ID'] = String.fromCharCode(...new TextEncoder().encode(cursor));
    }
    return address;
  }

  /** How a topic is asked for: the parameter and its value. @returns {[string, string]} */
  named(key) {
    const topic = topicOf(key);
    if (typeof topic !== 'string') return ['match_urlpattern', topic.pattern];
    return [this.protocol === '1.0' ? 'match' : 'topic', topic];
  }
}

/**
 * Parses a stream of Server-Sent Events that comes in pieces.
 *
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */

/**
 * @typedef {object} ParsedEvent
 * @property {string} type
 * @property {string} data
 * @property {string} id the last one that the stream has named, maybe before this event
 * @property {boolean} hasId whether this event itself names it
 */

export class EventParser {
  /** The newest reconnection delay that the stream has named. @type {?number} */
  retryMs = null;

  // It takes a BOM away, and keeps the bytes of a character that is cut for the next piece.
  #decoder = new TextDecoder();
  #line = '';
  #isAfterCr = false;
  #id = '';
  #hasId = false;
  #type = '';
  #data = null;

  /**
   * @param {Uint8Array} bytes the next piece
   * @returns {ParsedEvent[]} the events that it completes
   */
  push(bytes) {
    const text = this.#decoder.decode(bytes, { stream: true });
    const ends = /\r\n|\r|\n/g;
    const events = [];
    let from = 0;
    // A CR ends its line at once, so that no event waits for what may follow it.
    if (this.#isAfterCr && text) {
      if (text[0] === '\n') from = ends.lastIndex = 1;
      this.#isAfterCr = false;
    }
    for (let end; (end = ends.exec(text)); from = ends.lastIndex) {
      const event = this.#take(this.#line + text.slice(from, end.index));
      this.#line = '';
      if (event) events.push(event);
    }
    this.#line += text.slice(from);
    this.#isAfterCr ||= text.endsWith('\r');
    return events;
  }

  #take(line) {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'data') {
      this.#data = this.#data === null ? value : `${this.#data}\n${value}`;
    } else if (name === 'event') {
      this.#type = value;
    } else if (name === 'id' && !value.includes('\0')) {
      this.#id = value;
      this.#hasId = true;
    } else if (name === 'retry' && /^\d+$/.test(value)) {
      this.retryMs = Number(value);
    }
    return null;
  }

  #dispatch() {
    const event = this.#data !== null && {
      type: this.#type || 'message',
      data: this.#data,
      id: this.#id,
      hasId: this.#hasId,
    };
    this.#type = '';
    this.#data = null;
    this.#hasId = false;
    return event || null;
  }
}

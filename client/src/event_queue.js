/**
 * Events between a subscription and a `for await` loop that takes them one by one.
 */
export class EventQueue {
  #entries = [];
  #end = null;
  #wakers = [];
  #onReturn;

  /** What was taken last: its cursor. @type {?string} */
  cursor = null;

  /** @param {() => void} onReturn called when the loop is left */
  constructor(onReturn) {
    this.#onReturn = onReturn;
  }

  get size() {
    return this.#entries.length;
  }

  /** @param {{event: import('./hub_event.js').HubEvent, cursor: string}[]} entries */
  push(entries) {
    if (this.#end) return;
    // Not by spreading: an array may be longer than a call may have arguments.
    for (const entry of entries) this.#entries.push(entry);
    this.#wake();
  }

  /** Drops what was not taken. */
  clear() {
    this.#entries = [];
  }

  /** What is in the queue can still be taken. @param {?Error} [error] then thrown once */
  end(error = null) {
    this.#end ??= { error };
    this.#wake();
  }

  /** Resolves once fewer than this many events wait to be taken, or none are wanted any more. */
  async room(size) {
    while (this.size >= size && !this.#end) await this.#change();
  }

  async next() {
    while (!this.size && !this.#end) await this.#change();
    if (this.size) {
      const { event, cursor } = this.#entries.shift();
      this.cursor = cursor;
      this.#wake();
      return { value: event, done: false };
    }
    const { error } = this.#end;
    this.#end = { error: null };
    if (error) throw error;
    return { value: undefined, done: true };
  }

  async return(value) {
    this.clear();
    this.end();
    this.#onReturn();
    return { value, done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #change() {
    return new Promise((resolve) => this.#wakers.push(resolve));
  }

  #wake() {
    for (const resolve of this.#wakers.splice(0)) resolve();
  }
}

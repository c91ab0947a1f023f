/**
 * Events between a subscription and a `for await` loop that takes them one by one.
 */
export class EventQueue {
  #entries = [];
  #takers = [];
  #end = null;
  #onReturn;
  #onRoom = null;

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
    while (this.#takers.length && this.size) this.#takers.shift().resolve(this.#taken());
  }

  /** Drops what was not taken. */
  clear() {
    this.#entries = [];
  }

  /** What is in the queue can still be taken. @param {?Error} [error] then thrown once */
  end(error = null) {
    this.#end ??= { error };
    this.#onRoom?.();
    for (const taker of this.#takers.splice(0)) this.#finish().then(taker.resolve, taker.reject);
  }

  /**
   * Resolves once fewer than this many events wait to be taken, or none are wanted any more.
   * @returns {Promise<void>}
   */
  room(size) {
    if (this.size < size || this.#end) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onRoom = () => (this.size < size || this.#end) && resolve();
    });
  }

  next() {
    if (this.size) return Promise.resolve(this.#taken());
    if (this.#end) return this.#finish();
    return new Promise((resolve, reject) => this.#takers.push({ resolve, reject }));
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

  #taken() {
    const { event, cursor } = this.#entries.shift();
    this.cursor = cursor;
    this.#onRoom?.();
    return { value: event, done: false };
  }

  async #finish() {
    const { error } = this.#end;
    this.#end = { error: null };
    if (error) throw error;
    return { value: undefined, done: true };
  }
}

/**
 * The state of a stream, as its listeners see it. Dispatches `statechange`, detail
 * `{state, retryAtMs}`, at each change.
 */
export class StreamState extends EventTarget {
  #state = 'stopped';
  #retryAtMs = null;

  /** `connecting`, `live`, `reconnecting`, `offline` or `stopped`. */
  get state() {
    return this.#state;
  }

  /** When the next try is due, on the wall clock; null if none is due. */
  get retryAtMs() {
    return this.#retryAtMs;
  }

  /** For subclasses. */
  setState(state, retryAtMs = null) {
    if (state === this.#state && retryAtMs === this.#retryAtMs) return;
    this.#state = state;
    this.#retryAtMs = retryAtMs;
    this.emit('statechange', { state, retryAtMs });
  }

  /** For subclasses. */
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

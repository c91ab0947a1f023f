// Turbo Streams: each event's data is a message of <turbo-stream> elements.

import { renderStreamMessage } from '@hotwired/turbo';

const REFRESH = '<turbo-stream action="refresh"></turbo-stream>';

/** @type {typeof import('./turbo.js').streamInto} */
export function streamInto(hub, topics, options = {}) {
  return hub.subscribe(topics, {
    onGap: () => renderStreamMessage(REFRESH),
    ...options,
    onEvent(event) {
      renderStreamMessage(event.data);
      options.onEvent?.(event);
    },
  });
}

/** @type {typeof import('./turbo.js').defineStreamSource} */
export function defineStreamSource(hub, name = 'hub-stream-source') {
  customElements.define(
    name,
    class extends HTMLElement {
      /** @type {import('../barestream.js').Subscription | undefined} */
      #subscription;

      connectedCallback() {
        const topic = this.getAttribute('topic');
        if (!topic) throw new TypeError(`<${name}>: expected the attribute topic`);
        const from = this.getAttribute('from');
        this.#subscription = streamInto(hub, topic, from ? { from } : {});
      }

      disconnectedCallback() {
        this.#subscription?.close();
      }
    },
  );
}

// Runs before the page's own scripts, and keeps each EventSource that they open.

globalThis.streams = [];

globalThis.EventSource = class extends globalThis.EventSource {
  constructor(...given) {
    super(...given);
    globalThis.streams.push(this);
  }
};

/** An update as a page gets it. */
export class HubEvent {
  /** @param {any} raw as Stream and read() give it */
  constructor({ id, place, topic, type, data, replay }) {
    /** The publisher's id, or else the place. @type {string} */
    this.id = id || place;
    /** Where the update stands in the hub's order: `#milliseconds-sequence`. @type {string} */
    this.place = place;
    /** The first of its topics that was asked for; null if the hub names none. @type {?string} */
    this.topic = topic;
    /** @type {string} */
    this.type = type;
    /** @type {string} */
    this.data = data;
    /** Whether it was published before the subscription was live. @type {boolean} */
    this.replay = replay;
  }

  /** @returns {any} the data, which must be JSON: else SyntaxError */
  json() {
    return JSON.parse(this.data);
  }
}

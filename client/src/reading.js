/**
 * Reads in place of a connection, where a proxy holds each stream back until it ends. Few pages need
 * it, so it is loaded when it is needed, and imports nothing.
 */

// Long enough for the hub, short enough for any proxy.
const WAIT_SECONDS = 25;
const READ_LIMIT = 500;
// How long an answer may take beyond its wait.
const ANSWER_SECONDS = 15;

/**
 * @param {import('./link.js').Link} link
 * @param {object} client
 * @param {typeof import('./reads.js').answerOf} client.answerOf
 * @param {typeof import('./place.js').isAfter} client.isAfter
 * @param {typeof import('./place.js').parseId} client.parseId
 * @returns {Promise<{isOver: boolean}>} as connect() gives it
 * @throws {import('./refusal.js').Refusal} or the signal's reason
 */
export async function keepReading(link, { answerOf, isAfter, parseId }) {
  const { request, keys, signal } = link;
  let isReady = false;
  // The first answer comes at once, and so tells where it begins.
  for (let wait = 0; ; wait = WAIT_SECONDS) {
    const params = { include: 'match', last_event_id: link.cursor(), wait, limit: READ_LIMIT };
    const ms = (wait + ANSWER_SECONDS) * 1_000;
    const response = await link.ask(request.address(keys, params), 'application/json', ms);
    const { events, gap, more, ended, cursor } = await answerOf(response, keys, signal);
    /** @type {import('./raw_event.js').Raw[]} */
    const raws = events.map((event) => ({ ...event, replay: !isReady }));
    // An answer tells a gap without its place among the events, which may come before it.
    const after = raws.findIndex(({ place }) => gap?.isBack || isAfter(place, gap?.place));
    if (gap) raws.splice(after < 0 ? raws.length : after, 0, gap);
    isReady ||= !more;
    const { place } = parseId(cursor);
    await link.raws([...raws, { kind: isReady ? 'ready' : 'heartbeat', place, cursor }]);
    if (ended) return { isOver: true };
  }
}

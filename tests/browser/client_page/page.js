/**
 * Subscribes with the client of the hub, as the query says, and writes down all that it is told.
 *
 * The query's `setup` is JSON:
 * - auth: 'none', 'header' or 'cookie'
 * - options: further ones of connect()
 * - subscriptions: of each {topics, options, hasState}
 * - resumes: whether a reload goes on from the cursors that the page had
 */

const setup = JSON.parse(new URLSearchParams(location.search).get('setup'));
const KEPT = `kept ${location.href}`;

const RealDate = Date;
const now = () => performance.timeOrigin + performance.now();

/** Sets the page's clock back, for the page alone. */
globalThis.setClockBack = (byMs) => {
  globalThis.Date = class extends RealDate {
    constructor(...given) {
      super(...(given.length ? given : [RealDate.now() - byMs]));
    }

    static now() {
      return RealDate.now() - byMs;
    }
  };
  return true;
};

const kept = setup.resumes ? JSON.parse(sessionStorage.getItem(KEPT)) : null;

/**
 * Times are milliseconds since 1970.
 * - events: [subscription, number, place, topic, at, replay, user]
 * - gaps: [subscription, gap, at]
 * - states: [detail, at]
 * - snapshots: [subscription, state, gap, at]
 * - ends: [subscription, at]
 * - batches: of onEvents, the number of events
 * - shows: [persisted, at] of each pageshow
 * - hides: the time of each pagehide
 * - fetches: [milliseconds, status] of each request of the page's own
 * - complaints: errors that nobody caught
 */
globalThis.record = kept?.record ?? {
  events: [],
  gaps: [],
  states: [],
  snapshots: [],
  ends: [],
  batches: [],
  shows: [],
  hides: [],
  fetches: [],
  complaints: [],
  longest: 0,
};
globalThis.openStreams = 0;

const record = globalThis.record;
addEventListener('error', ({ message }) => record.complaints.push(message));
addEventListener('unhandledrejection', ({ reason }) => record.complaints.push(String(reason)));
addEventListener('pagehide', () => record.hides.push(now()));
addEventListener('pageshow', ({ persisted }) => record.shows.push([persisted, now()]));

// Counts the streams that this page has open, from its request until it lets go.
const realFetch = fetch;
globalThis.fetch = async (resource, options = {}) => {
  const accepted = new Headers(options.headers).get('accept') ?? '';
  if (!accepted.includes('text/event-stream')) return realFetch(resource, options);
  globalThis.openStreams += 1;
  let isOpen = true;
  const close = () => {
    if (isOpen) globalThis.openStreams -= 1;
    isOpen = false;
  };
  options.signal?.addEventListener('abort', close);
  try {
    const answer = await realFetch(resource, options);
    if (!answer.body) close();
    return answer;
  } catch (error) {
    close();
    throw error;
  }
};

/** Makes a request of the page's own; its time is in the record. */
globalThis.ask = (path, options) => {
  const began = performance.now();
  realFetch(path, options).then(
    (answer) => record.fetches.push([performance.now() - began, answer.status]),
    (error) => record.complaints.push(String(error)),
  );
  return true;
};

// The longest time between two tasks of a timer that is always due.
const channel = new MessageChannel();
let before = null;
channel.port1.onmessage = () => {
  const at = performance.now();
  if (before !== null) record.longest = Math.max(record.longest, at - before);
  before = at;
  setTimeout(() => channel.port2.postMessage(null), 0);
};
globalThis.watchTasks = () => {
  channel.port2.postMessage(null);
  return true;
};
if (setup.watchesTasks) globalThis.watchTasks();

async function token() {
  const answer = await realFetch('/site/token');
  if (!answer.ok) throw new Error(`The backend answers ${answer.status}.`);
  return answer.text();
}

async function renew() {
  const answer = await realFetch('/site/renew', { method: 'POST' });
  if (!answer.ok) throw new Error(`The backend answers ${answer.status}.`);
  return (await answer.json()).expires;
}

const auth = { none: {}, header: { token }, cookie: { renew } }[setup.auth];

// After the fetch that counts: the client may keep the one that it finds.
const { connect } = await import('/.well-known/mercure/barestream.js');
const hub = connect(undefined, { ...auth, ...setup.options });
globalThis.hub = hub;
record.states.push([hub.detail, now()]);
hub.addEventListener('statechange', ({ detail }) => record.states.push([detail, now()]));

globalThis.subscriptions = setup.subscriptions.map(({ topics, options, hasState }, index) => {
  const tell = (event) => {
    const { number, user = null } = event.json();
    const { place, topic, replay } = event;
    record.events.push([index, number, place, topic, now(), replay, user]);
  };
  const from = kept?.cursors[index];
  const given = from ? { from } : { ...options };
  if (hasState) {
    given.getState = async (gap, signal) => {
      const answer = await realFetch('/site/state', { signal });
      if (!answer.ok) throw new Error(`The backend answers ${answer.status}.`);
      const { state, cursor } = await answer.json();
      record.snapshots.push([index, state, gap, now()]);
      return { state, cursor };
    };
  }
  return hub.subscribe(topics, {
    ...given,
    ...(setup.batches
      ? {
          onEvents(events) {
            record.batches.push(events.length);
            events.forEach(tell);
          },
        }
      : { onEvent: tell }),
    onGap: (gap) => record.gaps.push([index, gap, now()]),
    onEnd: () => record.ends.push([index, now()]),
  });
});

function keep() {
  const cursors = globalThis.subscriptions.map(({ cursor }) => cursor);
  sessionStorage.setItem(KEPT, JSON.stringify({ cursors, record }));
}

// Firefox does not keep what a page stores while it is left through the history.
if (setup.resumes) setInterval(keep, 20);

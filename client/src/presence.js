/**
 * Who has subscribed to a topic: its members, and who joins and who leaves; and what tells the hub that
 * the user of this page has left.
 *
 * Loaded by the first page that asks for it. It imports nothing: modules that two chunks share would
 * each cost a page a request.
 */

// Of the hub's topics, wherever a proxy has the hub.
const PRESENCE = '/.well-known/mercure/presence/';

// Whoever logs out waits for it.
const TOLD_WITHIN_MS = 5_000;

/**
 * Keeps the members true: by the hub's list, and by the events after the list's cursor. After a gap
 * the list is read again.
 * @param {any} hub
 * @param {{topic: string, members: Map<string, any>, close: () => void}} presence
 * @param {any} options as Hub.presence takes them
 * @param {object} client
 * @param {AbortSignal} client.signal aborts once the presence is closed
 * @param {(url: string, signal: AbortSignal) => Promise<Response>} client.get
 * @param {(error: unknown) => void} client.report
 */
export function watch(hub, presence, options, { signal, get, report }) {
  const { topic, members } = presence;
  const { onChange, onJoined, onLeft } = options;
  let isFirst = true;

  options.signal?.addEventListener('abort', presence.close, { signal });
  if (options.signal?.aborted) presence.close();

  const call = (listener, argument) => {
    try {
      listener?.(argument)?.catch?.(report);
    } catch (error) {
      report(error);
    }
  };

  /** What is so already, changes nothing: a change after the list's cursor may be in the list. */
  const change = (joined, left) => {
    const gone = left.filter(({ id }) => members.delete(id));
    const come = joined.filter(({ id }) => !members.has(id));
    for (const member of come) members.set(member.id, member);
    if (!isFirst && !gone.length && !come.length) return;
    for (const member of gone) call(onLeft, member);
    if (!isFirst) for (const member of come) call(onJoined, member);
    isFirst = false;
    call(onChange, members);
  };

  const onUserChange = () => {
    members.clear();
    isFirst = true;
    call(onChange, members);
  };
  hub.addEventListener('userchange', onUserChange, { signal });

  hub.subscribe(PRESENCE + encoded(topic), {
    signal,
    async getState(gap, until) {
      const response = await get(addressOf(hub.url, 'presence', `&topic=${encoded(topic)}`), until);
      const { members: state, cursor } = await response.json();
      return { state, cursor };
    },
    onState(list) {
      const there = new Set(list.map(({ id }) => id));
      change(list.map(memberOf), [...members.values()].filter(({ id }) => !there.has(id)));
    },
    onEvent({ type, data }) {
      const { member } = JSON.parse(data);
      if (type === 'barestream.joined') change([memberOf(member)], []);
      else if (type === 'barestream.left') change([], [memberOf(member)]);
    },
  });
}

/**
 * Tells the hub that the user has left. The request outlives the page.
 * @param {string} hubUrl
 * @param {object} leave
 * @param {string} leave.client the name of the stream that the user leaves
 * @param {[string, string][]} leave.topics none: all topics of the stream
 * @param {number} leave.afterSeconds
 * @param {(address: any, signal: AbortSignal) => Promise<?Response>} post
 * @param {any} env
 * @returns {Promise<void>}
 * @throws {import('./refusal.js').Refusal} or the signal's reason
 */
export async function tellLeft(hubUrl, { client, topics, afterSeconds }, post, env) {
  const body = new URLSearchParams([...topics, ['client', client], ['after_seconds', String(afterSeconds)]]);
  const over = new AbortController();
  const timer = env.setTimeout(() => over.abort(), TOLD_WITHIN_MS);
  try {
    await post({ url: addressOf(hubUrl, 'leave'), method: 'POST', body, keepalive: true }, over.signal);
  } finally {
    env.clearTimeout(timer);
  }
}

/** Of the list as of an event: what stays true without another list. */
function memberOf({ id, payload = null }) {
  return { id, payload };
}

/** The address of the hub's own, with the parameters that the hub's address has. */
function addressOf(hubUrl, name, query = '') {
  const [path, ownQuery = ''] = hubUrl.split('#')[0].split(/\?(.*)/s);
  const all = (ownQuery && `&${ownQuery}`) + query;
  return `${path}/${name}${all && `?${all.slice(1)}`}`;
}

/** As the hub encodes it: all but letters, digits and -._~. */
function encoded(text) {
  const byte = (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, byte);
}

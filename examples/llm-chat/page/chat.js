/**
 * The page of one chat. All that it shows of an answer comes from one stream, which it follows from
 * its first event on: a reload and a second tab show the same.
 */

import { connect } from '../client/barestream.js';

const RETRY_MS = 1_000;

const STATUSES = {
  running: 'Writing…',
  reconnecting: 'Reconnecting…',
  stopping: 'Stopping…',
  done: '',
  stopped: 'Stopped.',
  interrupted: 'Interrupted: the process that wrote this answer is gone.',
  failed: 'Failed:',
  expired: 'The time of this answer is over.',
  refused: 'The server did not take it:',
};
const MODEL = ['tokens', 'per_second'];
const UNDER_WAY = ['running', 'reconnecting', 'stopping'];
const OVER = ['done', 'stopped', 'interrupted', 'failed', 'expired'];
const OFFERS_AGAIN = ['stopped', 'interrupted', 'failed', 'expired', 'refused'];

const element = Object.fromEntries(
  ['turn', 'prompt', 'answer', 'hint', 'status', 'form', 'text', 'send', 'stop', 'again'].map(
    (id) => [id, document.getElementById(id)],
  ),
);

const chat = `chats/${encodeURIComponent(nameOfChat())}`;

// The app's own stream: of the hub's client it needs what any stream of events has. It begins with the first
// event for each tab, so tabs do not share it.
const hub = connect(`${chat}/stream`, { dialect: 'mercure', shared: false });
let answer = null;
let status = null;
let retryTimer = null;

/** The chat is in the page's address, so that a reload and a second tab have the same one. */
function nameOfChat() {
  const address = new URL(location.href);
  let name = address.searchParams.get('chat');
  if (!name) {
    // Not randomUUID, which pages without TLS do not have.
    name = Array.from(crypto.getRandomValues(new Uint32Array(2)), (each) => each.toString(36)).join('');
    address.searchParams.set('chat', name);
    history.replaceState(null, '', address);
  }
  return name;
}

function show(newStatus, detail = '') {
  status = newStatus;
  document.documentElement.dataset.status = status;
  element.status.textContent = `${STATUSES[status]} ${detail}`.trim();
  const isUnderWay = UNDER_WAY.includes(status);
  element.send.hidden = isUnderWay;
  element.stop.hidden = !isUnderWay;
  element.stop.disabled = status === 'stopping';
  element.again.hidden = !OFFERS_AGAIN.includes(status) || element.turn.hidden;
}

/** Shows an empty answer to a prompt, in place of the answer before. */
function begin(prompt) {
  element.hint.hidden = true;
  element.turn.hidden = false;
  element.prompt.textContent = prompt;
  element.answer.textContent = '';
  show('running');
}

function append(words) {
  const { scrollHeight, clientHeight, scrollTop } = document.documentElement;
  const isAtBottom = scrollHeight - clientHeight - scrollTop < 40;
  element.answer.append(words);
  if (isAtBottom) scrollTo(0, document.documentElement.scrollHeight);
}

/** What each type of event does. */
const LISTENERS = {
  prompt: begin,
  message: append,
  'barestream.end': (data) => {
    const end = JSON.parse(data);
    show(end.status, end.error);
    // The client comes back with the cursor, and gets 204. Where the hub has nothing of the answer but
    // how it ended, there is no cursor.
    if (!answer.cursor) answer.close();
  },
};

/** Follows from the cursor on, until the answer has ended. */
function follow() {
  answer?.close();
  answer = hub.subscribe([], {
    from: answer?.cursor ?? 'earliest',
    onEvent: ({ type, data }) => LISTENERS[type]?.(data),
    // The hub no longer has some of what comes here.
    onGap: () => append(' […] '),
  });
}

function isFollowing() {
  return hub.state !== 'idle' && hub.state !== 'ended';
}

/** Follows the newest answer of the chat, if it has one and the page does not follow it yet. */
async function resume() {
  if (isFollowing()) return;
  const found = await fetch(chat).catch(() => null);
  if (isFollowing()) return;
  if (found?.ok) {
    follow();
  } else if (found?.status !== 404) {
    // The server or its hub is away.
    clearTimeout(retryTimer);
    retryTimer = setTimeout(resume, RETRY_MS);
  }
}

/** Sends a request about the chat; returns why the server did not take it, or null. */
async function ask(method, query, body) {
  try {
    const answer = await fetch(`${chat}?${query}`, {
      method,
      headers: { 'Content-Type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    return answer.ok ? null : `it answered ${answer.status}.`;
  } catch {
    return 'it does not answer.';
  }
}

async function start(prompt) {
  // The model's length and rate can be in the page's address.
  const given = new URLSearchParams(location.search);
  const query = new URLSearchParams([...given].filter(([name]) => MODEL.includes(name)));
  const refusal = await ask('POST', query, { prompt });
  if (refusal) {
    show('refused', refusal);
    return;
  }
  element.text.value = '';
  show('running');
  // The events of a run come after those of the run before, so the cursor holds.
  if (!isFollowing()) follow();
}

async function stop() {
  show('stopping');
  const refusal = await ask('DELETE', '');
  // Where there was nothing to stop any more, the stream tells the end.
  if (refusal && status === 'stopping') show('running', `The server did not stop it: ${refusal}`);
}

hub.addEventListener('statechange', () => {
  document.documentElement.dataset.stream = hub.state;
  if (hub.state === 'ended' && !OVER.includes(status)) show('expired');
  if (hub.state === 'live' && status === 'reconnecting') show('running');
  if (hub.state === 'waiting' && status === 'running') show('reconnecting');
});
element.form.addEventListener('submit', (event) => {
  event.preventDefault();
  // The key Enter sends the form also while there is no button for it.
  if (!element.send.hidden) start(element.text.value);
});
element.again.addEventListener('click', () => start(element.prompt.textContent));
element.stop.addEventListener('click', stop);
// Another tab may have started an answer since.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') resume();
});

resume();

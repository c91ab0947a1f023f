/** The page /test: shows the live time, and the state of its stream. */

import { placeOf } from './live_stream.js';
import { openStream } from './shared_stream.js';

// With the path, because the same origin may have another hub below another path.
const CURSOR_KEY = `barestream.cursor ${location.pathname}`;
const COUNTDOWN_EACH_MS = 250;

const STATES = {
  connecting: { word: 'Connecting', explanation: 'Opening the stream.' },
  live: { word: 'Live', explanation: 'Each tick arrives as it happens.' },
  reconnecting: {
    word: 'Reconnecting',
    explanation: 'The stream was lost. Missed ticks will follow.',
  },
  offline: {
    word: 'Offline',
    explanation: 'The stream resumes when the network is back.',
  },
  stopped: { word: 'Stopped', explanation: 'Start resumes after the last tick shown.' },
};

const STAMP = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const DATE_FORMAT = new Intl.DateTimeFormat('en-GB', {
  weekday: 'short',
  day: 'numeric',
  month: 'long',
  year: 'numeric',
  timeZone: 'UTC',
});

const root = document.documentElement;
const element = (id) => document.getElementById(id);

const marks = Array.from({ length: 60 }, () => document.createElement('span'));
element('minute').append(...marks);

let eventCount = 0;
let missedCount = 0;
let missedIsAtLeast = false;
let reconnectCount = 0;
let wasLost = false;
let minuteShown = null;

const remembered = recallTick();
const stream = openStream('events', { cursor: remembered?.id ?? null });

stream.addEventListener('message', ({ detail }) => {
  eventCount += 1;
  element('count').textContent = String(eventCount);
  showTick(detail);
  showLag(detail);
  rememberTick(detail);
  showDropped();
});

stream.addEventListener('gap', ({ detail: { missed } }) => {
  if (missed === null) missedIsAtLeast = true;
  else missedCount += missed;
  element('missed').textContent = missedIsAtLeast ? `${missedCount}+` : String(missedCount);
});

stream.addEventListener('statechange', ({ detail: { state } }) => {
  showCountdown();
  if (state === root.dataset.state) return;
  countReconnect(state);
  showState(state);
});

element('toggle').addEventListener('click', () => {
  if (stream.state === 'stopped') stream.start();
  else stream.stop();
});

setInterval(showCountdown, COUNTDOWN_EACH_MS);

if (remembered) showTick(remembered);
announce(STATES.connecting);
stream.start();

function showTick({ id, data }) {
  element('last-id').textContent = id;
  const stamp = STAMP.exec(data);
  if (!stamp) {
    element('time').textContent = data;
    return;
  }
  const [, date, time, offset] = stamp;
  element('time').textContent = time;
  element('time').dateTime = data;
  const zone = /^(Z|[+-]00:00)$/.test(offset) ? 'UTC' : `UTC${offset}`;
  element('date').textContent = `${DATE_FORMAT.format(new Date(date))} · ${zone}`;
  markSecond(`${date} ${time.slice(0, 5)}`, Number(time.slice(6)));
}

function markSecond(minute, second) {
  if (minute !== minuteShown) {
    for (const mark of marks) mark.className = '';
    minuteShown = minute;
  }
  marks.find((mark) => mark.className === 'now')?.classList.replace('now', 'seen');
  marks[second].className = 'now';
}

function showLag({ id, receivedAtMs, isSnapshot }) {
  // A snapshot is older than this client's connection: its age is no delay.
  const place = isSnapshot ? null : placeOf(id);
  element('lag').textContent = place ? `${receivedAtMs - place.ms} ms` : '–';
}

function showDropped() {
  root.dataset.dropped = String(stream.droppedCount);
}

function countReconnect(state) {
  if (state === 'live' && wasLost) {
    reconnectCount += 1;
    element('reconnects').textContent = String(reconnectCount);
  }
  if (state === 'reconnecting' || state === 'offline') wasLost = true;
  if (state === 'live' || state === 'stopped') wasLost = false;
}

function showState(state) {
  root.dataset.state = state;
  element('state').textContent = STATES[state].word;
  element('state-icon').setAttribute('href', `#icon-${state}`);
  element('toggle').textContent = state === 'stopped' ? 'Start' : 'Stop';
  announce(STATES[state]);
}

function announce({ word, explanation }) {
  const spoken = document.createElement('span');
  spoken.className = 'visually-hidden';
  spoken.textContent = `${word}. `;
  element('announcement').replaceChildren(spoken, explanation);
}

function showCountdown() {
  const text = stream.state === 'reconnecting' ? countdown(stream.retryAtMs) : '';
  if (element('countdown').textContent !== text) element('countdown').textContent = text;
}

function countdown(retryAtMs) {
  if (retryAtMs === null) return 'now';
  return `in ${Math.max(1, Math.ceil((retryAtMs - Date.now()) / 1000))} s`;
}

function recallTick() {
  try {
    return JSON.parse(sessionStorage.getItem(CURSOR_KEY));
  } catch {
    return null;
  }
}

function rememberTick({ id, data }) {
  try {
    sessionStorage.setItem(CURSOR_KEY, JSON.stringify({ id, data }));
  } catch {
    // A browser may store no data of the site; then a reload starts without a cursor.
  }
}

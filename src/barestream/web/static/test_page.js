/** The page /test: shows the live time, and the state of its stream. */

import { connect } from '../../.well-known/mercure/barestream.js';

// With the path, because the same origin may have another hub below another path.
const CURSOR_KEY = `barestream.cursor ${location.pathname}`;
const COUNTDOWN_EACH_MS = 250;

// What the page shows for each state of the hub.
const LOOKS = {
  connecting: 'connecting',
  'catching up': 'connecting',
  live: 'live',
  waiting: 'reconnecting',
  offline: 'offline',
  denied: 'denied',
  ended: 'stopped',
  idle: 'stopped',
};

const WORDS = {
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
  denied: { word: 'Denied', explanation: 'The server refuses the stream.' },
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

let lastTick = recallTick();
let subscription = null;

const hub = connect('events', { dialect: 'mercure' });

hub.addEventListener('statechange', () => {
  const look = lookOf(hub.state);
  showCountdown();
  if (look === root.dataset.state) return;
  countReconnect(look);
  showLook(look);
});

element('toggle').addEventListener('click', () => {
  if (subscription) stop();
  else start();
});

setInterval(showCountdown, COUNTDOWN_EACH_MS);

if (lastTick) showTick(lastTick);
announce(WORDS.connecting);
start();

function start() {
  // Without a cursor the server sends its newest tick, whose age is no delay.
  let isSnapshot = lastTick === null;
  subscription = hub.subscribe([], {
    ...(lastTick && { from: lastTick.id }),
    onEvent({ id, data }) {
      eventCount += 1;
      element('count').textContent = String(eventCount);
      lastTick = { id, data };
      showTick(lastTick);
      element('lag').textContent = isSnapshot ? '–' : `${Date.now() - msOf(id)} ms`;
      isSnapshot = false;
      rememberTick();
    },
    onGap({ missed }) {
      if (missed === null) missedIsAtLeast = true;
      else missedCount += missed;
      element('missed').textContent = missedIsAtLeast ? `${missedCount}+` : String(missedCount);
    },
  });
}

function stop() {
  subscription.close();
  subscription = null;
}

function lookOf(state) {
  const look = LOOKS[state];
  return look === 'connecting' && wasLost ? 'reconnecting' : look;
}

// The id of a tick is its time: #milliseconds-sequence.
function msOf(id) {
  return Number(/^#(\d+)-/.exec(id)?.[1]);
}

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

function countReconnect(look) {
  if (look === 'live' && wasLost) {
    reconnectCount += 1;
    element('reconnects').textContent = String(reconnectCount);
  }
  if (look === 'reconnecting' || look === 'offline') wasLost = true;
  if (look === 'live' || look === 'stopped') wasLost = false;
}

function showLook(look) {
  root.dataset.state = look;
  element('state').textContent = WORDS[look].word;
  element('state-icon').setAttribute('href', `#icon-${look === 'denied' ? 'offline' : look}`);
  element('toggle').textContent = look === 'stopped' ? 'Start' : 'Stop';
  announce(WORDS[look]);
}

function announce({ word, explanation }) {
  const spoken = document.createElement('span');
  spoken.className = 'visually-hidden';
  spoken.textContent = `${word}. `;
  element('announcement').replaceChildren(spoken, explanation);
}

function showCountdown() {
  const text = lookOf(hub.state) === 'reconnecting' ? countdown(hub.detail.retryAt) : '';
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

function rememberTick() {
  try {
    sessionStorage.setItem(CURSOR_KEY, JSON.stringify(lastTick));
  } catch {
    // A browser may store no data of the site; then a reload starts without a cursor.
  }
}

/**
 * A SharedWorker that hands out one lock, for pages on plain HTTP, where there are no Web Locks.
 * Each tab has a port. A tab posts `want`, `steal`, `bye`, and answers `ping` by `pong`; it is
 * posted `held` and `lost`.
 *
 * A worker is not told that a tab is gone. So it pings the holder, and a holder that is silent for
 * SILENCE_MS loses the lock: three pings, since a busy page may answer one of them late.
 */

const PING_EACH_MS = 5_000;
const SILENCE_MS = 15_000;

let queue = [];
let holder = null;
let silentMs = 0;
let timer = null;

function hold(port) {
  holder = port;
  silentMs = 0;
  clearTimeout(timer);
  timer = port && setTimeout(ping, PING_EACH_MS);
  port?.postMessage('held');
}

function lose() {
  holder?.postMessage('lost');
  hold(queue.shift() ?? null);
}

// Counts its own waits, not the clock's: a laptop that slept has no silent tabs.
function ping() {
  silentMs += PING_EACH_MS;
  if (silentMs > SILENCE_MS) return lose();
  holder.postMessage('ping');
  timer = setTimeout(ping, PING_EACH_MS);
}

function leave(port) {
  queue = queue.filter((other) => other !== port);
  if (port === holder) hold(queue.shift() ?? null);
}

/** @type {any} */ (self).onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data === 'pong') {
      if (port === holder) silentMs = 0;
      return;
    }
    leave(port);
    if (data === 'want') {
      if (holder) queue.push(port);
      else hold(port);
    } else if (data === 'steal') {
      queue.unshift(port);
      lose();
    }
  };
};

/**
 * A hub in memory, as `fetch` of the client's modules sees it. Its limits: topics are compared as
 * they are, nothing leaves the history, and an update for one user is readable by that token alone.
 * Who is a topic's member is what a test says by join() and part().
 */

const PROBLEM = { 'Content-Type': 'application/problem+json' };

export class FakeHub {
  log = [];
  streams = new Set();
  requests = [];
  published = [];
  /** Answers in place of the hub, for one request each: a Response, or an Error of the network. */
  answers = [];
  /** The form of each request to leave. */
  left = [];
  /** What each list of members waits for before it is sent. */
  listsSent = Promise.resolve();
  #members = new Map();
  #second = 100;

  fetch = async (url, { method, headers = {}, body, signal }) => {
    const request = { url, method, headers, query: new URL(url).searchParams, body };
    this.requests.push(request);
    if (this.answers.length > 0 && (method === 'POST' || !this.onlyPublishes)) {
      const answer = this.answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    }
    const { pathname } = new URL(url);
    if (pathname.endsWith('/presence')) return this.#list(request);
    if (pathname.endsWith('/leave')) {
      this.left.push(Object.fromEntries(new URLSearchParams(String(body))));
      return new Response(null, { status: 204 });
    }
    if (method === 'POST') return this.#publish(request);
    if (headers.Accept === 'application/json') return this.#read(request);
    return this.#stream(request, signal);
  };

  onlyPublishes = true;

  get newest() {
    return `#${this.#second * 1_000}-0`;
  }

  /** @param {string} topic @param {string} data @param {?string} [user] who alone may read it */
  publish(topic, data, { user = null, end = false, type = 'message' } = {}) {
    this.#second += 1;
    const update = { second: this.#second, topic, data, user, end, type };
    this.log.push(update);
    for (const stream of this.streams) this.#send(stream, update);
  }

  /** A user subscribes to a topic for the first time. */
  join(topic, id, payload) {
    this.#membersOf(topic).set(id, { id, payload });
    this.#tellMember('barestream.joined', topic, { id, payload });
  }

  /** A user's last subscription to a topic ends. */
  part(topic, id) {
    const member = this.#membersOf(topic).get(id);
    this.#membersOf(topic).delete(id);
    this.#tellMember('barestream.left', topic, member);
  }

  /** What was published until now is gone for those who have not had it. */
  forget() {
    const from = this.newest;
    this.#second += 1;
    this.log = [];
    const data = JSON.stringify({ from, to: this.newest, missed: 1 });
    for (const stream of this.streams) this.#write(stream, 'barestream.gap', this.newest, data);
  }

  /** A change of which no event comes. */
  changeUnseen(topic, { joined = [], left = [] }) {
    for (const id of joined) this.#membersOf(topic).set(id, { id });
    for (const id of left) this.#membersOf(topic).delete(id);
  }

  #membersOf(topic) {
    if (!this.#members.has(topic)) this.#members.set(topic, new Map());
    return this.#members.get(topic);
  }

  #tellMember(type, topic, member) {
    const name = `/.well-known/mercure/presence/${encodeURIComponent(topic)}`;
    this.publish(name, JSON.stringify({ topic, member }), { type });
  }

  async #list({ query }) {
    const members = [...this.#membersOf(query.get('topic')).values()];
    const list = { topic: query.get('topic'), cursor: this.newest, members };
    await this.listsSent;
    return Response.json(list);
  }

  cut() {
    for (const { controller } of this.streams) controller.close();
    this.streams.clear();
  }

  #publish(request) {
    const form = new URLSearchParams(String(request.body));
    this.published.push(form);
    this.publish(form.get('topic'), form.get('data'));
    return new Response(form.get('id'), { headers: { 'Content-Type': 'text/plain' } });
  }

  #stream(request, signal) {
    const topics = request.query.getAll('topic');
    // The dialect mercure names it as other hubs do.
    const from = request.query.get('last_event_id') ?? request.query.get('lastEventID');
    const after = secondOf(from) ?? this.#second;
    const stream = { topics, user: userOf(request), controller: null };
    const body = new ReadableStream({
      start: (controller) => {
        stream.controller = controller;
      },
      cancel: () => this.streams.delete(stream),
    });
    signal?.addEventListener('abort', () => this.streams.delete(stream));
    this.streams.add(stream);
    this.#write(stream, 'barestream.heartbeat', `#${after * 1_000}-0`, '');
    for (const update of this.log) if (update.second > after) this.#send(stream, update);
    this.#write(stream, 'barestream.ready', this.newest, '{"empty": []}');
    return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
  }

  #send(stream, update) {
    const { second, topic, data, end, type } = update;
    // As an address of another server that has one stream.
    if (stream.topics.length === 0) return this.#write(stream, 'message', `#${second * 1_000}-0`, data);
    const at = stream.topics.indexOf(topic);
    if (at < 0 || !isReadable(update, stream.user)) return;
    const id = `#${second * 1_000}-0;${encodeURIComponent(topic)};;${at}${end ? ';end' : ''}`;
    this.#write(stream, type, id, data);
  }

  #write({ controller }, type, id, data) {
    const text = `event: ${type}\ndata: ${data}\nid: ${id}\n\n`;
    controller.enqueue(new TextEncoder().encode(text));
  }

  #read(request) {
    const topics = request.query.getAll('topic');
    const after = secondOf(request.query.get('last_event_id')) ?? 0;
    const rewind = request.query.get('rewind');
    const user = userOf(request);
    const events = this.log
      .filter((each) => each.second > after && topics.includes(each.topic) && isReadable(each, user))
      .slice(rewind && !request.query.has('last_event_id') ? -Number(rewind) : 0)
      .map(({ second, topic, data, end, type }) => {
        const place = `#${second * 1_000}-0`;
        const matches = [topics.indexOf(topic)];
        return { id: place, place, topic, type, data, matches, end };
      });
    const page = { events, gap: null, more: false, ended: false, cursor: this.newest };
    return Response.json(page);
  }
}

/** An answer of the hub's that says what is wrong. */
export function problem(status, detail, headers = {}) {
  return new Response(JSON.stringify({ status, detail }), { status, headers: { ...PROBLEM, ...headers } });
}

function isReadable({ user }, reader) {
  return user === null || user === reader;
}

function userOf({ headers }) {
  return headers.Authorization?.replace('Bearer ', '') ?? null;
}

function secondOf(cursor) {
  return cursor === null ? null : Number(/^#(\d+)-/.exec(cursor)[1]) / 1_000;
}

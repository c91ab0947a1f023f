// All of the public API, used as it is meant: the compiler must take this.

import {
  type Callbacks,
  connect,
  DeniedError,
  type Detail,
  type Expiry,
  type Gap,
  type Hub,
  type HubEvent,
  type Member,
  type Options,
  type Presence,
  type PresenceOptions,
  type PublishOptions,
  type Snapshot,
  type State,
  type SubscribeOptions,
  type Subscription,
  type Topic,
} from 'barestream';

interface Order {
  id: number;
  state: string;
}

const expiries: Expiry[] = [new Date(), 1_795_366_712, null, undefined];
const options: Options = {
  token: async () => 'a.jwt',
  renew: async () => expiries[0],
  credentials: 'include',
  shared: true,
  identity: 'anna',
  protocol: '1.0',
  dialect: 'mercure',
  fetch: globalThis.fetch,
};
connect(new URL('https://hub.example/.well-known/mercure'), { token: 'a.jwt' });
connect('/events', { renew: () => {} });
const hub: Hub = connect('/.well-known/mercure', options);

const url: string = hub.url;
const state: State = hub.state;
const detail: Detail = hub.detail;
const texts: (string | null)[] = [url, state, detail.state, detail.reason, detail.via];
const numbers: (number | null)[] = [detail.retryAt, detail.status];
const onChange = (event: CustomEvent<Detail>) => void [event.detail.state, texts, numbers];
hub.addEventListener('statechange', onChange, { once: true });
hub.removeEventListener('statechange', onChange);

const topics: Topic[] = ['/orders/1', { pattern: '/orders/:id' }];
const callbacks: Callbacks = {
  signal: new AbortController().signal,
  onEvent(event: HubEvent) {
    const order = event.json<Order>();
    const shown: string[] = [event.id, event.place, event.type, event.data, order.state];
    const topic: string | null = event.topic;
    const replay: boolean = event.replay;
    void [shown, topic, replay];
  },
  onEvents: (events) => void events.map((event) => event.json().state),
  onGap({ missed, from, isBack }: Gap) {
    const told: [number | null, string | null, boolean] = [missed, from, isBack];
    void told;
  },
  onEnd: () => {},
};
hub.subscribe('/orders/1');
hub.subscribe(topics, { ...callbacks, rewind: 10 });
hub.subscribe(topics, { rewind: '30s' });
hub.subscribe(topics, { rewind: 'kept' });
hub.subscribe(topics, { from: 'earliest' });

const withState: SubscribeOptions<Order[]> = {
  async getState(gap, signal): Promise<Snapshot<Order[]>> {
    const missed: number | null | undefined = gap?.missed;
    void missed;
    return (await fetch('/orders', { signal })).json();
  },
  onState: (orders) => void orders.map((order) => order.id),
};
const subscription: Subscription = hub.subscribe(topics, withState);
hub.subscribe(topics, {
  getState: () => ({ state: new Map<string, Order>(), cursor: '#1-0' }),
  onState: (orders) => void orders.get('/orders/1')?.state,
});

const cursor: string | null = subscription.cursor;
const named: readonly Topic[] = subscription.topics;
void [cursor, named];
subscription.close();

interface Person {
  name: string;
}
const presenceOptions: PresenceOptions<Person> = {
  signal: new AbortController().signal,
  onChange: (members) => void [...members.values()].map(({ id, payload }) => payload?.name ?? id),
  onJoined: (member: Member<Person>) => void member.payload?.name,
  onLeft: ({ id }) => void id.length,
};
const presence: Presence<Person> = hub.presence('/rooms/1', presenceOptions);
const names: (string | undefined)[] = [presence.topic, presence.members.get('ada')?.payload?.name];
void [names, hub.presence('/rooms/2').members.get('ada')?.payload.anything];
presence.close();

export async function follow(): Promise<string> {
  try {
    for await (const event of hub.subscribe('/orders/1')) console.log(event.data);
  } catch (error) {
    if (error instanceof DeniedError) console.log(error.message, error.status);
  }
  const publishing: PublishOptions = {
    private: true,
    id: 'order-1',
    type: 'order',
    retry: 1000,
    keep: 'forever',
    end: true,
    signal: new AbortController().signal,
  };
  const id: string = await hub.publish(['/orders/1', '/orders'], { id: 1 }, publishing);
  await hub.publish('/orders/1', 'text', { keep: 60, end: 60 });
  await hub.leave('/rooms/1');
  await hub.leave(['/rooms/1', { pattern: '/rooms/:id' }]);
  await hub.leave();
  hub.identify('anna');
  hub.identify();
  hub.close();
  return id + (await hub.cursor());
}

// The adapters, used as they are meant, and some mistakes.

import { useChat } from '@ai-sdk/react';
import { connect } from 'barestream';
import { RunChatTransport } from 'barestream/ai-sdk';
import { useEvents, useHubState, useLiveState, useSubscription } from 'barestream/react';
import { events, hubState, liveState } from 'barestream/svelte';
import { defineStreamSource, streamInto } from 'barestream/turbo';
import * as vue from 'barestream/vue';
import { ref } from 'vue';

const hub = connect();

interface Order {
  id: number;
}

const orders = {
  getState: async () => ({ state: [] as Order[], cursor: '#1-0' }),
  reduce: (all: Order[], event: { json(): any }) => [...all, event.json()],
};

export function Page() {
  useSubscription(hub, '/orders', { onEvent: (event) => console.log(event.data) });
  const shown = useEvents(hub, ['/orders'], { rewind: 10, limit: 5 });
  const all: Order[] | undefined = useLiveState(hub, '/orders', orders);
  const { state } = useHubState(hub);
  const transport = new RunChatTransport({ api: '/api/chat', onIdle: (chat) => console.log(chat) });
  const { messages } = useChat({ id: 'chat', transport });
  void transport.stop('chat');
  // @ts-expect-error: an event has no name
  shown[0]?.name;
  // @ts-expect-error: it is undefined at first
  all.length;
  // @ts-expect-error: a limit is a number
  useEvents(hub, '/orders', { limit: '5' });
  // @ts-expect-error: it needs getState
  useLiveState(hub, '/orders', { reduce: (state: number) => state });
  return <p title={state}>{messages.length}</p>;
}

export function setup() {
  const topic = ref('/orders/1');
  vue.useSubscription(hub, topic);
  const first: string | undefined = vue.useEvents(hub, () => ['/orders'], { rewind: 10 }).value[0]?.data;
  const ids: number[] | undefined = vue.useLiveState(hub, topic, orders).value?.map(({ id }) => id);
  const state: string = vue.useHubState(hub).value.state;
  // @ts-expect-error: topics are texts
  vue.useEvents(hub, ref(1));
  return [first, ids, state];
}

events(hub, '/orders', { rewind: 'kept' }).subscribe((all) => all.map((event) => event.data));
liveState(hub, '/orders', orders).subscribe((all) => all?.map(({ id }) => id));
hubState(hub).subscribe(({ state }) => state);
// @ts-expect-error: rewind and from exclude each other
events(hub, '/orders', { rewind: 'kept', from: '#1-0' });

streamInto(hub, '/orders', { from: '#1-0' }).close();
defineStreamSource(hub, 'order-source');
// @ts-expect-error: a name is a text
defineStreamSource(hub, 1);

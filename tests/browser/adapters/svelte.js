// The sample of the README, and the store that it does not use.

import { connect } from 'barestream';
import { liveState } from 'barestream/svelte';
import { mount, unmount } from 'svelte';

import Orders from './sample.svelte';
import Count from './Count.svelte';

const hub = connect();
const count = liveState(hub, '/orders', {
  getState: async () => ({ state: 0, cursor: await hub.cursor() }),
  reduce: (count) => count + 1,
});

let mounted;
globalThis.mount = () => {
  const target = document.querySelector('#root');
  mounted = [mount(Orders, { target }), mount(Count, { target, props: { count } })];
};
globalThis.unmount = () => mounted.forEach((each) => void unmount(each));
globalThis.mount();

// The sample of the README, and the composables that it does not use.

import { connect } from 'barestream';
import { useLiveState, useSubscription } from 'barestream/vue';
import { createApp, h, reactive, ref, watch } from 'vue';

import Orders from './sample.vue';

// A page may keep the hub in something reactive, which gives out a proxy of it.
const { hub } = reactive({ hub: connect() });
globalThis.told = [];

const Watched = {
  setup() {
    const topic = ref('/first');
    globalThis.watch = (other) => (topic.value = other);
    globalThis.counted = 0;
    useSubscription(hub, topic, {
      onEvent: (event) => globalThis.told.push(`${globalThis.counted++} ${event.data}`),
    });
    // After the watcher of the composable.
    watch(topic, (other) => (globalThis.followed = other), { flush: 'post' });
    const count = useLiveState(hub, '/orders', {
      getState: async () => ({ state: 0, cursor: await hub.cursor() }),
      reduce: (count) => count + 1,
    });
    return () => h('p', { id: 'count' }, count.value);
  },
};

let app;
globalThis.mount = () => {
  app = createApp({ render: () => [h(Orders), h(Watched)] });
  app.mount('#root');
};
globalThis.unmount = () => app.unmount();
globalThis.mount();

// The sample of the README, and the hooks that it does not use.

import { connect } from 'barestream';
import { useLiveState, useSubscription } from 'barestream/react';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

import { Orders } from './sample.jsx';

const hub = connect();
globalThis.told = [];

const counting = {
  getState: async () => ({ state: 0, cursor: await hub.cursor() }),
  reduce: (count) => count + 1,
};

function Watched() {
  const [topic, setTopic] = useState('/first');
  globalThis.watch = setTopic;
  const [told, setTold] = useState(0);
  // It is another function at each render, and has that render's count.
  useSubscription(hub, topic, {
    onEvent(event) {
      globalThis.told.push(`${told} ${event.data}`);
      setTold(told + 1);
    },
  });
  // After the effects of the hook.
  useEffect(() => {
    globalThis.followed = topic;
    globalThis.counted = told;
  });
  return <p id="count">{useLiveState(hub, '/orders', counting)}</p>;
}

let root;
globalThis.mount = () => {
  root = createRoot(document.querySelector('#root'));
  root.render(<><Orders /><Watched /></>);
};
globalThis.unmount = () => root.unmount();
globalThis.mount();

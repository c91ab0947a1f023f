// Follows a stream by npm's eventsource-client, which comes back by itself.

import { createEventSource } from 'eventsource-client';

const tell = (report) => console.log(JSON.stringify(report));

const source = createEventSource({
  url: process.argv[2],
  onConnect: () => tell({ open: true }),
  onMessage: ({ event, data, id }) => tell({ type: event ?? 'message', data, id: id ?? '' }),
  onDisconnect: () => {
    // Its state comes after this call.
    setTimeout(() => source.readyState === 'closed' && tell({ closed: true }));
  },
});

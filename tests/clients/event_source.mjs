/** Follows a stream by any EventSource; it must be told the types, since each has a listener. */
export function follow(EventSource, url, types, tell) {
  const source = new EventSource(url);
  source.addEventListener('open', (event) => {
    // An update of the type "open" is an event too, with data.
    if (event.data === undefined) tell({ open: true });
  });
  for (const type of types) {
    source.addEventListener(type, ({ data, lastEventId }) => {
      if (data !== undefined) tell({ type, data, id: lastEventId });
    });
  }
  return source;
}

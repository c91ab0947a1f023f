// A channel a topic, by better-sse's guide to channels, on Node's own server: no framework.
//
//   node server.mjs PORT|SOCKET

import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { createChannel, createSession } from "better-sse";

const channels = new Map();

// The topic is all that the query has.
function channelOf(url) {
  const topic = url.slice(url.indexOf("=") + 1);
  if (!channels.has(topic)) channels.set(topic, createChannel());
  return channels.get(topic);
}

async function answer(request, response) {
  const channel = channelOf(request.url);
  if (request.method === "POST") {
    channel.broadcast(await text(request));
    response.writeHead(204).end();
  } else {
    // As it was published: the default makes JSON of it.
    channel.register(await createSession(request, response, { serializer: String }));
  }
}

// The queue of our nginx.
const backlog = 4096;
const [place] = process.argv.slice(2);
const port = Number(place);
const server = createServer((request, response) => {
  // A client that has left by now is no reason to end, which Node has in mind.
  answer(request, response).catch(() => response.destroy());
});
server.listen(port ? { host: "127.0.0.1", port, backlog } : { path: place, backlog });

// Follows a stream by npm's eventsource, which comes back by itself.

import { EventSource } from 'eventsource';

import { follow } from './event_source.mjs';

const [, , url, types] = process.argv;

follow(EventSource, url, JSON.parse(types), (report) => console.log(JSON.stringify(report)));

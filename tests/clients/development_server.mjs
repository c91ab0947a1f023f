// A development server in front of the service, of the parts that webpack's is made of.
//
//   node development_server.mjs PORT TARGET

import compression from 'compression';
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';

const [, , port, target] = process.argv;

// Large enough to be compressed: from 1 KB on.
const page = `<!doctype html><title>page</title>${'<p>a paragraph'.repeat(100)}`;

express()
  .use(compression())
  .get('/page', (_, response) => response.type('html').send(page))
  .use(createProxyMiddleware({ target, changeOrigin: true }))
  .listen(Number(port), '127.0.0.1');

import type { FastifyReply } from 'fastify';
import { pageHeaders, type Page } from './layout.js';

/** Sends a page with the security headers of all pages. */
export function sendPage(reply: FastifyReply, { status, markup }: Page): void {
  void reply.status(status).headers(pageHeaders).send(markup);
}

/** Sends the browser on after a form or a callback (303: by GET), leaving no trace in caches and referrers. */
export function sendOn(reply: FastifyReply, url: string): void {
  void reply
    .status(303)
    .headers({ Location: url, 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' })
    .send();
}

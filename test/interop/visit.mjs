// What the clients take for a web browser: opens the address, presses the first button of every page (which allows), keeps cookies by origin,
// follows redirects up to the client's own loopback address. Without a screen, without JavaScript.
import { appendFileSync } from 'node:fs';

const REDIRECTS = 30;
const jar = new Map();

async function ask(url, body) {
  const cookies = [...(jar.get(url.origin) ?? new Map())].map(([name, value]) => `${name}=${value}`).join('; ');
  const response = await fetch(url, {
    method: body ? 'POST' : 'GET',
    redirect: 'manual',
    headers: {
      accept: 'text/html,application/xhtml+xml',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-site': body ? 'same-origin' : 'none',
      ...(cookies && { cookie: cookies }),
      ...(body && { origin: url.origin }),
    },
    body,
  });
  for (const line of response.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    if (!jar.has(url.origin)) jar.set(url.origin, new Map());
    jar.get(url.origin).set(name, value);
  }
  return response;
}

const attribute = (tag, name) => new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1].replaceAll('&amp;', '&') ?? null;

/** The first form of a page as its first button sends it; null: no form. */
function pressFirst(text, url) {
  const [, head, inner] = /<form([^>]*)>([\s\S]*?)<\/form>/.exec(text) ?? [];
  if (inner === undefined) return null;
  const body = new URLSearchParams();
  for (const [tag] of inner.matchAll(/<(?:input[^>]*|button[^>]*)>/g)) {
    const name = attribute(tag, 'name');
    const off = attribute(tag, 'type') === 'checkbox' && !/\schecked\b/.test(tag);
    if (name && !off) body.append(name, attribute(tag, 'value') ?? 'on');
    if (tag.startsWith('<button')) break;
  }
  return { url: new URL(attribute(head, 'action') || url, url), body };
}

let next = { url: new URL(process.argv.at(-1)) };
for (let hop = 0; next && hop < REDIRECTS; hop++) {
  const { url } = next;
  const response = await ask(url, next.body);
  const text = await response.text();
  if (process.env.VISIT_LOG) appendFileSync(process.env.VISIT_LOG, `${response.status} ${url.href.split('?')[0]}\n`);
  const location = response.headers.get('location');
  next = location ? { url: new URL(location, url) } : response.ok ? pressFirst(text, url) : null;
}

/** A cookie as a browser keeps it. */
interface StoredCookie {
  readonly name: string;
  value: string;
  readonly host: string;
  readonly path: string;
  readonly httpOnly: boolean;
  readonly secure: boolean;
  readonly sameSite: string;
}

/** A page or redirect as the scripted browser saw it. */
export interface Seen {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A form found in a page. */
export interface SeenForm {
  readonly action: URL;
  readonly fields: URLSearchParams;
  /** Submit buttons: `name=value` → text. */
  readonly buttons: ReadonlyMap<string, string>;
}

const REDIRECTS = 20;

/** A browser without a screen: keeps cookies by host and path, follows redirects, fills in forms. Stops before hosts it must not visit. */
export class Browser {
  readonly cookies: StoredCookie[] = [];
  /** Everything it was shown, in order. */
  readonly seen: Seen[] = [];

  /** @param stopAt redirects to these origins (or schemes, `cursor:`) are not followed: the client's own address */
  constructor(private readonly stopAt: readonly string[]) {}

  /** The newest answer. */
  get last(): Seen {
    const last = this.seen.at(-1);
    if (!last) throw new Error('nothing was visited');
    return last;
  }

  /** Types an address: `Sec-Fetch-Site: none`; a link of another site sends `cross-site`. */
  async open(url: URL | string, fetchSite: 'none' | 'same-origin' | 'cross-site' = 'none'): Promise<Seen> {
    return this.#go(new URL(url), { method: 'GET', fetchSite });
  }

  /** Presses a button of the newest page, for example `provider=github`. `ticked`: the checkboxes left on; undefined: as the page has them. */
  async press(button: string, ticked?: readonly string[]): Promise<Seen> {
    const form = formsOf(this.last).find(({ buttons }) => buttons.has(button));
    if (!form) throw new Error(`no button ${button} on ${this.last.url.href}: ${this.last.text.slice(0, 2000)}`);
    const body = new URLSearchParams(form.fields);
    if (ticked) {
      body.delete('scope');
      for (const scope of ticked) body.append('scope', scope);
    }
    const [name = '', value = ''] = button.split('=');
    body.append(name, value);
    return this.submit(form.action, body);
  }

  /** Opens an address and stops at its redirect. @returns where that leads */
  async step(url: URL | string): Promise<URL> {
    const seen = await this.#fetch(new URL(url), { method: 'GET', body: undefined, fetchSite: 'cross-site' });
    return new URL(seen.headers.get('location') ?? '', seen.url);
  }

  /** Sends a form. */
  async submit(
    action: URL,
    body: URLSearchParams,
    fetchSite: 'same-origin' | 'cross-site' = 'same-origin',
  ): Promise<Seen> {
    return this.#go(action, { method: 'POST', body, fetchSite });
  }

  /** The `Location` of the newest answer, where following stopped; throws when the newest answer is a page. */
  get stoppedAt(): URL {
    const location = this.last.headers.get('location');
    if (location === null)
      throw new Error(`not a redirect: ${this.last.status} ${this.last.url.href}\n${this.last.text.slice(0, 3000)}`);
    return new URL(location, this.last.url);
  }

  /** A second browser with the same cookies, as a second tab: shares the jar. */
  tab(): Browser {
    const tab = new Browser(this.stopAt);
    Object.defineProperty(tab, 'cookies', { value: this.cookies });
    return tab;
  }

  async #go(start: URL, first: { method: 'GET' | 'POST'; body?: URLSearchParams; fetchSite: string }): Promise<Seen> {
    let url = start;
    let { method, body } = first;
    for (let hop = 0; hop < REDIRECTS; hop++) {
      const seen = await this.#fetch(url, { method, body, fetchSite: first.fetchSite });
      const location = seen.headers.get('location');
      if (location === null || seen.status < 300 || seen.status > 399) return seen;
      const next = new URL(location, url);
      if (this.stopAt.includes(next.origin) || this.stopAt.includes(next.protocol)) return seen;
      url = next;
      method = 'GET';
      body = undefined;
    }
    throw new Error(`more than ${REDIRECTS} redirects from ${start.href}`);
  }

  async #fetch(
    url: URL,
    request: { method: string; body: URLSearchParams | undefined; fetchSite: string },
  ): Promise<Seen> {
    const cookie = this.cookies
      .filter(({ host, path }) => host === url.hostname && covers(path, url.pathname))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
    const response = await fetch(url, {
      method: request.method,
      redirect: 'manual',
      headers: {
        accept: 'text/html,application/xhtml+xml',
        'sec-fetch-site': request.fetchSite,
        'sec-fetch-mode': 'navigate',
        ...(cookie === '' ? {} : { cookie }),
        ...(request.body ? { 'content-type': 'application/x-www-form-urlencoded', origin: url.origin } : {}),
      },
      ...(request.body ? { body: request.body.toString() } : {}),
    });
    for (const line of response.headers.getSetCookie()) this.#keep(line, url);
    const seen = { url, status: response.status, headers: response.headers, text: await response.text() };
    this.seen.push(seen);
    return seen;
  }

  #keep(line: string, url: URL): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const equals = pair.indexOf('=');
    const attribute = (name: string): string | undefined =>
      attributes.find((one) => one.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
    const has = (name: string): boolean => attributes.some((one) => one.toLowerCase() === name);
    const cookie: StoredCookie = {
      name: pair.slice(0, equals),
      value: pair.slice(equals + 1),
      host: url.hostname,
      path: attribute('path') ?? '/',
      httpOnly: has('httponly'),
      secure: has('secure'),
      sameSite: attribute('samesite') ?? '',
    };
    const index = this.cookies.findIndex(
      ({ name, host, path }) => name === cookie.name && host === cookie.host && path === cookie.path,
    );
    if (index >= 0) this.cookies.splice(index, 1);
    const expires = attribute('expires');
    const over = attribute('max-age') === '0' || (expires !== undefined && Date.parse(expires) <= Date.now());
    if (!over) this.cookies.push(cookie);
  }
}

/** The forms of a page, with their hidden fields, checked boxes and buttons. */
export function formsOf({ text, url }: Seen): SeenForm[] {
  return [...text.matchAll(/<form([^>]*)>([\s\S]*?)<\/form>/g)].map(([, head = '', body = '']) => {
    const fields = new URLSearchParams();
    for (const [tag] of body.matchAll(/<input[^>]*>/g)) {
      const name = attributeOf(tag, 'name');
      const type = attributeOf(tag, 'type');
      if (name === null || (type === 'checkbox' && !/\schecked\b/.test(tag))) continue;
      fields.append(name, attributeOf(tag, 'value') ?? 'on');
    }
    const buttons = new Map<string, string>();
    for (const [, tag = '', label = ''] of body.matchAll(/<button([^>]*)>([\s\S]*?)<\/button>/g))
      buttons.set(`${attributeOf(tag, 'name') ?? ''}=${attributeOf(tag, 'value') ?? ''}`, label);
    return { action: new URL(attributeOf(head, 'action') ?? '', url), fields, buttons };
  });
}

/** What a person reads of a page, tags and entities undone. */
export function readable(seen: Seen): string {
  return unescape(
    seen.text
      .replace(/<style>[\s\S]*?<\/style>/g, '')
      .replace(/<[^>]*>/g, '')
      .replace(/\s+/g, ' '),
  );
}

function attributeOf(tag: string, name: string): string | null {
  const match = new RegExp(`\\s${name}="([^"]*)"`).exec(tag);
  return match ? unescape(match[1]!) : null;
}

function unescape(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
}

function covers(cookiePath: string, path: string): boolean {
  return path === cookiePath || path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`);
}

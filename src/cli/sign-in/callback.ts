import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { html } from '../../oauth/pages/html.js';
import { page, pageHeaders, type Page } from '../../oauth/pages/layout.js';
import { CommandFailed } from '../failure.js';

const PATH = '/callback';

/** Where the browser comes back to: `http://127.0.0.1:<port>/callback`, listening on loopback only (RFC 8252 §7.3, §8.3). */
export class Callback {
  readonly redirectUri: string;
  readonly #host: string;
  #expected: { readonly state: string; readonly arrived: (parameters: URLSearchParams) => void } | null = null;

  private constructor(private readonly server: Server) {
    this.#host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.redirectUri = `http://${this.#host}${PATH}`;
    server.on('request', (request, response) => this.#answer(request, response));
  }

  /** Listens. `wanted`: the redirect URI of before, whose port is taken again if it can be had; null: any free port. */
  static async listen(wanted: string | null): Promise<Callback> {
    const port = wanted !== null && URL.canParse(wanted) ? Number(new URL(wanted).port) : 0;
    try {
      return new Callback(await listening(port));
    } catch (error) {
      if (port === 0) throw error;
      return new Callback(await listening(0));
    }
  }

  /**
   * The parameters that come back with this `state`; whatever else arrives is refused and does not end the wait.
   * @throws CommandFailed after `limitSeconds`
   */
  async wait(state: string, limitSeconds: number): Promise<URLSearchParams> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.#expected = { state, arrived: resolve };
        const over = () =>
          reject(
            new CommandFailed(
              `nobody signed in within ${Math.round(limitSeconds / 60)} minutes. If the page did not know this application, run the command again after: gatehouse client <url> logout`,
            ),
          );
        timer = setTimeout(over, limitSeconds * 1000);
      });
    } finally {
      clearTimeout(timer);
      this.#expected = null;
    }
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    // Browsers open connections in advance and say nothing on them.
    this.server.closeAllConnections();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '/';
    const url = URL.canParse(path, this.redirectUri) ? new URL(path, this.redirectUri) : null;
    // Another name for this address is a web page that wants in (DNS rebinding).
    if (url?.pathname !== PATH || request.method !== 'GET' || request.headers.host !== this.#host)
      return send(response, refused(404));
    const expected = this.#expected;
    if (expected === null || url.searchParams.get('state') !== expected.state) return send(response, refused(400));
    this.#expected = null;
    response.once('finish', () => expected.arrived(url.searchParams));
    send(response, url.searchParams.has('code') ? arrived : unsuccessful);
  }
}

async function listening(port: number): Promise<Server> {
  const server = createServer({ keepAlive: false });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return server;
}

function send(response: ServerResponse, { status, markup }: Page): void {
  response.writeHead(status, { ...pageHeaders, Connection: 'close' }).end(markup);
}

const arrived = page({
  title: 'You can close this page',
  body: html`<p>The command line has what it needs. Go back to your terminal.</p>`,
});
const unsuccessful = page({
  title: 'You were not signed in',
  body: html`<p>Your terminal says why. You can close this page.</p>`,
});
const refused = (status: number) =>
  page({
    status,
    title: 'Nothing is waiting for this',
    body: html`<p>This address takes the answer to one sign-in begun in a terminal, and this is not it.</p>`,
  });

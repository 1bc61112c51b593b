import { createHash, randomBytes } from 'node:crypto';
import { FakeGitHub } from '../src/testing/fake-github.js';
import { Browser } from './browser.js';
import { type GatehouseOptions, type RunningGatehouse, freePort, startGatehouse } from './gatehouse.js';

/** A loopback redirect URI at which nobody listens: the scripted browser stops before it. */
export const CALLBACK = 'http://127.0.0.1:19123/callback';

/** What `/token` answers. */
export interface TokenAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>> & {
    access_token?: string;
    refresh_token?: string;
    error?: string;
    scope?: string;
  };
}

/** A Gatehouse with a fake GitHub behind it. */
export interface WithGitHub {
  readonly gatehouse: RunningGatehouse;
  readonly github: FakeGitHub;
  close(): Promise<void>;
}

/** Starts both; `env` adds to the GitHub settings or replaces them. */
export async function startWithGitHub(options: GatehouseOptions = {}): Promise<WithGitHub> {
  const github = await new FakeGitHub().listen();
  const port = options.port ?? (await freePort());
  const gatehouse = await startGatehouse({
    ...options,
    port,
    env: {
      GATEHOUSE_PROVIDERS: 'github',
      GATEHOUSE_GITHUB_CLIENT_ID: github.registration.clientId,
      GATEHOUSE_GITHUB_CLIENT_SECRET: github.registration.clientSecret,
      GATEHOUSE_GITHUB_BASE_URL: github.origin,
      GATEHOUSE_GITHUB_API_URL: github.origin,
      ...options.env,
    },
  });
  return {
    gatehouse,
    github,
    async close() {
      await gatehouse.close();
      await github.close();
    },
  };
}

/** An MCP client's side of the protocol, one request at a time. */
export class TestClient {
  readonly verifier = randomBytes(32).toString('base64url');

  private constructor(
    readonly issuer: string,
    readonly id: string,
    readonly redirectUri: string,
  ) {}

  /** Registers anew; `metadata` adds to a public native client's. */
  static async register(issuer: string, metadata: Record<string, unknown> = {}): Promise<TestClient> {
    const redirectUri = (metadata['redirect_uris'] as string[] | undefined)?.[0] ?? CALLBACK;
    const response = await fetch(`${issuer}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'Test Client',
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: 'none',
        ...metadata,
      }),
    });
    const body = (await response.json()) as { client_id?: string };
    if (response.status !== 201 || body.client_id === undefined)
      throw new Error(`/register answered ${response.status}: ${JSON.stringify(body)}`);
    return new TestClient(issuer, body.client_id, redirectUri);
  }

  /** One that is known already, for example by its metadata document. */
  static known(issuer: string, id: string, redirectUri: string = CALLBACK): TestClient {
    return new TestClient(issuer, id, redirectUri);
  }

  authorizeUrl(parameters: Record<string, string | undefined> = {}): URL {
    const url = new URL('/authorize', this.issuer);
    const all: Record<string, string | undefined> = {
      response_type: 'code',
      client_id: this.id,
      redirect_uri: this.redirectUri,
      code_challenge: createHash('sha256').update(this.verifier).digest('base64url'),
      code_challenge_method: 'S256',
      state: 'client-state',
      resource: `${this.issuer}/mcp`,
      ...parameters,
    };
    for (const [name, value] of Object.entries(all)) if (value !== undefined) url.searchParams.set(name, value);
    return url;
  }

  async redeem(code: string, more: Record<string, string> = {}): Promise<TokenAnswer> {
    return this.token({
      grant_type: 'authorization_code',
      code,
      redirect_uri: this.redirectUri,
      code_verifier: this.verifier,
      ...more,
    });
  }

  async refresh(refreshToken: string, more: Record<string, string> = {}): Promise<TokenAnswer> {
    return this.token({ grant_type: 'refresh_token', refresh_token: refreshToken, ...more });
  }

  async token(form: Record<string, string>): Promise<TokenAnswer> {
    const response = await fetch(`${this.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: this.id, ...form }),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as TokenAnswer['body'] };
  }

  async revoke(token: string): Promise<Response> {
    return fetch(`${this.issuer}/revoke`, { method: 'POST', body: new URLSearchParams({ client_id: this.id, token }) });
  }

  /** A browser that stops where this client listens. */
  browser(): Browser {
    const url = new URL(this.redirectUri);
    return new Browser([url.origin === 'null' ? url.protocol : url.origin]);
  }
}

/** Signs in through the page and the upstream, and redeems the code. @throws Error where the walk ends elsewhere than at the client */
export async function signIn(
  client: TestClient,
  options: {
    browser?: Browser;
    button?: string;
    parameters?: Record<string, string | undefined>;
    ticked?: readonly string[];
  } = {},
): Promise<{ browser: Browser; answer: TokenAnswer; accessToken: string; refreshToken: string }> {
  const browser = options.browser ?? client.browser();
  const shown = await browser.open(client.authorizeUrl(options.parameters));
  if (shown.status === 200) await browser.press(options.button ?? 'provider=github', options.ticked);
  const back = browser.stoppedAt;
  const code = back.searchParams.get('code');
  if (code === null) throw new Error(`no code came back: ${back.href}`);
  const answer = await client.redeem(code);
  if (answer.status !== 200) throw new Error(`/token answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return { browser, answer, accessToken: answer.body.access_token!, refreshToken: answer.body.refresh_token! };
}

/** Calls a tool the plain way. */
export async function callTool(
  mcpUrl: string,
  token: string | null,
  name: string,
  args: Record<string, unknown> = {},
): Promise<Response> {
  return fetch(mcpUrl, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-11-25',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }),
  });
}

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { auth as authV1, type OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens,
} from '@modelcontextprotocol/sdk/shared/auth.js';
import { Browser } from './browser.js';
import { CALLBACK } from './oauth-client.js';

/** What an SDK client keeps between runs, and the browser it opens. Fits both SDKs. */
export class SdkSignIn {
  readonly browser = new Browser([new URL(CALLBACK).origin]);
  readonly redirectUrl = CALLBACK;
  /** How often the person was sent to the browser. */
  signIns = 0;
  callback: URL | null = null;
  information: OAuthClientInformationMixed | undefined;
  current: OAuthTokens | undefined;
  #verifier = '';

  /** @param clientMetadataUrl present this URL as client_id instead of registering */
  constructor(
    readonly clientMetadataUrl?: string,
    private readonly button = 'provider=github',
  ) {}

  get clientMetadata(): OAuthClientMetadata {
    return {
      client_name: 'SDK client',
      redirect_uris: [CALLBACK],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  state(): string {
    return 'sdk-state';
  }

  clientInformation(): OAuthClientInformationMixed | undefined {
    return this.information;
  }

  saveClientInformation(information: OAuthClientInformationMixed): void {
    this.information = information;
  }

  tokens(): OAuthTokens | undefined {
    return this.current;
  }

  saveTokens(tokens: OAuthTokens): void {
    this.current = tokens;
  }

  async redirectToAuthorization(url: URL): Promise<void> {
    this.signIns++;
    const page = await this.browser.open(url);
    if (page.status === 200)
      await this.browser.press(page.text.includes('value="approve"') ? 'decision=approve' : this.button);
    this.callback = this.browser.stoppedAt;
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  codeVerifier(): string {
    return this.#verifier;
  }

  invalidateCredentials(scope: string): void {
    if (scope !== 'verifier' && scope !== 'discovery') this.current = undefined;
    if (scope === 'all' || scope === 'client') this.information = undefined;
  }
}

/** A connected client, whichever SDK it is of. */
export interface ConnectedClient {
  callTool(
    name: string,
    args?: Record<string, unknown>,
  ): Promise<{ text: string; structured: Record<string, unknown> | undefined }>;
  listTools(): Promise<string[]>;
  /** Answers a 403 challenge by a further sign-in for these scopes. */
  stepUp(scopes: string): Promise<void>;
  close(): Promise<void>;
}

/** Connects the 1.x client, through the sign-in when it is asked for one. */
export async function connectV1(mcpUrl: string, signIn: SdkSignIn): Promise<ConnectedClient> {
  let live: TransportV1 | undefined;
  const dial = async (): Promise<ClientV1> => {
    const client = new ClientV1({ name: 'v1', version: '1' });
    const transport = new TransportV1(new URL(mcpUrl), { authProvider: signIn as OAuthClientProvider });
    try {
      await client.connect(transport);
      live = transport;
      return client;
    } catch (error) {
      const code = signIn.callback?.searchParams.get('code');
      if (!isUnauthorized(error) || !code) throw error;
      signIn.callback = null;
      await transport.finishAuth(code);
      return dial();
    }
  };
  const client = await dial();
  return {
    callTool: async (name, args = {}) => shapeOf(await client.callTool({ name, arguments: args })),
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    // With a refresh token at hand the 1.x SDK refreshes instead of asking the person, so the application has to begin by itself.
    stepUp: async (scope) => {
      signIn.current = undefined;
      await authV1(signIn as OAuthClientProvider, { serverUrl: mcpUrl, scope });
      await live!.finishAuth(signIn.callback!.searchParams.get('code')!);
    },
    close: () => client.close(),
  };
}

/** Connects the 2.x client, through the sign-in when it is asked for one. */
export async function connectV2(mcpUrl: string, signIn: SdkSignIn): Promise<ConnectedClient> {
  let live: TransportV2 | undefined;
  const dial = async (): Promise<ClientV2> => {
    const client = new ClientV2({ name: 'v2', version: '1' });
    const transport = new TransportV2(new URL(mcpUrl), { authProvider: signIn as never });
    try {
      await client.connect(transport);
      live = transport;
      return client;
    } catch (error) {
      const callback = signIn.callback;
      if (!isUnauthorized(error) || !callback) throw error;
      signIn.callback = null;
      await transport.finishAuth(callback.searchParams);
      return dial();
    }
  };
  const client = await dial();
  return {
    callTool: async (name, args = {}) => shapeOf(await client.callTool({ name, arguments: args })),
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    // The 2.x SDK has sent the person to the browser when the call was refused.
    stepUp: () => live!.finishAuth(signIn.callback!.searchParams),
    close: () => client.close(),
  };
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof Error && /unauthorized/i.test(`${error.name} ${error.constructor.name} ${error.message}`);
}

function shapeOf(result: unknown): { text: string; structured: Record<string, unknown> | undefined } {
  const { content = [], structuredContent } = result as {
    content?: { type: string; text?: string }[];
    structuredContent?: Record<string, unknown>;
  };
  return { text: content.map(({ text = '' }) => text).join('\n'), structured: structuredContent };
}

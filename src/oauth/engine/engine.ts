import type { IncomingMessage, ServerResponse } from 'node:http';
import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { Provider } from 'oidc-provider';
import type { IdentityKey } from '../../providers/contract.js';
import { Browsers } from '../browsers.js';
import { SigningKeys } from '../signing-keys.js';
import { ProviderFactory } from './provider-factory.js';

/** How often each node looks for a rotated signing key. */
const KEY_POLL_MS = 30_000;
type RawHandler = (req: IncomingMessage, res: ServerResponse) => Promise<void>;

/** An Interaction as the pages see it. */
export interface InteractionDetails {
  readonly uid: string;
  readonly prompt: {
    readonly name: string;
    /** The account that no rule admits any more, where that is why the person is asked. */
    readonly details?: { readonly refused?: IdentityKey } | undefined;
  };
  /** The authorization request, as fixed: `client_id`, `redirect_uri`, `scope`, `resource`, `state`, … */
  readonly params: Readonly<Record<string, unknown>>;
  /** Who is signed in to this browser; undefined: nobody. */
  readonly session?: { readonly accountId?: string | undefined; readonly uid?: string | undefined } | undefined;
  /** What it was finished with; undefined: it was not. */
  readonly result?: Readonly<Record<string, unknown>> | undefined;
  /** Where a finished one goes on. */
  readonly returnTo: string;
}

/**
 * The authorization server's protocol engine (oidc-provider), behind words of ours. `handle` serves its endpoints; the pages read an Interaction with
 * `interactionDetails`, then end it with `finish` or `refuse`, both of which write the whole response: call `reply.hijack()` before.
 */
@Injectable()
export class Engine implements OnModuleInit, OnApplicationShutdown {
  readonly #log = new Logger('Engine');
  #provider!: Provider;
  #callback!: RawHandler;
  #keyIds = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(
    @Inject(ProviderFactory) private readonly factory: ProviderFactory,
    @Inject(SigningKeys) private readonly keys: SigningKeys,
    @Inject(Browsers) private readonly browsers: Browsers,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.refreshKeys();
    this.keys.onRotated(() => this.refreshKeys());
    this.#timer = setInterval(() => {
      this.refreshKeys().catch((error: unknown) => this.#log.warn(`signing keys were not read: ${String(error)}`));
    }, KEY_POLL_MS);
    this.#timer.unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  /** Looks for rotated signing keys now; the engine fixes its keys at construction, so a change makes a new one behind the mount. */
  async refreshKeys(): Promise<void> {
    const keys = await this.keys.current();
    const ids = keys.map(({ kid }) => kid).join(' ');
    if (ids === this.#keyIds) return;
    this.#provider = this.factory.make({ keys });
    this.#callback = this.#provider.callback();
    this.#keyIds = ids;
  }

  /** Serves one of the engine's endpoints on the raw request and response. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    await this.#callback(req, res);
  }

  /** The Interaction whose cookie this browser holds; null: none, over, or its browser has signed out meanwhile. */
  async interactionDetails(req: IncomingMessage, res: ServerResponse): Promise<InteractionDetails | null> {
    try {
      return await this.#provider.interactionDetails(req, res);
    } catch (error) {
      if ((error as { name?: unknown }).name === 'SessionNotFound') return null;
      throw error;
    }
  }

  /** The Interaction goes on as one in whose browser nobody is signed in, also when it has just ended together with everything else of the person. */
  async forgetPerson(details: InteractionDetails): Promise<void> {
    const interaction = details as unknown as { session?: unknown; persist(): Promise<unknown> };
    delete interaction.session;
    await interaction.persist();
  }

  /**
   * Ends an Interaction well: sign-in and consent at once, then the browser is sent on to the code. Write nothing to the response before but headers.
   * @param done `accountId` is the User id; `grantId` comes from `Grants.create`
   */
  async finish(req: IncomingMessage, res: ServerResponse, done: { accountId: string; grantId: string }): Promise<void> {
    const interaction = await this.#provider.interactionDetails(req, res);
    const browser = await this.#browserOf(req, res);
    if (browser.accountId !== undefined && browser.accountId !== done.accountId) {
      // Somebody else signs in on this browser: the old sign-in ends here, so that the engine needs no page with a script to switch accounts.
      await this.browsers.endByUid(browser.uid);
    }
    const isSame = browser.accountId === done.accountId;
    if (interaction.session && !(isSame && interaction.session.uid === browser.uid)) {
      // Another tab has signed in, or somebody else does here: the engine would refuse an Interaction that remembers the former sign-in.
      delete interaction.session;
      await interaction.persist();
    }
    const consent = { grantId: done.grantId };
    const signedIn = interaction.prompt.name === 'login' || !isSame;
    await this.#provider.interactionFinished(
      req,
      res,
      signedIn ? { login: { accountId: done.accountId }, consent } : { consent },
    );
  }

  /** Who is signed in to the browser that sent this request, whatever tab did it. */
  async #browserOf(
    req: IncomingMessage,
    res: ServerResponse,
  ): Promise<{ uid: string; accountId?: string | undefined }> {
    const { Session } = this.#provider as unknown as {
      Session: { get(context: unknown): Promise<{ uid: string; accountId?: string }> };
    };
    return Session.get(this.#provider.createContext(req, res));
  }

  /** Ends an Interaction with an error for the client: `access_denied`, `temporarily_unavailable`, `server_error`. The person has acted, so it redirects. */
  async refuse(req: IncomingMessage, res: ServerResponse, why: { error: string; description: string }): Promise<void> {
    await this.#provider.interactionFinished(
      req,
      res,
      { error: why.error, error_description: why.description },
      { mergeWithLastSubmission: false },
    );
  }

  /** Is this metadata acceptable to the engine too? @returns what is wrong; null: nothing */
  async faultOfClient(metadata: Record<string, unknown>): Promise<string | null> {
    try {
      const { Client } = this.#provider as unknown as { Client: { validate(metadata: unknown): Promise<void> } };
      await Client.validate({ client_id: 'candidate', client_secret: 'unused', ...metadata });
      return null;
    } catch (error) {
      const description = (error as { error_description?: unknown }).error_description;
      if (typeof description === 'string') return description;
      throw error;
    }
  }
}

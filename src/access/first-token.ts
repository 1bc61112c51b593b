import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Settings } from '../config/settings.js';
import { PersonalTokens } from './personal-tokens.js';
import { ScopeCatalogue } from './scope-catalogue.js';

/** On the very first start, with `static-token` on and no token configured, one personal token is made, so that a laptop user can begin. */
@Injectable()
export class FirstToken implements OnApplicationBootstrap {
  #made: string | null = null;

  constructor(
    private readonly settings: Settings,
    private readonly tokens: PersonalTokens,
    private readonly scopes: ScopeCatalogue,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    if (!this.#isWanted() || !(await this.tokens.isEmpty())) return;
    const { defaultScopes, requiredScopes } = this.settings.values;
    const scopes = [...new Set([...defaultScopes, ...requiredScopes, ...this.scopes.names])];
    const { token } = await this.tokens.create({
      name: 'first start',
      userId: null,
      scopes,
      expiresAt: null,
      actor: 'system',
    });
    this.#made = token;
  }

  /** The token, if this start made one: handed out once, to be printed. */
  take(): string | null {
    const made = this.#made;
    this.#made = null;
    return made;
  }

  /** Only where nobody could get in otherwise. */
  #isWanted(): boolean {
    const { providers } = this.settings;
    return (
      providers.length > 0 && providers.every(({ kind, settings }) => kind.kind === 'static-token' && isEmpty(settings))
    );
  }
}

function isEmpty(settings: unknown): boolean {
  const { tokens, tokensFile } = settings as { tokens?: unknown; tokensFile?: unknown };
  return tokens === undefined && tokensFile === undefined;
}

import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { LoginProvider, ProviderChoice, ProviderHouse, ProviderKind, TokenVerifier } from './contract.js';
import { github } from './github/github.provider.js';
import { google } from './google/google.provider.js';
import { introspection } from './introspection/introspection.verifier.js';
import { jwt } from './jwt/jwt.verifier.js';
import { oidc } from './oidc/oidc.provider.js';
import { authkit } from './remote/authkit.verifier.js';
import { remote } from './remote/remote.verifier.js';
import { staticToken } from './static-token/static-token.verifier.js';
import { workos } from './workos/workos.provider.js';

/** Every kind of provider that the environment can name. */
export const providerKinds: readonly ProviderKind[] = [
  github.definition,
  google.definition,
  workos.definition,
  oidc.definition,
  staticToken.definition,
  jwt.definition,
  introspection.definition,
  authkit.definition,
  remote.definition,
];

/** The enabled providers, in the operator's order. */
@Injectable()
export class Providers implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger('Providers');
  readonly logins: readonly LoginProvider[];
  readonly verifiers: readonly TokenVerifier[];
  readonly #all: readonly (LoginProvider | TokenVerifier)[];

  /** @throws Error of a provider whose settings cannot be used, for example an unreadable file */
  constructor(choices: readonly ProviderChoice[], house: ProviderHouse) {
    const built = choices.map(({ id, kind, settings }) => ({
      sort: kind.sort,
      provider: kind.create(id, settings, house),
    }));
    this.#all = built.map(({ provider }) => provider);
    this.logins = built.filter(({ sort }) => sort === 'login').map(({ provider }) => provider as LoginProvider);
    this.verifiers = built.filter(({ sort }) => sort === 'verifier').map(({ provider }) => provider as TokenVerifier);
  }

  /** The login provider of this id; undefined: none is enabled under it. */
  login(id: string): LoginProvider | undefined {
    return this.logins.find((provider) => provider.id === id);
  }

  /** What the pages offer, in the operator's order: two of one label are told apart by their ids. */
  get buttons(): readonly { readonly id: string; readonly label: string }[] {
    return this.logins.map(({ id, label }) => ({
      id,
      label: this.logins.filter((other) => other.label === label).length > 1 ? `${label} (${id})` : label,
    }));
  }

  /** All of them, of either sort. */
  get all(): readonly (LoginProvider | TokenVerifier)[] {
    return this.#all;
  }

  async onApplicationBootstrap(): Promise<void> {
    for (const provider of this.#all)
      if ('open' in provider && typeof provider.open === 'function') await (provider.open as () => Promise<void>)();
  }

  async onApplicationShutdown(): Promise<void> {
    for (const provider of this.#all) {
      if (!('close' in provider) || typeof provider.close !== 'function') continue;
      await (provider.close as () => Promise<void>)().catch((error: unknown) =>
        this.#log.warn(`${provider.id} did not close: ${String(error)}`),
      );
    }
  }
}

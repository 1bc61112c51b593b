import { Inject, Injectable } from '@nestjs/common';
import { PersonalTokenList } from '../access/personal-token-list.js';
import { ScopeCatalogue } from '../access/scope-catalogue.js';
import { Settings } from '../config/settings.js';
import { GrantList, type ListedGrant } from '../oauth/grant-list.js';
import { WORDS } from '../oauth/sign-in-ask.js';
import { kindOfRedirectUri, placeOfRedirectUri } from '../protocol/redirect-uri.js';
import { Providers } from '../providers/providers.js';
import { Identities } from '../users/identities.js';
import type { SignedIn } from './account-sign-ins.js';
import type { AccountFacts, ShownConnection } from './pages/account.page.js';

const CONNECTIONS = 100;
const TOKENS = 200;

const DONE: Readonly<Record<string, string>> = {
  disconnected: 'The application is disconnected.',
  'disconnected-all': 'All applications are disconnected.',
  revoked: 'The token is revoked.',
  linked: 'The account was added. You can sign in with it from now on.',
  unlinked: 'The account was removed. What was connected with it is disconnected.',
};

/** Scopes that belong to no tool, so that a personal token has no use for them. */
const NOT_FOR_TOKENS = ['openid', 'admin'];

/** Reads what the account page shows. */
@Injectable()
export class AccountFactsReader {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(GrantList) private readonly grants: GrantList,
    @Inject(PersonalTokenList) private readonly tokens: PersonalTokenList,
    @Inject(ScopeCatalogue) private readonly catalogue: ScopeCatalogue,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(Identities) private readonly identities: Identities,
  ) {}

  /** `done` and `older` come from the address and may be anything. */
  async read(
    { user }: SignedIn,
    { csrf, done, older }: { csrf: string; done: unknown; older: unknown },
  ): Promise<AccountFacts> {
    const logins = this.providers.buttons;
    const [{ items, next }, tokens, identities] = await Promise.all([
      this.grants.page({ user: user.id, status: 'living' }, { after: keyOf(older), limit: CONNECTIONS }),
      this.tokens.page({ user: user.id, status: 'active' }, { after: null, limit: TOKENS }),
      this.identities.of(user.id),
    ]);
    return {
      person: user.name ?? user.email ?? user.id,
      email: user.email,
      publicHost: new URL(this.settings.publicUrl).host,
      csrf,
      done: (typeof done === 'string' ? DONE[done] : undefined) ?? null,
      connections: items.map((grant) => this.#connection(grant)),
      olderUrl: next === null ? null : `/account?older=${next.join('.')}`,
      tokens: tokens.items.map(({ scopes, ...token }) => ({
        ...token,
        scopes: scopes.map((name) => this.words(name)),
      })),
      scopes: this.tokenScopes(),
      identities: identities.map(({ provider, subject, username, email }) => ({
        key: `${provider} ${subject}`,
        provider: logins.find(({ id }) => id === provider)?.label ?? provider,
        account: email ?? username ?? subject,
      })),
      providers: logins,
    };
  }

  /** What a person may put into a personal token: the scopes that they could grant to a Client. */
  tokenScopes(): { name: string; words: string }[] {
    const { requiredScopes, defaultScopes } = this.settings.values;
    return [...new Set([...requiredScopes, ...defaultScopes, ...this.catalogue.names])]
      .filter((name) => !NOT_FOR_TOKENS.includes(name))
      .map((name) => ({ name, words: this.words(name) }));
  }

  /** A scope in plain words. */
  words(name: string): string {
    return WORDS[name] ?? this.catalogue.words(name);
  }

  #connection(grant: ListedGrant): ShownConnection {
    return {
      id: grant.id,
      client: grant.client.name ?? 'An application that no longer exists',
      place: grant.redirectUri === null ? null : shownPlace(grant.redirectUri),
      scopes: grant.scopes.map((name) => this.words(name)),
      firstUsedAt: grant.createdAt,
      lastUsedAt: grant.lastUsedAt,
      suspended: grant.status === 'suspended' ? (grant.client.status === 'blocked' ? 'blocked' : 'waiting') : null,
    };
  }
}

/** Where a Client returns to, as a person would say it. */
export function shownPlace(redirectUri: string): string {
  const place = placeOfRedirectUri(redirectUri);
  switch (kindOfRedirectUri(redirectUri)) {
    case 'loopback':
      return `this computer (${place})`;
    case 'native':
      return `the application behind ${place}`;
    default:
      return place;
  }
}

/** Where older connections begin; null: from the newest, also for what is no such place. */
function keyOf(older: unknown): [number, string] | null {
  const match = typeof older === 'string' ? /^(\d{1,12})\.([A-Za-z0-9_-]{1,64})$/.exec(older) : null;
  return match ? [Number(match[1]), match[2]!] : null;
}

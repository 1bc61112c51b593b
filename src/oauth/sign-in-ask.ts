import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ScopeCatalogue } from '../access/scope-catalogue.js';
import { Settings } from '../config/settings.js';
import { isLoopback, kindOfRedirectUri, placeOfRedirectUri } from '../protocol/redirect-uri.js';
import type { IdentityKey } from '../providers/contract.js';
import { Providers } from '../providers/providers.js';
import { Identities } from '../users/identities.js';
import type { IdentityRow } from '../users/user.entity.js';
import { Users } from '../users/users.js';
import { Admission } from './admission.js';
import type { ClientRow } from './client.entity.js';
import { Clients, hashOfClient } from './clients.js';
import { type ConsentSubject, Consents } from './consents.js';
import { Engine, type InteractionDetails } from './engine/engine.js';
import { referenceOf } from './pages/reference.js';
import type { OfferedScope, ShownClient, SignInFacts } from './pages/sign-in.page.js';
import { SignedInIdentity } from './signed-in-identity.js';
import { UpstreamAsks } from './upstream-asks.js';

/** Who is signed in to this browser. */
interface Person {
  readonly id: string;
  readonly name: string;
  readonly account: string;
  /** The account this browser was signed in with; null: they have none left. */
  readonly identity: IdentityKey | null;
}

/** An account as the person knows it, and its provider. */
interface RefusedAccount {
  readonly account: string;
  readonly provider: string;
  readonly label: string;
}

/** What a Client asks of a person, read from its Interaction. */
export interface AskedFor {
  readonly uid: string;
  readonly reference: string;
  /** `/login/<uid>` or `/consent/<uid>`. */
  readonly path: string;
  readonly client: ClientRow;
  readonly redirectUri: string;
  readonly resource: string;
  readonly scopes: readonly string[];
  /** null: nobody, or the Client wants a fresh sign-in. */
  readonly person: Person | null;
  /** The account this browser was signed in with, which no rule admits any more; null: there is none such. */
  readonly refused: RefusedAccount | null;
  /** Of the person, what they approved for this Client before. */
  readonly remembered: readonly string[];
  /** Where to go on when the Interaction has been decided already; null: it has not. */
  readonly settled: string | null;
}

/** Where a person goes on, and with what. */
interface UpstreamChoice {
  readonly provider: string;
  /** Of ours, as approved. */
  readonly scopes: readonly string[];
  /** With another account than this browser's. */
  readonly chooseAccount: boolean;
}

/** Why there is nothing to ask a person; names of `remedies.ts`. */
export type UnreadableAsk = 'request-expired' | 'unknown-client' | 'client-blocked';

/** Reads what an Interaction asks for, and says which part of it is up to the person. */
@Injectable()
export class SignInAsk {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Engine) private readonly engine: Engine,
    @Inject(Clients) private readonly clients: Clients,
    @Inject(Consents) private readonly consents: Consents,
    @Inject(Users) private readonly users: Users,
    @Inject(Identities) private readonly identities: Identities,
    @Inject(SignedInIdentity) private readonly signedInIdentity: SignedInIdentity,
    @Inject(Admission) private readonly admission: Admission,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(ScopeCatalogue) private readonly catalogue: ScopeCatalogue,
    @Inject(UpstreamAsks) private readonly upstreamAsks: UpstreamAsks,
  ) {}

  /** `request-expired`: the Interaction is unknown, over, or another browser's. */
  async read(request: FastifyRequest, reply: FastifyReply, uid: string): Promise<AskedFor | UnreadableAsk> {
    const interaction = await this.engine.interactionDetails(request.raw, reply.raw);
    if (!interaction || interaction.uid !== uid) return 'request-expired';
    const client = await this.clients.find(String(interaction.params['client_id']));
    if (!client) return 'unknown-client';
    if (client.status === 'blocked') return 'client-blocked';
    const asked = {
      uid,
      reference: referenceOf(uid),
      path: `/${interaction.prompt.name}/${uid}`,
      client,
      redirectUri: String(interaction.params['redirect_uri']),
      resource: text(interaction.params['resource']) ?? this.settings.mcpUrl,
      scopes: (text(interaction.params['scope']) ?? '').split(' ').filter(Boolean),
      settled: interaction.result && 'consent' in interaction.result ? interaction.returnTo : null,
    };
    const { person, refused } = await this.#browserOf(interaction);
    const remembered = person ? await this.consents.remembered(this.consentOf(asked, person.id)) : null;
    return { ...asked, person, refused, remembered: remembered ?? [] };
  }

  /** The key under which this person's approval is remembered. */
  consentOf(
    ask: Pick<AskedFor, 'client' | 'redirectUri' | 'resource'>,
    userId: string,
  ): Omit<ConsentSubject, 'scopes'> {
    const { client, redirectUri, resource } = ask;
    return { userId, clientId: client.id, redirectUri, resource, clientHash: hashOfClient(client) };
  }

  /** Everything the page shows, without the form's token. */
  facts(ask: AskedFor): Omit<SignInFacts, 'csrf'> {
    const logins = this.providers.logins;
    return {
      client: shown(ask),
      scopes: ask.scopes.map((name) => this.#offered(ask, name)),
      providers: this.providers.buttons,
      upstream: logins
        .map(({ id, label }) => ({ label, scopes: this.upstreamAsks.within(id, ask) }))
        .filter(({ scopes }) => scopes.length > 0),
      person: ask.person,
      publicHost: new URL(this.settings.publicUrl).host,
    };
  }

  /** Asked ∩ approved: what has no box is part of every approval, and nothing that was not asked for can be ticked in (security rule 19). */
  approved(ask: AskedFor, ticked: readonly string[]): string[] {
    return ask.scopes.filter((name) => !this.#isOptional(ask, name) || ticked.includes(name));
  }

  /** The provider at which this browser's person has to sign in once more, since their token lacks what these scopes open; null: nowhere. */
  async signInAgainAt({ person, resource }: AskedFor, scopes: readonly string[]): Promise<string | null> {
    if (!person?.identity) return null;
    const lacks = await this.upstreamAsks.lacks(person.id, person.identity, { resource, scopes });
    return lacks ? person.identity.provider : null;
  }

  /** Permissions to ask of a provider for these scopes; of the account that the browser's person goes on with, all that it needs. */
  async upstreamScopes({ person, resource }: AskedFor, choice: UpstreamChoice): Promise<readonly string[]> {
    const { provider, scopes, chooseAccount } = choice;
    const asked = this.upstreamAsks.within(provider, { resource, scopes });
    if (chooseAccount || person?.identity?.provider !== provider) return asked;
    return [...new Set([...(await this.upstreamAsks.ofPerson(person.id, person.identity)), ...asked])];
  }

  /** With a single scope there is nothing to choose; required and default scopes come with every approval. */
  #isOptional({ scopes }: AskedFor, name: string): boolean {
    const { requiredScopes, defaultScopes } = this.settings.values;
    return scopes.length > 1 && name !== 'openid' && !requiredScopes.includes(name) && !defaultScopes.includes(name);
  }

  #offered(ask: AskedFor, name: string): OfferedScope {
    return {
      name,
      words: WORDS[name] ?? this.catalogue.words(name),
      optional: this.#isOptional(ask, name),
      granted: ask.remembered.includes(name),
    };
  }

  /** Who is signed in to the browser of an Interaction, and may still be. */
  async #browserOf(interaction: InteractionDetails): Promise<Pick<AskedFor, 'person' | 'refused'>> {
    const { prompt, session } = interaction;
    const nobody = { person: null, refused: null };
    if (prompt.name !== 'consent') {
      const { refused } = prompt.details ?? {};
      const owner = refused && (await this.users.findByIdentity(refused.provider, refused.subject));
      const accounts = owner ? await this.identities.of(owner.id) : [];
      const account = accounts.find((one) => one.provider === refused?.provider && one.subject === refused.subject);
      return { person: null, refused: account ? this.#shown(account) : null };
    }
    const user = session?.accountId === undefined ? null : await this.users.find(session.accountId);
    if (!user || user.status === 'blocked') return nobody;
    const identity = await this.signedInIdentity.of(user.id, session?.uid);
    const standing = await this.admission.standingOf(user.id, identity);
    if (standing === 'not-admitted') {
      // Its browser has been signed out; without this the Interaction would be over, and nobody could use another account.
      await this.engine.forgetPerson(interaction);
      return { person: null, refused: identity && this.#shown(identity) };
    }
    if (standing === 'sign-in-again') return nobody;
    const account = identity?.email ?? user.email ?? identity?.username ?? user.name ?? user.id;
    const key = identity && { provider: identity.provider, subject: identity.subject };
    return { person: { id: user.id, name: user.name ?? account, account, identity: key }, refused: null };
  }

  #shown({ provider, subject, email, username }: IdentityRow): RefusedAccount {
    const label = this.providers.login(provider)?.label ?? provider;
    return { account: email ?? username ?? subject, provider, label };
  }
}

/** Scopes that no module declares, in plain words. */
export const WORDS: Readonly<Record<string, string>> = {
  openid: 'Know who you are',
  mcp: 'Use the tools of this server in your name',
  admin: 'Administer this server in your name',
};

function shown({ client, redirectUri }: AskedFor): ShownClient {
  const documentHost = client.source === 'cimd' ? new URL(client.id).host : null;
  const loopback = isLoopback(redirectUri);
  const place = placeOfRedirectUri(redirectUri);
  const kind = kindOfRedirectUri(redirectUri);
  return {
    name: client.name,
    documentHost,
    returnsTo: kind === 'native' ? `the application behind ${place}` : place,
    loopback,
    vouched: client.trusted || client.source === 'manual' || (documentHost !== null && documentHost === place),
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

import { createHmac } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { Revocations } from '../access/revocations.js';
import { ScopeCatalogue } from '../access/scope-catalogue.js';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import { Clients, hashOfClient } from '../oauth/clients.js';
import { Consents } from '../oauth/consents.js';
import type { GrantRow } from '../oauth/grant.entity.js';
import { Grants } from '../oauth/grants.js';
import { Database } from '../persistence/database.js';
import { CommitConflict } from '../persistence/faults.js';
import { expecting, sql, type Statement } from '../persistence/statement.js';
import { Seals } from '../persistence/seals.js';
import { parseScope } from '../protocol/scope.js';
import { sha256 } from '../protocol/token.js';
import type { Principal } from '../providers/contract.js';
import type { StepUpLinks, WantedScopes } from '../providers/step-up.js';
import { StepUpLinkRow } from './step-up-link.entity.js';

/** Seconds for which a link works after it was last given out. */
const LINK_SECONDS = 600;

/** A link that can still be acted on. */
export interface OpenLink {
  readonly idHash: string;
  readonly grant: GrantRow;
  readonly scopes: readonly string[];
  readonly tools: readonly string[];
}

/** Links at which a person adds scopes to a living Grant (`GATEHOUSE_STEP_UP=link`). Each works once. */
@Injectable()
export class AccountStepUpLinks implements StepUpLinks {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Seals) private readonly seals: Seals,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(Clients) private readonly clients: Clients,
    @Inject(Consents) private readonly consents: Consents,
    @Inject(Events) private readonly events: Events,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(ScopeCatalogue) private readonly catalogue: ScopeCatalogue,
  ) {}

  async linkFor(principal: Principal, wanted: WantedScopes): Promise<URL | null> {
    const grant = principal.grantId === undefined ? null : await this.grants.find(principal.grantId);
    if (!grant || grant.userId !== principal.user?.id) return null;
    const scopes = this.catalogue.missing(principal.scopes, wanted.scopes).toSorted();
    const most = (await this.clients.find(grant.clientId))?.allowedScopes ?? null;
    if (most !== null && scopes.some((name) => !most.includes(name))) return null;
    const tools = [...new Set(wanted.tools)].toSorted();
    // The same call, repeated by a model that waits, gets the same link instead of one row each time.
    const id = createHmac('sha256', this.seals.key('step-up-link'))
      .update(JSON.stringify([grant.id, scopes, tools, Math.floor(now() / LINK_SECONDS)]))
      .digest('base64url');
    const expiresAt = now() + LINK_SECONDS;
    await this.database.commit([
      sql`INSERT INTO step_up_link (id_hash, grant_id, user_id, scopes, tools, used_at, expires_at)
      VALUES (${sha256(id)}, ${grant.id}, ${grant.userId}, ${JSON.stringify(scopes)}, ${JSON.stringify(tools)}, ${null}, ${expiresAt})
      ON CONFLICT (id_hash) DO UPDATE SET expires_at = excluded.expires_at`,
    ]);
    return new URL(`/account/widen/${id}`, this.settings.publicUrl);
  }

  /** null: unknown, used, too old, or its Grant has ended. */
  async find(id: string): Promise<OpenLink | null> {
    const row = await this.database.repository(StepUpLinkRow).findOneBy({ idHash: sha256(id) });
    if (!row || row.usedAt !== null || row.expiresAt <= now()) return null;
    const grant = await this.grants.find(row.grantId);
    return grant && grant.userId === row.userId
      ? { idHash: row.idHash, grant, scopes: row.scopes, tools: row.tools }
      : null;
  }

  /**
   * Adds the scopes to the Grant and to the remembered consent, uses up the link, and makes every node read the Grant anew.
   * @returns false: another tab acted on the link, or the Grant ended meanwhile
   */
  async allow(link: OpenLink, from: { ip: string; reference: string }): Promise<boolean> {
    const { grant, scopes } = link;
    const widened = [...new Set([...parseScope(grant.widened ?? ''), ...scopes])].join(' ');
    const event = this.#event('grant.widened', link, from);
    try {
      await this.revocations.revoke(
        [{ kind: 'widened', id: grant.id }],
        [
          this.#use(link),
          expecting(
            1,
            sql`UPDATE oauth_grant SET widened = ${widened} WHERE id = ${grant.id} AND revoked_at IS NULL AND COALESCE(widened, '') = ${grant.widened ?? ''}`,
          ),
          ...(await this.#remember(grant, scopes)),
          event,
        ],
      );
      return true;
    } catch (error) {
      if (error instanceof CommitConflict) return false;
      throw error;
    }
  }

  /** Uses up the link without giving anything. */
  async refuse(link: OpenLink, from: { ip: string; reference: string }): Promise<void> {
    await this.database.commit([
      this.database.update(StepUpLinkRow, { usedAt: now() }, { idHash: link.idHash }),
      this.#event('grant.widening_refused', link, from),
    ]);
  }

  /** For the purge job. */
  purge(batch: number): Statement {
    return sql`DELETE FROM step_up_link WHERE id_hash IN (SELECT id_hash FROM step_up_link WHERE expires_at < ${now() - 60} ORDER BY expires_at LIMIT ${batch})`;
  }

  #use({ idHash }: OpenLink): Statement {
    return expecting(
      1,
      sql`UPDATE step_up_link SET used_at = ${now()} WHERE id_hash = ${idHash} AND used_at IS NULL AND expires_at > ${now()}`,
    );
  }

  #event(
    type: string,
    { grant, scopes, tools }: OpenLink,
    { ip, reference }: { ip: string; reference: string },
  ): Statement {
    return this.events.record({
      type,
      outcome: type === 'grant.widened' ? 'ok' : 'refused',
      actor: grant.userId,
      userId: grant.userId,
      clientId: grant.clientId,
      grantId: grant.id,
      provider: grant.provider,
      ip,
      reference,
      detail: { scopes, tools },
    });
  }

  /** The next sign-in with this Client then asks for nothing that was allowed here. */
  async #remember(grant: GrantRow, scopes: readonly string[]): Promise<Statement[]> {
    const client = await this.clients.find(grant.clientId);
    if (!client || grant.redirectUri === null) return [];
    const { userId, clientId, redirectUri, resource } = grant;
    const subject = { userId, clientId, redirectUri, resource, clientHash: hashOfClient(client) };
    const before = await this.consents.remembered(subject);
    // Where nothing is remembered any more, this page is no approval of the whole Client.
    return before === null ? [] : [await this.consents.remember({ ...subject, scopes })];
  }
}

const now = (): number => Math.floor(Date.now() / 1000);

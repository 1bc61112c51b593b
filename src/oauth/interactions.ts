import { Inject, Injectable } from '@nestjs/common';
import { Database, expecting, sql, type Statement } from '../persistence/database.js';
import { CommitConflict } from '../persistence/database.js';
import { Seals } from '../persistence/seals.js';
import { sha256 } from '../protocol/token.js';
import { InteractionRow } from './interaction.entity.js';

const PURPOSE = 'interaction-approval';

/** How the upstream leg of a sign-in ended. */
export type InteractionOutcome =
  | {
      readonly kind: 'signed-in';
      readonly userId: string;
      readonly provider: string;
      readonly scopes: readonly string[];
    }
  | { readonly kind: 'refused'; readonly error: string; readonly description: string };

/** What a person approved before they were sent to a provider. */
export interface NewApproval {
  readonly uid: string;
  /** The upstream `state`: random, used once. */
  readonly state: string;
  /** The value of this browser's binding cookie. */
  readonly binding: string;
  /** Provider instance id. */
  readonly provider: string;
  /** What `LoginProvider.start` wants back in `finish`. */
  readonly memo: Readonly<Record<string, string>>;
  /** The scopes the person approved; never more than were asked for. */
  readonly scopes: readonly string[];
}

/** An approval that the callback has just taken; it cannot be taken again. */
export interface TakenApproval {
  readonly uid: string;
  readonly clientId: string | null;
  readonly provider: string;
  readonly memo: Readonly<Record<string, string>>;
  readonly scopes: readonly string[];
}

/** Sign-ins on their way. The engine writes their payload through its adapter; the pages write what people decide. */
@Injectable()
export class Interactions {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Seals) private readonly seals: Seals,
  ) {}

  /** A live Interaction; null: unknown, ended or older than ten minutes. */
  async find(uid: string): Promise<InteractionRow | null> {
    const row = await this.database.repository(InteractionRow).findOneBy({ id: sha256(uid) });
    return row && row.expiresAt > now() ? row : null;
  }

  /**
   * Stores decision, state and binding before the browser leaves for the provider. A second approval of the same Interaction (back button, another
   * provider) replaces the first, whose state then opens nothing.
   * @returns false: the Interaction has ended
   */
  async approve(approval: NewApproval, also: readonly Statement[] = []): Promise<boolean> {
    const { uid, memo, scopes } = approval;
    const sealed = this.seals.seal(JSON.stringify({ uid, memo, scopes }), PURPOSE);
    const update = sql`UPDATE oauth_interaction
      SET state_hash = ${sha256(approval.state)}, binding_hash = ${sha256(approval.binding)}, provider = ${approval.provider}, approval = ${sealed}, user_id = ${null}, outcome = ${null}
      WHERE id = ${sha256(uid)} AND expires_at > ${now()}`;
    return this.#onOneRow(update, also);
  }

  /**
   * The approval of this state, if this browser made it. State and binding must both match, and it is taken once (security.md 11, 14): of two
   * callbacks with the same state one gets null. A wrong binding leaves the state untouched, so that a stranger cannot spoil it.
   */
  async takeByState(state: string, binding: string): Promise<TakenApproval | null> {
    const stateHash = sha256(state);
    const row = await this.database.repository(InteractionRow).findOneBy({ stateHash, bindingHash: sha256(binding) });
    if (!row || row.expiresAt <= now() || row.provider === null || row.approval === null) return null;
    const taken = await this.#onOneRow(
      sql`UPDATE oauth_interaction SET state_hash = ${null}, approval = ${null} WHERE id = ${row.id} AND state_hash = ${stateHash}`,
    );
    if (!taken) return null;
    const { uid, memo, scopes } = JSON.parse(this.seals.open(row.approval, PURPOSE)) as Pick<
      NewApproval,
      'uid' | 'memo' | 'scopes'
    >;
    return { uid, memo, scopes, provider: row.provider, clientId: row.clientId };
  }

  /** A statement that records how the upstream leg ended: commit it together with the User and its Event. */
  settle(uid: string, outcome: InteractionOutcome): Statement {
    const userId = outcome.kind === 'signed-in' ? outcome.userId : null;
    return this.database.update(InteractionRow, { outcome: { ...outcome }, userId }, { id: sha256(uid) });
  }

  /** Takes the outcome, once: of two requests to continue one gets null. */
  async takeOutcome(uid: string): Promise<InteractionOutcome | null> {
    const row = await this.find(uid);
    if (!row || row.outcome === null) return null;
    const taken = await this.#onOneRow(
      sql`UPDATE oauth_interaction SET outcome = ${null} WHERE id = ${row.id} AND outcome IS NOT NULL`,
    );
    return taken ? (row.outcome as unknown as InteractionOutcome) : null;
  }

  async #onOneRow(update: Statement, also: readonly Statement[] = []): Promise<boolean> {
    try {
      await this.database.commit([expecting(1, update), ...also]);
      return true;
    } catch (error) {
      if (error instanceof CommitConflict && error.index === 0) return false;
      throw error;
    }
  }
}

const now = (): number => Math.floor(Date.now() / 1000);

import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { DuplicateRow } from '../persistence/faults.js';
import { sql, type Statement } from '../persistence/statement.js';
import { sha256 } from '../protocol/token.js';
import { ProofIdRow } from './proof-id.entity.js';

/** `jti` values of DPoP proofs and client assertions: each counts once, on whichever node (RFC 9449 §11.1, RFC 7523 §3). */
@Injectable()
export class ProofIds {
  constructor(@Inject(Database) private readonly database: Database) {}

  /**
   * Uses an id up.
   * @param key who used what; only its hash is stored  @param expiresAt epoch seconds after which the proof is too old anyway
   * @returns false: it was used before  @throws DatabaseUnavailable
   */
  async use(key: string, expiresAt: number): Promise<boolean> {
    try {
      await this.database.commit([this.database.insert(ProofIdRow, { id: sha256(key), expiresAt })]);
      return true;
    } catch (error) {
      if (error instanceof DuplicateRow) return false;
      throw error;
    }
  }

  /** Was it used before? */
  async isUsed(key: string): Promise<boolean> {
    return (await this.database.repository(ProofIdRow).findOneBy({ id: sha256(key) })) !== null;
  }

  /** A statement that forgets ids that nobody can use any more. */
  purge(): Statement {
    return sql`DELETE FROM proof_id WHERE expires_at < ${Math.floor(Date.now() / 1000) - 60}`;
  }
}

import { Injectable } from '@nestjs/common';
import type { Principal } from '../providers/contract.js';

/** @returns null: no live token, or one for another resource */
export type AdminTokenCheck = (token: string) => Promise<Principal | null>;

/** Who carries an access token made for the admin API (RFC 8707 §2); tokens for `/mcp` are strangers here. Set by the room that issues them. */
@Injectable()
export class AdminTokens {
  #check: AdminTokenCheck = async () => null;

  /** How such tokens are verified; asked for every request, so that a block or revocation holds at once. */
  verifyBy(check: AdminTokenCheck): void {
    this.#check = check;
  }

  /** @throws DatabaseUnavailable */
  async find(token: string): Promise<Principal | null> {
    return this.#check(token);
  }
}

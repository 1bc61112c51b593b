import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { json, seconds } from '../persistence/columns.js';

/** Kinds of bearer values the engine stores. */
export type TokenKind = 'AuthorizationCode' | 'RefreshToken' | 'AccessToken' | 'PushedAuthorizationRequest';

/** A code, refresh token, access token or pushed request: only its SHA-256 is stored. */
@Entity('oauth_token')
@Index('ix_oauth_token_grant', ['grantId'])
@Index('ix_oauth_token_user', ['userId'])
@Index('ix_oauth_token_client', ['clientId'])
@Index('ix_oauth_token_expiry', ['expiresAt'])
@Index('ix_oauth_token_answer', ['consumedAt'], { where: 'answer IS NOT NULL' })
export class TokenRow {
  /** SHA-256 of the value, base64url. */
  @PrimaryColumn('text', { name: 'id_hash' }) idHash!: string;
  @Column('text') kind!: TokenKind;
  @Column('text', { name: 'grant_id', nullable: true }) grantId!: string | null;
  @Column('text', { name: 'user_id', nullable: true }) userId!: string | null;
  @Column('text', { name: 'client_id', nullable: true }) clientId!: string | null;
  /** By the database's clock; null: not consumed. */
  @Column({ name: 'consumed_at', nullable: true, ...seconds }) consumedAt!: number | null;
  /** The `/token` answer that consumed it, sealed under a key derived from the value itself; erased after 30 s. */
  @Column('text', { nullable: true }) answer!: string | null;
  /** Wrong PKCE verifiers seen; five end a code. */
  @Column('integer') failures!: number;
  @Column({ name: 'expires_at', ...seconds }) expiresAt!: number;
  /** The engine's members without the value. */
  @Column({ ...json }) payload!: Record<string, unknown>;
}

import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { json, seconds } from '../persistence/columns.js';

/** One connection: a User's permission to one installation of a Client. It owns a family of Tokens. */
@Entity('oauth_grant')
@Index('ix_oauth_grant_user', ['userId', 'clientId'])
@Index('ix_oauth_grant_client', ['clientId'])
@Index('ix_oauth_grant_expiry', ['expiresAt'])
export class GrantRow {
  @PrimaryColumn('text') id!: string;
  @Column('text', { name: 'user_id' }) userId!: string;
  @Column('text', { name: 'client_id' }) clientId!: string;
  /** The provider instance the person signed in with. */
  @Column('text', { name: 'provider', nullable: true }) provider!: string | null;
  /** Their account at that provider; null: unknown. */
  @Column('text', { nullable: true }) subject!: string | null;
  /** Space-separated, as granted. */
  @Column('text') scope!: string;
  /** Space-separated, added later by the person at a step-up link: every access token of this Grant carries them too; null: none. */
  @Column('text', { nullable: true }) widened!: string | null;
  @Column('text') resource!: string;
  /** Where the Client took the code; null: unknown. */
  @Column('text', { name: 'redirect_uri', nullable: true }) redirectUri!: string | null;
  /** Of the sign-in that made it: what its pages showed, and its trace is found by; null: made before references were kept. */
  @Column('text', { nullable: true }) reference!: string | null;
  /** The engine's own members. */
  @Column({ ...json }) payload!: Record<string, unknown>;
  @Column({ name: 'created_at', ...seconds }) createdAt!: number;
  @Column({ name: 'expires_at', ...seconds }) expiresAt!: number;
  /** Written in batches; null: not yet used. */
  @Column({ name: 'last_used_at', nullable: true, ...seconds }) lastUsedAt!: number | null;
  /** null: alive. */
  @Column({ name: 'revoked_at', nullable: true, ...seconds }) revokedAt!: number | null;
}

import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { json, seconds } from '../persistence/columns.js';

/** One browser that stays signed in (the engine calls it a session). */
@Entity('oauth_browser')
@Index('ix_oauth_browser_user', ['userId'])
@Index('ix_oauth_browser_expiry', ['expiresAt'])
export class BrowserRow {
  /** SHA-256 of the cookie's value. */
  @PrimaryColumn('text', { name: 'id_hash' }) idHash!: string;
  /** Names the browser inside Interactions; opens nothing. */
  @Column('text', { unique: true }) uid!: string;
  @Column('text', { name: 'user_id', nullable: true }) userId!: string | null;
  @Column({ name: 'expires_at', ...seconds }) expiresAt!: number;
  @Column({ ...json }) payload!: Record<string, unknown>;
}

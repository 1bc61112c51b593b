import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { json, seconds } from '../persistence/columns.js';

/** One sign-in on its way, at most ten minutes old: what the engine knows of it. */
@Entity('oauth_interaction')
@Index('ix_oauth_interaction_expiry', ['expiresAt'])
export class InteractionRow {
  /** SHA-256 of the Interaction's uid: the uid is also a cookie's value. */
  @PrimaryColumn('text') id!: string;
  @Column('text', { name: 'client_id', nullable: true }) clientId!: string | null;
  /** Who is signed in to the browser that began it; null: nobody. */
  @Column('text', { name: 'user_id', nullable: true }) userId!: string | null;
  @Column({ name: 'expires_at', ...seconds }) expiresAt!: number;
  /** The engine's members without the uid. */
  @Column({ ...json }) payload!: Record<string, unknown>;
}
